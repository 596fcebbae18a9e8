"""Separable: a convolution parted into one per input channel and a 1x1 convolution that mixes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mcuml.optimize import frameworks, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE, Context, Step
from mcuml.optimize.training import Learning


class Separable(Learning, Step):
    """Conv2D to DepthwiseConv2D and Conv2D 1x1: what SeparableConv2D computes, as two layers that every later step knows.
    With init "svd", each input channel's filters (height x width, filters) become their best approximation of rank
    `multiplier`, the first terms of its singular value decomposition."""

    name = "separable"
    summary = "part convolutions into depthwise and 1x1 ones, from the trained weights, and train on"
    refuses: ClassVar[Mapping[str, str]] = {
        SPARSE: "the parts of a kernel with zeros have none; prune afterwards",
        CLUSTERED: "the parts of a kernel with shared values have none; cluster afterwards",
        QUANTIZED: "the trained ranges belong to the layer as it is; put qat last",
    }
    rank = 20

    layers: str = "all"  # names or patterns, with spaces between
    multiplier: int = Field(default=1, ge=1, le=64)  # filters per input channel
    init: Literal["svd", "random"] = "svd"
    epochs: int = Field(default=10, ge=0, le=10_000)

    def apply(self, model: Any, context: Context) -> Any:
        frameworks.seed_everything(context.seed)
        layers = surgery.suited(model, self.layers, self.name, "convolution", self._unfit)
        model = surgery.replace(model, {layer.name: self._parts(layer) for layer in layers})
        self.learn(model, context, self.name)
        return model

    def _unfit(self, layer: Any) -> str:
        if type(layer) is not frameworks.keras().layers.Conv2D:
            return f"is a {type(layer).__name__}"
        height, width, channels, filters = layer.kernel.shape
        if height * width == 1:
            return "is 1x1"
        if layer.groups > 1:
            return f"has {layer.groups} groups"
        if layer.data_format != "channels_last" or layer.strides[0] != layer.strides[1]:
            return f"has strides {layer.strides} and {layer.data_format}, which DepthwiseConv2D does not compute"
        parts = channels * self.multiplier * (height * width + filters)
        whole = height * width * channels * filters
        return f"would grow from {whole} to {parts} weights" if parts >= whole else ""

    def _parts(self, layer: Any) -> list[surgery.Piece]:
        spatial = {k: v for k, v in layer.get_config().items() if k in ("kernel_size", "strides", "padding", "dilation_rate")}
        mixing = {**layer.get_config(), "kernel_size": 1, "strides": 1, "padding": "valid", "dilation_rate": 1}
        depthwise = {**spatial, "depth_multiplier": self.multiplier, "use_bias": False}
        if self.init == "random":
            return [surgery.Piece("DepthwiseConv2D", depthwise), surgery.Piece("Conv2D", mixing)]
        kernel, *bias = layer.get_weights()
        first, second = separated(kernel, self.multiplier)
        return [surgery.Piece("DepthwiseConv2D", depthwise, [first]), surgery.Piece("Conv2D", mixing, [second, *bias])]


def separated(kernel: np.ndarray, multiplier: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, channels, filters) as the depthwise kernel (h, w, channels, multiplier) and the mixing one
    (1, 1, channels * multiplier, filters) nearest to it, of equal norm in each term. `multiplier` <= h * w and <= filters."""
    height, width, channels, filters = kernel.shape
    u, s, vt = np.linalg.svd(kernel.reshape(-1, channels, filters).swapaxes(0, 1), full_matrices=False)
    root = np.sqrt(s[:, :multiplier])
    depthwise = (u[:, :, :multiplier] * root[:, None]).swapaxes(0, 1)
    mixing = vt[:, :multiplier] * root[:, :, None]
    return depthwise.reshape(height, width, channels, multiplier), mixing.reshape(1, 1, channels * multiplier, filters)

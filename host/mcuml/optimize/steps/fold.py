"""Fold: batch normalization into the layer before it, and layers that do nothing at inference taken out. Exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mcuml.optimize import frameworks, kernels, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, Context, Step

IDLE = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
    "ActivityRegularization",
)  # fmt: skip


class Fold(Step):
    name = "fold"
    summary = "fold batch normalization into the layer before it, take out dropout and idle activations; outputs stay equal"
    refuses: ClassVar[Mapping[str, str]] = {
        CLUSTERED: "each channel's weights would be multiplied by their own factor, so values shared by all are shared no "
        "longer; fold first",
        QUANTIZED: "the trained ranges belong to the weights as they are, and qat folds batch normalization itself",
    }
    in_all: ClassVar[bool] = False  # the converter folds too, and equalize does so first: alone it changes no file
    rank = 10

    def apply(self, model: Any, context: Context) -> Any:
        before = len(model.layers)
        model = folded(model)
        left = [layer.name for layer in model.layers if isinstance(layer, frameworks.keras().layers.BatchNormalization)]
        rest = f"; {', '.join(left)} left, which no dense or convolutional layer alone feeds" if left else ""
        context.progress(f"{self.name}: {before - len(model.layers)} of {before} layers taken out{rest}", 1.0)
        return model


def folded(model: Any) -> Any:
    """A copy of `model` without idle layers, and with each batch normalization multiplied into the dense or convolutional
    layer before it, where that has no activation and no other reader. At inference, with s = gamma / sqrt(variance + epsilon):
    gamma (W x + b - mean) / sqrt(variance + epsilon) + beta = (s W) x + (s (b - mean) + beta)."""
    model = surgery.replace(model, {layer.name: [] for layer in model.layers if _idle(layer)})
    while chains := _foldings(model):
        model = surgery.replace(model, chains)
    return model


def _idle(layer: Any) -> bool:
    keras = frameworks.keras()
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.linear
    return type(layer).__name__ in IDLE


def _foldings(model: Any) -> dict[str, list[surgery.Piece]]:
    """Chains for surgery.replace(): each layer that can take a normalization in, and that normalization's removal."""
    keras = frameworks.keras()
    wires = surgery.wiring(model)
    chains: dict[str, list[surgery.Piece]] = {}
    for layer in model.layers:
        reader = wires.only_reader(layer.name)
        norm = model.get_layer(reader) if reader else None
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        if kernels.sides(layer) is None or layer.activation is not keras.activations.linear:
            continue
        if list(norm.axis) == [len(norm.input_shape) - 1]:
            chains |= {layer.name: [_with(layer, norm)], norm.name: []}
    return chains


def _with(layer: Any, norm: Any) -> surgery.Piece:
    """`layer` with the batch normalization `norm` multiplied in, computed in float64."""
    ones = np.ones(norm.moving_mean.shape[0])
    gamma = norm.gamma.numpy().astype(np.float64) if norm.scale else ones
    beta = norm.beta.numpy().astype(np.float64) if norm.center else 0 * ones
    factors = gamma / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    weights = layer.get_weights()
    bias = weights.pop() if layer.use_bias else 0 * ones
    side = kernels.sides(layer).outputs  # type: ignore[union-attr]  # _foldings() asked
    weights[side.weight] = side.times(weights[side.weight], factors)
    shifted = (bias - norm.moving_mean.numpy()) * factors + beta
    return surgery.changed(layer, [*weights, shifted.astype(np.float32)], use_bias=True)

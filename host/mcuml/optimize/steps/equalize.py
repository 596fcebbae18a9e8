"""Cross-layer equalization: weights' ranges balanced between layers, so that one scale for a whole layer fits all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from mcuml.errors import ModelError
from mcuml.optimize import frameworks, kernels, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, Context, Step
from mcuml.optimize.steps.fold import folded

# Layers through which a positive factor per channel passes: f(s x) = s f(x), channel by channel.
PASSING = (
    "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ZeroPadding1D", "ZeroPadding2D", "UpSampling2D", "Cropping2D",
    "LeakyReLU", "PReLU", "Flatten",
)  # fmt: skip

AT_REST = 1.001  # the largest factor of a last sweep


class Equalize(Step):
    """Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias Correction,
    ICCV 2019 (arXiv 1906.04721), section 4.1: two layers joined by a function with f(s x) = s f(x) for s > 0 stay the
    same together when channel i of the first (weights and bias) is divided by s_i and the second's weights that read it
    are multiplied by s_i. With ranges r1_i and r2_i, s_i = sqrt(r1_i r2_i) / r2_i makes both sqrt(r1_i r2_i) (eq. 11),
    pair after pair until nothing moves. Batch normalization is folded first."""

    name = "equalize"
    summary = "balance the ranges of weights between layers joined by ReLU (function unchanged), for quantization per tensor"
    refuses: ClassVar[Mapping[str, str]] = {
        CLUSTERED: "each channel's weights would be multiplied by their own factor, so values shared by all are shared no "
        "longer; equalize first",
        QUANTIZED: "the trained ranges belong to the weights as they are; equalize first",
    }
    rank = 70

    sweeps: int = Field(default=40, ge=1, le=1000)  # over all pairs, at most; fewer when the factors come to rest

    def apply(self, model: Any, context: Context) -> Any:
        model = folded(model)
        pairs = _pairs(model)
        if not pairs:
            raise ModelError(
                f"{self.name}: no two layers of the model can be balanced.",
                "Only dense and convolutional layers of which one alone reads the other, with nothing but ReLU, pooling, padding "
                "and flattening between them, can.",
                "Leave the step out.",
            )
        weights = {name: model.get_layer(name).get_weights() for pair in pairs for name in pair}
        for sweep in range(1, self.sweeps + 1):
            moved = max(_balance(model, weights, *pair) for pair in pairs)
            context.progress(f"{self.name}: sweep {sweep}, pairs of layers: {len(pairs)}", sweep / self.sweeps)
            if moved < AT_REST:
                break
        for name, values in weights.items():
            model.get_layer(name).set_weights(values)
        return model


def _pairs(model: Any) -> list[tuple[str, str]]:
    """(first, second) names of layers to balance, from the input on."""
    wires, pairs = surgery.wiring(model), []
    for layer in model.layers:
        if kernels.sides(layer) is None or not _homogeneous(layer):
            continue
        name, flat = wires.only_reader(layer.name), False
        while name and _passes(model.get_layer(name)):
            flat |= type(model.get_layer(name)).__name__ == "Flatten"
            name = wires.only_reader(name)
        second = model.get_layer(name) if name else None
        if second is None or kernels.sides(second) is None or getattr(second, "groups", 1) > 1:
            continue
        if not flat or type(second).__name__ == "Dense":
            pairs.append((layer.name, second.name))
    return pairs


def _homogeneous(layer: Any) -> bool:
    activations = frameworks.keras().activations
    return layer.activation in (activations.linear, activations.relu)


def _passes(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind == "ReLU":
        return layer.max_value is None and not layer.threshold
    return _homogeneous(layer) if kind == "Activation" else kind in PASSING


def _balance(model: Any, weights: dict[str, list[np.ndarray]], first: str, second: str) -> float:
    """Balance one pair, in place in `weights`; the largest factor that was applied, as a ratio >= 1. Channels that one of
    the two does not use at all (range 0) stay."""
    one, two = model.get_layer(first), model.get_layer(second)
    out, into = kernels.sides(one).outputs, kernels.sides(two).inputs  # type: ignore[union-attr]  # _pairs() asked
    kernel, reader = weights[first][out.weight], weights[second][into.weight]
    r1 = out.ranges(kernel).astype(np.float64)
    r2 = into.ranges(reader).reshape(-1, len(r1)).max(axis=0).astype(np.float64)  # behind Flatten, channels come fastest
    used = (r1 > 0) & (r2 > 0)
    factors = np.sqrt(np.divide(r1, r2, out=np.ones_like(r1), where=used))
    weights[first][out.weight] = out.times(kernel, 1 / factors)
    if one.use_bias:
        weights[first][-1] = (weights[first][-1] / factors).astype(np.float32)
    weights[second][into.weight] = into.times(reader, np.tile(factors, into.ranges(reader).size // len(r1)))
    return float(np.exp(np.abs(np.log(factors)).max()))

"""Low rank: dense layers and convolutions as two thinner layers in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mcuml.optimize import frameworks, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE, Context, Step
from mcuml.optimize.training import Learning

EVEN = 1e-6  # the least norm that a term is balanced to: both factors of a term have the same, so that both learn
ENOUGH = 50_000  # outputs for a covariance: a convolution has many per sample


class Lowrank(Learning, Step):
    """Dense (n to m) as Dense (n to r) and Dense (r to m); Conv2D as one of r filters and a 1x1 to all of them. Weights are
    a matrix W (inputs, outputs). Nearest in "weights": the first r terms of its singular value decomposition. Nearest in
    "outputs": the r directions V in which the outputs Y = X W vary most over training samples (their principal components)
    are kept, as W V and then V'; that loses least of Y rather than of W: Zhang, Zou, He, Sun: Accelerating Very Deep
    Convolutional Networks for Classification and Detection, TPAMI 2016 (arXiv 1505.06798), section 3.1. Each layer's
    outputs are those of the model as it was."""

    name = "lowrank"
    summary = "dense layers and convolutions as two thinner ones, by a budget of weights or of variance, and train on"
    refuses: ClassVar[Mapping[str, str]] = {
        SPARSE: "the factors of a matrix with zeros have none; prune afterwards",
        CLUSTERED: "the factors of a matrix with shared values have none; cluster afterwards",
        QUANTIZED: "the trained ranges belong to the layer as it is; put qat last",
    }
    rank = 30

    layers: str = "all"  # names or patterns, with spaces between
    budget: Literal["weights", "energy"] = "weights"  # what `keep` is a share of
    keep: float = Field(default=0.5, gt=0, lt=1)  # of a layer's weights, at most; or of the variance (squares), at least
    nearest: Literal["outputs", "weights"] = "outputs"
    samples: int = Field(default=128, ge=2)  # of the training data, for nearest "outputs"
    epochs: int = Field(default=3, ge=0, le=10_000)
    learning_rate: float = Field(default=5e-4, gt=0, le=1)

    def apply(self, model: Any, context: Context) -> Any:
        x, factors = context.data.train.x[: self.samples], {}

        def unfit(layer: Any) -> str:
            reason = _unfit(layer)
            if not reason:
                factors[layer.name] = self._factors(model, layer, x)
                first, second, _ = factors[layer.name]
                if first.size + second.size >= first.shape[0] * second.shape[1]:
                    reason = f"would not shrink: rank {second.shape[0]}, {first.size + second.size} weights"
            return reason

        layers = surgery.suited(model, self.layers, self.name, "layer with weights", unfit)
        model = surgery.replace(model, {layer.name: _parts(layer, *factors[layer.name]) for layer in layers})
        self.learn(model, context, self.name)
        return model

    def _factors(self, model: Any, layer: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(inputs, r), (r, outputs) and the bias (outputs,) that stand for `layer`'s weights."""
        kernel, *biases = layer.get_weights()
        matrix = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
        bias = biases[0] if biases else np.zeros(kernel.shape[-1])
        if self.nearest == "weights":
            u, s, vt = np.linalg.svd(matrix, full_matrices=False)
            r = self._rank(matrix, s**2)
            return u[:, :r] * np.sqrt(s[:r]), np.sqrt(s[:r])[:, None] * vt[:r], bias
        outputs = _outputs(model, layer, x).astype(np.float64)
        mean = outputs.mean(axis=0)
        covariance = np.cov(outputs, rowvar=False).reshape(len(mean), len(mean))
        _, s, vt = np.linalg.svd(covariance)
        r = self._rank(matrix, s)
        first, second = matrix @ vt[:r].T, vt[:r]
        root = np.sqrt(np.maximum(np.linalg.norm(first, axis=0), EVEN))
        return first / root, second * root[:, None], second.T @ second @ (bias - mean) + mean

    def _rank(self, matrix: np.ndarray, energies: np.ndarray) -> int:
        if self.budget == "weights":
            return max(1, int(self.keep * matrix.size / sum(matrix.shape)))
        shares = np.cumsum(energies) / max(energies.sum(), np.finfo(np.float64).tiny)
        return int(np.searchsorted(shares, self.keep)) + 1


def _unfit(layer: Any) -> str:
    keras = frameworks.keras()
    if type(layer) not in (keras.layers.Dense, keras.layers.Conv2D):
        return f"is a {type(layer).__name__}"
    if isinstance(layer, keras.layers.Conv2D) and (layer.groups > 1 or layer.data_format != "channels_last"):
        return f"has {layer.groups} groups and {layer.data_format}"
    return ""


def _outputs(model: Any, layer: Any, x: np.ndarray) -> np.ndarray:
    """What `layer` gives before its activation for the samples `x`: (n, outputs)."""
    keras = frameworks.keras()
    bare = surgery.replace(model, {layer.name: [surgery.changed(layer, layer.get_weights(), activation="linear")]})
    outputs = keras.Model(bare.inputs, bare.get_layer(layer.name).output).predict(x, verbose=0)
    rows = outputs.reshape(-1, outputs.shape[-1])
    return rows[:: -(-len(rows) // ENOUGH)]


def _parts(layer: Any, first: np.ndarray, second: np.ndarray, bias: np.ndarray) -> list[surgery.Piece]:
    kind, config = type(layer).__name__, layer.get_config()
    thin = {**config, "activation": "linear", "use_bias": False}
    full = {**config, "use_bias": True}
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = (first.shape, second.shape)
    if kind == "Dense":
        thin["units"] = len(second)
    else:
        thin["filters"] = len(second)
        full |= {"kernel_size": 1, "strides": 1, "padding": "valid", "dilation_rate": 1}
        shapes = ((*layer.kernel.shape[:-1], len(second)), (1, 1, *second.shape))
    return [surgery.Piece(kind, thin, [first.reshape(shapes[0])]), surgery.Piece(kind, full, [second.reshape(shapes[1]), bias])]

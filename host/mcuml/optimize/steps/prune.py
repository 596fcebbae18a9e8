"""Prune: the smallest weights become zero and stay so, while the others train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mcuml.optimize import frameworks, kernels, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE, Context, Step
from mcuml.optimize.training import Learning

BLOCK = 4  # of "2:4": consecutive weights of one output, of which half are zero


class Prune(Learning, Step):
    """Sparsity grows along a polynomial of degree 3 from `initial` at the first update to `sparsity` at the share `until` of
    all updates (Zhu, Gupta: To prune, or not to prune, arXiv 1710.01878, section 3), or is `sparsity` from the start. Scope
    "global": all layers together, one threshold for all, which spares small layers; "layer": each has that share of zeros.
    Pattern "2:4": in each four consecutive inputs of an output (as the file has them: row, column, channel) the two smallest
    weights are zero, from the start. The paper's: scope=layer, epochs=40, batch=128, until=1."""

    name = "prune"
    summary = "set the smallest weights to zero, step by step while training on"
    gives = frozenset({SPARSE})
    refuses: ClassVar[Mapping[str, str]] = {
        CLUSTERED: "zeros among weights that share values would be one value more; prune first, cluster keeps zeros",
        QUANTIZED: "the trained ranges belong to the weights as they are; prune first, qat keeps zeros",
    }
    rank = 50
    version: ClassVar[int] = 2

    layers: str = "all"  # names or patterns, with spaces between
    sparsity: float = Field(default=0.8, gt=0, lt=1)
    initial: float = Field(default=0.5, ge=0, lt=1)  # `sparsity` if that is less
    schedule: Literal["polynomial", "constant"] = "polynomial"
    until: float = Field(default=0.75, gt=0, le=1)
    scope: Literal["layer", "global"] = "global"
    pattern: Literal["free", "2:4"] = "free"
    epochs: int = Field(default=10, ge=0, le=10_000)

    @model_validator(mode="after")
    def _one_sparsity(self) -> Prune:
        given = {"sparsity", "initial", "scope", "schedule", "until"} & self.model_fields_set
        if self.pattern == "2:4" and given:
            raise ValueError(f"pattern 2:4 is half of each layer from the start: leave out {', '.join(sorted(given))}")
        return self

    def apply(self, model: Any, context: Context) -> Any:
        tf, model = frameworks.tensorflow(), surgery.replace(model, {})
        layers = surgery.suited(model, self.layers, self.name, "layer with weights", _unfit)
        weights = [layer.weights[kernels.sides(layer).outputs.weight] for layer in layers]  # type: ignore[union-attr]
        masks = [tf.Variable(tf.ones_like(weight), trainable=False) for weight in weights]

        def prune(done: float) -> None:
            values = [weight.numpy() for weight in weights]
            for weight, mask, value in zip(weights, masks, self._kept(values, done), strict=True):
                mask.assign(value)
                weight.assign(weight * mask)

        prune(0.0 if self.epochs else 1.0)
        keep = [(weight, lambda value, mask=mask: value * mask) for weight, mask in zip(weights, masks, strict=True)]
        self.learn(model, context, self.name, keep=keep, between=prune)
        return model

    def _kept(self, values: Sequence[np.ndarray], done: float) -> list[np.ndarray]:
        """Masks for `values`, 1 where a weight stays, when the share `done` of the updates is done."""
        if self.pattern == "2:4":
            return [two_of_four(value) for value in values]
        if self.scope == "layer":
            return [largest(value, self.sparsity_at(done)) for value in values]
        flat = largest(np.concatenate([value.ravel() for value in values]), self.sparsity_at(done))
        ends = np.cumsum([value.size for value in values])[:-1]
        return [part.reshape(value.shape) for part, value in zip(np.split(flat, ends), values, strict=True)]

    def sparsity_at(self, done: float) -> float:
        """The share of zeros after the share `done` of the updates."""
        if self.schedule == "constant":
            return self.sparsity
        left = 1 - min(1.0, done / self.until)
        return self.sparsity + (min(self.initial, self.sparsity) - self.sparsity) * left**3


def largest(value: np.ndarray, sparsity: float) -> np.ndarray:
    """1 for each of the weights of largest magnitude, 0 for round(sparsity * size) others; of equal ones the first go."""
    mask = np.ones(value.size, np.float32)
    mask[np.argsort(np.abs(value), axis=None, kind="stable")[: round(sparsity * value.size)]] = 0
    return mask.reshape(value.shape)


def two_of_four(value: np.ndarray) -> np.ndarray:
    """A mask of `value` (..., outputs): 1 for the larger two of each four consecutive inputs, and for what is left over."""
    flat = np.abs(value.reshape(-1, value.shape[-1]))
    whole = len(flat) // BLOCK * BLOCK
    blocks = flat[:whole].reshape(-1, BLOCK, flat.shape[1])
    mask = np.ones(flat.shape, np.float32)
    smaller = np.argsort(np.argsort(blocks, axis=1, kind="stable"), axis=1) < BLOCK // 2
    mask[:whole] = np.where(smaller, 0, 1).reshape(whole, -1)
    return mask.reshape(value.shape)


def _unfit(layer: Any) -> str:
    if type(layer).__name__ == "DepthwiseConv2D":
        return "has few weights per channel, which are worth little space and much accuracy"
    side = kernels.sides(layer)
    return "" if side and side.outputs.axes == (-1,) else f"is a {type(layer).__name__}"

"""Cluster: each layer's weights take one of a few values, which compress well, and train on as shared values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mcuml.optimize import kernels, surgery
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE, Context, Step
from mcuml.optimize.training import Learning

ROUNDS = 100  # of k-means, which on numbers in a row ends far earlier


class Cluster(Learning, Step):
    """k-means on the weights of each layer; then each update moves the weights of a cluster together, by the mean of their
    updates (training.kept). The zeros of a pruned model are a cluster of their own, one of `clusters`. Start centres: "density",
    the same number of weights for each; "linear", evenly between the smallest and the largest weight."""

    name = "cluster"
    summary = "let each layer's weights share a few values, and train on as shared values"
    gives = frozenset({CLUSTERED})
    refuses: ClassVar[Mapping[str, str]] = {
        QUANTIZED: "the trained ranges belong to the weights as they are; cluster first, qat keeps shared values",
    }
    rank = 70

    layers: str = "all"  # names or patterns, with spaces between
    clusters: int = Field(default=16, ge=2, le=256)
    init: Literal["density", "linear"] = "linear"
    epochs: int = Field(default=3, ge=0, le=10_000)

    def apply(self, model: Any, context: Context) -> Any:
        model = surgery.replace(model, {})
        for layer in surgery.suited(model, self.layers, self.name, "layer with weights", _unfit):
            weight = layer.weights[kernels.sides(layer).outputs.weight]  # type: ignore[union-attr]  # _unfit() asked
            weight.assign(self.clustered(weight.numpy(), SPARSE in context.traits))
        self.learn(model, replace(context, traits=context.traits | {CLUSTERED}), self.name)
        return model

    def clustered(self, kernel: np.ndarray, sparse: bool) -> np.ndarray:
        """`kernel` with each weight replaced by its cluster's centre; with `sparse`, zeros stay."""
        free = kernel != 0 if sparse and not kernel.all() else np.ones(kernel.shape, bool)
        result = kernel.copy()
        if free.any():
            result[free] = nearest_centres(kernel[free], self.clusters - int(not free.all()), self.init)
        return result


def nearest_centres(values: np.ndarray, count: int, init: str) -> np.ndarray:
    """Each of `values` (n,) as the centre of its cluster, of at most `count` (Lloyd's algorithm)."""
    exact = values.astype(np.float64)
    at = np.linspace(0, 1, 2 * count + 1)[1::2]
    centres = np.quantile(exact, at) if init == "density" else exact.min() + at * np.ptp(exact)
    for _ in range(ROUNDS):
        groups = np.searchsorted((centres[1:] + centres[:-1]) / 2, exact)
        sizes = np.bincount(groups, minlength=len(centres))
        sums = np.bincount(groups, exact, len(centres))
        moved = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres[groups].astype(values.dtype)


def _unfit(layer: Any) -> str:
    return "" if kernels.sides(layer) else f"is a {type(layer).__name__}"

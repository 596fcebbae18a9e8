"""Channels: the least important channels taken out of the network, which leaves smaller layers instead of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mcuml.errors import ModelError
from mcuml.optimize import coupling, frameworks, kernels, surgery
from mcuml.optimize.coupling import Coupling
from mcuml.optimize.steps import CHANNELS, QUANTIZED, Context, Step
from mcuml.optimize.training import Learning

SAMPLES = 512  # of the training data, for the mean of what goes


class Channels(Learning, Step):
    """A channel's importance is the sum, over the layers whose channels are joined to it (by additions), of the squares
    of the weights that make it, times its batch normalization's factor ("norm": Li et al.: Pruning Filters for Efficient
    ConvNets, arXiv 1608.08710, with squares), or the square of that normalization's gamma ("gamma": Liu et al.: Network
    Slimming, arXiv 1708.06519); as a share of its layers' sum. With `macs`, channels go one after the other, by least
    importance per multiplication saved, until that share of the multiplications is left; else each layer keeps the share
    `keep`."""

    name = "channels"
    summary = "take the least important channels out of all layers and train on"
    gives = frozenset({CHANNELS})
    refuses: ClassVar[Mapping[str, str]] = {
        QUANTIZED: "the trained ranges belong to the layers as they are; put qat last",
    }
    rank = 40

    keep: float = Field(default=0.5, gt=0, lt=1)
    macs: float | None = Field(default=None, gt=0, lt=1)  # instead of `keep`
    importance: Literal["norm", "gamma"] = "norm"
    multiple: int = Field(default=4, ge=1, le=64)  # the kernels take channels four at a time
    epochs: int = Field(default=10, ge=0, le=10_000)

    def apply(self, model: Any, context: Context) -> Any:
        graph = surgery.replace(model, {})
        coupled = coupling.coupled(graph)
        ranked = self._ranked(graph, coupled)
        gone = self._by_macs(graph, coupled, ranked) if self.macs else self._by_share(ranked)
        if not gone:
            raise ModelError(
                f"{self.name}: no channel of {model.name} can go.",
                "; ".join(f"{', '.join(names)}: {len(units)} channels" for names, units, _ in ranked)
                or "All channels reach an input, an output, or a layer that is not known to take its channels one by one.",
                f"Lower {'macs' if self.macs else 'keep'} or multiple ({self.multiple}), or leave the step out.",
            )
        means = _means(graph, coupled, context.data.train.x[:SAMPLES])
        model = coupling.without(graph, coupled, frozenset(gone), means)
        self.learn(model, context, self.name)
        return model

    def _ranked(self, graph: Any, coupled: Coupling) -> list[tuple[tuple[str, ...], np.ndarray, np.ndarray]]:
        """(layers, units, importances as shares of 1) per group, the least important first."""
        found = []
        for names, units in coupled.groups().items():
            scores = dict.fromkeys(units.tolist(), 0.0)
            for name in dict.fromkeys(names):
                for unit, score in zip(coupled.outputs[name], self._scores(graph, name), strict=True):
                    scores[int(unit)] = scores.get(int(unit), 0.0) + float(score)
            values = np.array([scores[unit] for unit in units.tolist()])
            if self.importance == "gamma" and not values.any():
                raise ModelError(
                    f"{self.name}: importance=gamma needs a batch normalization after {', '.join(names)}.",
                    "",
                    "Take importance=norm.",
                )
            order = np.argsort(values, kind="stable")
            found.append((names, units[order], values[order] / max(values.sum(), np.finfo(np.float64).tiny)))
        return found

    def _scores(self, graph: Any, name: str) -> np.ndarray:
        """Of each output channel of the layer `name`."""
        layer, reader = graph.get_layer(name), surgery.wiring(graph).only_reader(name)
        norm: Any = graph.get_layer(reader) if reader else None
        normed = isinstance(norm, frameworks.keras().layers.BatchNormalization) and norm.scale
        if self.importance == "gamma":
            return norm.gamma.numpy().astype(np.float64) ** 2 if normed else np.zeros(layer.output_shape[-1])
        side = kernels.sides(layer).outputs  # type: ignore[union-attr]  # mixers have sides
        kernel = np.moveaxis(layer.get_weights()[side.weight].astype(np.float64), side.axes[0], -1)
        squares = (kernel.reshape(-1, kernel.shape[-1]) ** 2).sum(axis=0)
        return squares * norm.gamma.numpy() ** 2 / (norm.moving_variance.numpy() + norm.epsilon) if normed else squares

    def _by_share(self, ranked: list[Any]) -> set[int]:
        gone: set[int] = set()
        for _, units, _ in ranked:
            left = max(self.multiple, round(self.keep * len(units) / self.multiple) * self.multiple)
            gone |= set(units[: max(0, len(units) - left)].tolist())
        return gone

    def _by_macs(self, graph: Any, coupled: Coupling, ranked: list[Any]) -> set[int]:
        gone: set[int] = set()
        whole = now = macs(graph, coupled, gone)
        taken = [0] * len(ranked)
        while now > self.macs * whole:  # type: ignore[operator]  # apply() asked
            best = None
            for group, (_, units, shares) in enumerate(ranked):
                start = taken[group]
                end = len(units) - (len(units) - start - 1) // self.multiple * self.multiple  # a multiple is left
                if end >= len(units):
                    continue
                after = macs(graph, coupled, gone | set(units[start:end].tolist()))
                cost = shares[start:end].sum() / shares[start:].sum() / max(now - after, 1)
                if best is None or cost < best[0]:
                    best = (cost, group, end, after)
            if best is None:
                raise ModelError(
                    f"{self.name}: macs={self.macs:g} cannot be reached.",
                    f"With {self.multiple} channels left in each layer, {now / whole:.2f} of the multiplications stay.",
                    "Raise macs, or lower multiple.",
                )
            _, group, end, now = best
            gone |= set(ranked[group][1][taken[group] : end].tolist())
            taken[group] = end
        return gone


def macs(graph: Any, coupled: Coupling, gone: set[int]) -> int:
    """Multiplications per sample of all layers with weights, without the channels of the units `gone`."""
    total = 0.0
    for layer in graph.layers:
        side = kernels.sides(layer)
        if side is None:
            continue
        outputs, inputs = coupled.outputs[layer.name], coupled.inputs[layer.name]
        made = 1 - np.isin(outputs, list(gone)).mean()
        read = 1 - np.isin(inputs, list(gone)).mean()
        positions = (layer.input_shape if type(layer).__name__ == "Conv2DTranspose" else layer.output_shape)[1:-1]
        weights = [weight for weight in layer.get_weights() if weight.ndim > 1]
        shares = [made * read] if len(weights) == 1 else [read, made * read]
        shares = [made] if type(layer).__name__ == "DepthwiseConv2D" else shares
        total += np.prod(positions) * sum(w.size * share for w, share in zip(weights, shares, strict=True))
    return round(total)


def _means(graph: Any, coupled: Coupling, x: np.ndarray) -> dict[str, np.ndarray]:
    """The mean over samples `x` and places of each channel that a mixer reads."""
    inputs = [graph.get_layer(name).input for name in coupled.mixers]
    values = frameworks.keras().Model(graph.inputs, inputs).predict(x, verbose=0)
    values = values if isinstance(values, list) else [values]
    return {
        name: value.mean(axis=tuple(range(value.ndim - 1)), dtype=np.float64)
        for name, value in zip(coupled.mixers, values, strict=True)
    }

"""Which channels of a tf_keras graph must stay or go together, and the graph without some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuml.optimize import frameworks, kernels, surgery

# What leaves channels where they are, and what joins those of equal number.
PASSING = frozenset((
    "Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
    "GaussianDropout", "GaussianNoise", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ZeroPadding1D",
    "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D", "BatchNormalization", "DepthwiseConv2D",
))  # fmt: skip
JOINING = frozenset(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"))


@dataclass(frozen=True, eq=False)
class Coupling:
    """Channels with the same unit, a number, stay or go together. `outputs[layer]`, `inputs[layer]`: the unit of each channel
    (last axis), inputs of several tensors one after the other. `fixed`: units that must stay: those of the model's inputs and
    outputs, and what a layer reads that is not known to take its channels one by one. `mixers`: layers that make channels of
    their own, each of all that they read."""

    outputs: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    fixed: frozenset[int]
    mixers: tuple[str, ...]

    def groups(self) -> dict[tuple[str, ...], np.ndarray]:
        """The units that may go, by the mixers whose channels they are: layers joined by additions form one group."""
        makers: dict[int, list[str]] = {}
        for name in self.mixers:
            for unit in self.outputs[name]:
                if int(unit) not in self.fixed:
                    makers.setdefault(int(unit), []).append(name)
        found: dict[tuple[str, ...], list[int]] = {}
        for unit, names in makers.items():
            found.setdefault(tuple(names), []).append(unit)
        return {names: np.array(units) for names, units in found.items()}


class _Units:
    """Numbers of which some turn out to be the same (union-find)."""

    def __init__(self) -> None:
        self.same: list[int] = []
        self.fixed: set[int] = set()

    def fresh(self, count: int) -> np.ndarray:
        first = len(self.same)
        self.same += range(first, first + count)
        return np.arange(first, first + count)

    def of(self, unit: int) -> int:
        while self.same[unit] != unit:
            unit = self.same[unit]
        return unit

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        for a, b in zip(one, other, strict=True):
            self.same[self.of(int(a))] = self.of(int(b))

    def fix(self, units: np.ndarray) -> np.ndarray:
        self.fixed.update(map(int, units))
        return units


def coupled(graph: Any) -> Coupling:
    """The coupling of `graph`, a functional model each of whose layers is its own (surgery.replace() gives one)."""
    wires, units = surgery.wiring(graph), _Units()
    outputs: dict[str, np.ndarray] = {}
    inputs: dict[str, np.ndarray] = {}
    mixers = []
    for layer in graph.layers:  # in the order of computation
        parts = [outputs[name] for name in wires.reads[layer.name]]
        inputs[layer.name] = read = np.concatenate(parts) if parts else units.fresh(0)
        side = kernels.sides(layer)
        if side and side.outputs.axes == (-1,) and len(parts) == 1 and not _strange(layer):
            outputs[layer.name] = units.fresh(layer.output_shape[-1])
            mixers.append(layer.name)
        else:
            passed = None if _strange(layer) else _passed(layer, parts, units)
            if passed is None:
                units.fix(read)
                passed = units.fix(units.fresh(_channels(layer)))
            outputs[layer.name] = passed
        if "" in wires.read_by[layer.name] or _mixes_after(layer):
            units.fix(outputs[layer.name])

    def final(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.array([units.of(int(unit)) for unit in labels], int) for name, labels in found.items()}

    return Coupling(final(outputs), final(inputs), frozenset(map(units.of, units.fixed)), tuple(mixers))


def _channels(layer: Any) -> int:
    shape = layer.output_shape
    return int((shape[0] if isinstance(shape, list) else shape)[-1] or 0)


def _strange(layer: Any) -> bool:
    """Whether `layer` does not do what its kind does: a subclass, channels first, groups, several calls or several outputs."""
    own = type(layer) is getattr(frameworks.keras().layers, type(layer).__name__, None)
    plain = getattr(layer, "data_format", "channels_last") == "channels_last" and getattr(layer, "groups", 1) == 1
    several = len(layer.inbound_nodes) > 1 or isinstance(layer.output_shape, list)
    return not (own and plain) or several


def _mixes_after(layer: Any) -> bool:
    return getattr(layer, "activation", None) is frameworks.keras().activations.softmax


def _passed(layer: Any, parts: list[np.ndarray], units: _Units) -> np.ndarray | None:
    """The units of the outputs of a layer that makes none of its own; None for one that is not known to keep them apart."""
    kind = type(layer).__name__
    if kind == "BatchNormalization" and list(layer.axis) != [len(layer.input_shape) - 1]:
        return None
    if kind in PASSING:
        return np.repeat(parts[0], layer.depth_multiplier if kind == "DepthwiseConv2D" else 1)
    if kind in JOINING and len({len(part) for part in parts}) == 1:
        for part in parts[1:]:
            units.join(part, parts[0])
        return parts[0]
    if kind == "Concatenate" and layer.axis in (-1, len(layer.output_shape) - 1):
        return np.concatenate(parts)
    if kind in ("Flatten", "Reshape") and None not in layer.input_shape[1:]:
        every = np.tile(parts[0], int(np.prod(layer.input_shape[1:-1])))
        rows = every.reshape(-1, layer.output_shape[-1])
        return rows[0] if (rows == rows[0]).all() else None
    return None


def without(graph: Any, coupling: Coupling, gone: frozenset[int], means: Mapping[str, np.ndarray]) -> Any:
    """A copy of `graph` without the channels of the units `gone`. `means[mixer]`: the mean of each channel that it reads,
    (channels,): what it took from channels that go is added to its bias as if they had that value always. That is exact
    where they do, but for the borders of a convolution with padding "same"."""
    stays = {name: ~np.isin(labels, list(gone)) for name, labels in coupling.outputs.items()}
    reads = {name: ~np.isin(labels, list(gone)) for name, labels in coupling.inputs.items()}
    chains = {}
    for layer in graph.layers:
        name, kind = layer.name, type(layer).__name__
        if name in coupling.mixers and not (stays[name].all() and reads[name].all()):
            chains[name] = [_thinner(layer, reads[name], stays[name], means[name])]
        elif kind == "DepthwiseConv2D" and not stays[name].all():
            kernel, *bias = layer.get_weights()
            chains[name] = [surgery.changed(layer, [kernel[:, :, reads[name]], *(b[stays[name]] for b in bias)])]
        elif kind == "BatchNormalization" and not stays[name].all():
            chains[name] = [surgery.changed(layer, [weight[stays[name]] for weight in layer.get_weights()])]
        elif kind == "Reshape" and not stays[name].all():
            shape = (*layer.output_shape[1:-1], int(stays[name].sum()))
            chains[name] = [surgery.changed(layer, [], target_shape=shape)]
    return surgery.replace(graph, chains)


def _thinner(layer: Any, reads: np.ndarray, stays: np.ndarray, means: np.ndarray) -> surgery.Piece:
    weights = layer.get_weights()
    bias = weights.pop() if layer.use_bias else np.zeros(len(stays), np.float32)
    side = kernels.sides(layer)
    taken = np.where(reads, 0, means).astype(np.float64)
    for index, kernel in enumerate(weights):  # a separable convolution has two, one of which makes several of each channel
        axis = side.inputs.axes[0] if index == 0 else -2  # type: ignore[union-attr]  # coupled() asked
        own = np.moveaxis(kernel, axis, -2).astype(np.float64)
        own = own.reshape(-1, *own.shape[-2:]).sum(axis=0)  # (inputs, outputs): what a constant of each input adds
        depthwise = index < len(weights) - 1
        weights[index] = np.compress(reads, kernel, axis=axis)
        taken = (taken[:, None] * own).ravel() if depthwise else taken @ own
        reads = np.repeat(reads, kernel.shape[-1]) if depthwise else reads
    outputs = side.outputs  # type: ignore[union-attr]
    weights[outputs.weight] = np.compress(stays, weights[outputs.weight], axis=outputs.axes[0])
    bias = (bias + taken).astype(np.float32)[stays]
    use_bias = layer.use_bias or bool(bias.any())
    width = "units" if type(layer).__name__ == "Dense" else "filters"
    return surgery.changed(layer, [*weights, bias] if use_bias else weights, use_bias=use_bias, **{width: int(stays.sum())})

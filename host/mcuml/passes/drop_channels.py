"""Drop the channels of int8 convolutions that nobody needs: those whose readers have zero weights for them, and those with
one constant value, whose part in a reader's sums goes into the reader's bias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcuml import lanes
from mcuml.geometry import window
from mcuml.graph import Graph, Node, Quantization, Tensor
from mcuml.numerics import activation_range, multiply_by_quantized_multiplier
from mcuml.ops.conv_2d import Conv2D
from mcuml.ops.depthwise_conv_2d import DepthwiseConv2D
from mcuml.ops.fully_connected import FullyConnected
from mcuml.ops.pool_2d import Pool2D
from mcuml.ops.reshape import Reshape
from mcuml.weighted import channel_scales, weighted

WHOLE = 4  # the kernels take channels in groups of four, so a remainder saves nothing
INT32 = 1 << 31

Masks = dict[int, np.ndarray]  # tensor -> bool (channels,)


@dataclass(frozen=True, eq=False)
class _Constants:
    """Of a tensor's channels: which hold one value at every pixel of every inference, and that value (0 elsewhere)."""

    known: np.ndarray  # bool (C,)
    value: np.ndarray  # int64 (C,)


def run(graph: Graph) -> Graph:
    """`graph` with fewer channels where some are not needed; its inputs and outputs keep theirs."""
    layers = [_Layer(node, graph) if _known(node, graph) else node for node in graph.nodes]
    constants = _constants(graph, layers)
    dropped = _dropped(graph, layers, constants)
    if not any(mask.any() for mask in dropped.values()):
        return graph
    tensors = list(graph.tensors)
    for t, mask in dropped.items():
        if mask.any():
            kept = np.flatnonzero(~mask)
            tensors[t] = replace(tensors[t], shape=(*tensors[t].shape[:-1], len(kept)), kept=kept)
    nodes, saved = [], 0
    for layer in layers:
        if isinstance(layer, _Layer) and any(dropped[t].any() for t in (layer.source, layer.target) if t in dropped):
            node = layer.shrunk(tensors, constants[layer.source], dropped)
            saved += _macs(layer.node, graph.tensors) - _macs(node, tensors)
            nodes.append(node)
        else:
            nodes.append(layer.node if isinstance(layer, _Layer) else layer)
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes), dropped_macs=saved)


def _known(node: Node, graph: Graph) -> bool:
    """Whether the node is of a kind that this pass understands: int8, and its last dimension the channels."""
    if not isinstance(node.attrs, (Conv2D, FullyConnected, Pool2D, Reshape)):
        return False
    node.attrs.check(node, graph)
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if source.dtype != "int8" or output.dtype != "int8" or source.is_const or not source.shape or not output.shape:
        return False
    if isinstance(node.attrs, (Pool2D, Reshape, DepthwiseConv2D)):
        return source.shape[-1] == output.shape[-1]
    return graph.tensors[node.inputs[1]].shape[-1] == source.shape[-1]  # neither in groups nor over flattened pixels


class _Layer:
    """A node of a known kind. `weights`: int64 (N, taps, C) of one whose outputs are sums over all input channels (`mixes`);
    (1, taps, C) of a depthwise one; None of one that only passes channels on."""

    def __init__(self, node: Node, graph: Graph):
        self.node, self.graph = node, graph
        self.source, self.target = node.inputs[0], node.outputs[0]
        self.mixes = isinstance(node.attrs, (Conv2D, FullyConnected)) and not isinstance(node.attrs, DepthwiseConv2D)
        self.weights: np.ndarray | None = None
        if self.mixes or isinstance(node.attrs, DepthwiseConv2D):
            source, weights, bias, output = weighted(node, graph)
            assert weights.data is not None
            values = weights.data.astype(np.int64)
            self.weights = values.reshape(len(values) if self.mixes else 1, -1, values.shape[-1])
            self.scaling = lanes.requantization(None if bias is None else bias.data, channel_scales(source, weights, output))

    def alike(self, held: _Constants) -> _Constants:
        """The constant input channels that give every window the same values, padding included: TFLite pads with the zero
        point, so a channel that holds another value must not be padded."""
        if isinstance(self.node.attrs, FullyConnected):
            return held
        assert isinstance(self.node.attrs, Conv2D)
        attrs, source, weights = self.node.attrs, self.graph.tensors[self.source], self.graph.tensors[self.node.inputs[1]]
        taps = (weights.shape[1], weights.shape[2])
        axes = window(self.node, self.graph, source, taps, attrs.stride, attrs.dilation, attrs.padding)
        if all(a.all_inside for a in axes):
            return held
        return _Constants(held.known & (held.value == source.zero_point), held.value)

    def parts(self, held: _Constants, which: np.ndarray) -> np.ndarray:
        """What the constant input channels of the mask `which` add to each sum: int64 (N,), or (C,) of a depthwise one."""
        assert self.weights is not None
        offset = np.where(held.known & which, held.value - self.graph.tensors[self.source].zero_point, 0)
        products = (self.weights * offset).sum(1)
        return products.sum(1) if self.mixes else products[0]

    def outputs(self, held: _Constants) -> _Constants:
        """What is known of the output channels, given what is known of the input's."""
        attrs, output = self.node.attrs, self.graph.tensors[self.target]
        if isinstance(attrs, Reshape):
            return held
        low, high = activation_range(attrs.activation, output)
        if self.weights is None:
            return _Constants(held.known, np.clip(held.value, low, high))
        held = self.alike(held)
        settled = (self.weights == 0).all(1) | held.known
        sums = self.scaling.bias + self.parts(held, held.known)
        known = (settled.all(1) if self.mixes else settled[0]) & (np.abs(sums) < INT32)
        value = np.zeros(len(known), np.int64)
        for c in np.flatnonzero(known):
            scaled = multiply_by_quantized_multiplier(sums[c], int(self.scaling.multiplier[c]), int(self.scaling.shift[c]))
            value[c] = np.clip(scaled + output.zero_point, low, high)
        return _Constants(known, value)

    def needless(self, held: _Constants, masks: Masks) -> Iterator[tuple[int, np.ndarray]]:
        """(tensor, mask): what this layer allows to drop of its input and, where it passes channels on, of its output."""
        if self.mixes:
            assert self.weights is not None
            needed = ~masks[self.target] if self.target in masks else np.ones(len(self.weights), bool)
            held = self.alike(held)
            fits = np.all(np.abs(self.scaling.bias) + np.abs(self.weights).sum((1, 2)) * 255 < INT32)
            yield self.source, (self.weights[needed] == 0).all((0, 1)) | (held.known & fits)
        else:
            none = np.zeros(self.graph.tensors[self.source].shape[-1], bool)
            yield self.source, masks.get(self.target, none)
            yield self.target, masks.get(self.source, none)

    def shrunk(self, tensors: list[Tensor], held: _Constants, dropped: Masks) -> Node:
        """The node without the dropped channels; its new weights and bias are added to `tensors`."""
        if self.weights is None:
            if self.node.code != "RESHAPE":
                return self.node
            return replace(self.node, attrs=replace(self.node.attrs, dims=()), inputs=self.node.inputs[:1])
        source, weights, bias, output = weighted(self.node, self.graph)
        assert weights.data is not None and weights.quant is not None
        gone = dropped.get(self.source, np.zeros(source.shape[-1], bool))
        gone_out = dropped.get(self.target, np.zeros(output.shape[-1], bool))
        data, values = weights.data[..., ~gone], self.scaling.bias
        if self.mixes:
            data, values = data[~gone_out], values + self.parts(self.alike(held), gone)
        tensors.append(replace(weights, data=data, shape=data.shape, quant=_without(weights.quant, gone_out)))
        name, quant = (f"{weights.name}/bias", None) if bias is None else (bias.name, _without(bias.quant, gone_out))
        folded = values[~gone_out].astype(np.int32)
        tensors.append(Tensor(name, "int32", folded.shape, quant, folded))
        return replace(self.node, inputs=(self.source, len(tensors) - 2, len(tensors) - 1))


def _constants(graph: Graph, layers: list[_Layer | Node]) -> dict[int, _Constants]:
    """What is known of the tensors that layers of known kinds read and write."""
    found: dict[int, _Constants] = {}
    for layer in layers:
        if isinstance(layer, _Layer):
            channels = graph.tensors[layer.source].shape[-1]
            held = found.setdefault(layer.source, _Constants(np.zeros(channels, bool), np.zeros(channels, np.int64)))
            found[layer.target] = layer.outputs(held)
    return found


def _dropped(graph: Graph, layers: list[_Layer | Node], constants: Mapping[int, _Constants]) -> Masks:
    """Which channels can go. Starts from all of them and takes back what a reader needs or a writer cannot leave out."""
    written = [layer.target for layer in layers if isinstance(layer, _Layer) and layer.target not in graph.outputs]
    masks = {t: np.ones(graph.tensors[t].shape[-1], bool) for t in written}
    changed = True
    while changed:
        changed = False
        for layer in reversed(layers):
            if isinstance(layer, _Layer):
                allowed = list(layer.needless(constants[layer.source], masks))
            else:
                allowed = [(t, np.zeros_like(masks[t])) for t in layer.inputs if t in masks]
            for t, needless in allowed:
                if t in masks and np.any(masks[t] & ~needless):
                    masks[t] = masks[t] & needless
                    changed = True
    for mask in masks.values():
        # Tensors between which channels are only passed on have equal masks here, so they take back the same ones.
        stay = int((~mask).sum())
        mask[np.flatnonzero(mask)[: max(WHOLE, -(-stay // WHOLE) * WHOLE) - stay]] = False
    return masks


def _without(quant: Quantization | None, gone: np.ndarray) -> Quantization | None:
    """`quant` of a tensor that loses the output channels `gone`."""
    if quant is None or quant.per_tensor:
        return quant
    points = quant.zero_point if len(quant.zero_point) == 1 else quant.zero_point[~gone]
    return Quantization(quant.scale[~gone], points, quant.axis)


def _macs(node: Node, tensors: Sequence[Tensor]) -> int:
    """Multiply-accumulates of a node with weights: each weight meets each output pixel once."""
    if not isinstance(node.attrs, (Conv2D, FullyConnected)):
        return 0
    output = tensors[node.outputs[0]]
    return tensors[node.inputs[1]].elements * output.elements // output.shape[-1]

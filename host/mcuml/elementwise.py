"""What operators without weights have in common: arity, types, per-tensor quantization, 256-entry tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from mcuml.graph import ABSENT, Constant, Graph, Kernel, Node, Overlap, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier
from mcuml.ops import require
from mcuml.shapes import broadcast_loops

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
QUANTIZED = ("int8", "uint8", "int16")
AGAIN = "Convert the model again with full integer quantization."


def operands(node: Node, graph: Graph, least: int, most: int | None = None) -> tuple[list[Tensor], Tensor]:
    """(inputs, output) of a node with `least` to `most` inputs, none left out, and one output."""
    most = least if most is None else most
    fits = least <= len(node.inputs) <= most and len(node.outputs) == 1 and ABSENT not in node.inputs
    wanted = f"{least}" if least == most else f"{least} to {most}"
    require(fits, node, graph, f"it needs {wanted} input{'' if most == 1 else 's'} and one output.")
    return [graph.tensors[t] for t in node.inputs], graph.tensors[node.outputs[0]]


def same_type(node: Node, graph: Graph, tensors: Sequence[Tensor], served: Collection[str]) -> str:
    """The one dtype of `tensors`, which must be among `served`."""
    kinds = {t.dtype for t in tensors}
    good = len(kinds) == 1 and kinds <= set(served)
    require(good, node, graph, f"its tensors must all be {' or all '.join(served)}.", "Use int8 or float32 throughout.")
    return tensors[0].dtype


def per_tensor(node: Node, graph: Graph, tensors: Sequence[Tensor], centered: bool = True) -> None:
    """Each quantized tensor needs one positive scale and a zero point that its type can hold, in int16 0 if `centered`."""
    for tensor in tensors:
        quant = tensor.quant
        one = quant is not None and quant.per_tensor and 0 < tensor.scale < math.inf
        require(one, node, graph, f"tensor '{tensor.name}' needs one scale and one zero point.", AGAIN)
        if tensor.dtype in QUANTIZED:
            limits = np.iinfo(np.dtype(tensor.dtype))
            fits = limits.min <= tensor.zero_point <= limits.max
            require(
                fits, node, graph, f"tensor '{tensor.name}' has zero point {tensor.zero_point}, outside {tensor.dtype}.", AGAIN
            )
        if tensor.dtype == "int16" and centered:
            require(tensor.zero_point == 0, node, graph, f"int16 tensor '{tensor.name}' must have zero point 0.", AGAIN)


def same_quantization(node: Node, graph: Graph, a: Tensor, b: Tensor) -> None:
    """Two quantized tensors whose bytes must mean the same."""
    same = a.scale == b.scale and a.zero_point == b.zero_point
    require(same, node, graph, f"'{a.name}' and '{b.name}' must have the same scale and zero point.", AGAIN)


def shaped(node: Node, graph: Graph, output: Tensor, shape: Sequence[int] | None) -> None:
    """The output's shape must be the one that the inputs give (None: they give none)."""
    require(shape is not None, node, graph, "the shapes of its inputs do not go together.")
    wanted = list(shape or ())
    require(list(output.shape) == wanted, node, graph, f"its output has shape {list(output.shape)}; its inputs give {wanted}.")


def known_activation(node: Node, graph: Graph, activation: str) -> None:
    require(
        activation in ACTIVATIONS,
        node,
        graph,
        f"the fused activation {activation} is not served.",
        f"Served: {', '.join(ACTIVATIONS)}.",
    )


def constant_input(node: Node, graph: Graph, position: int, what: str) -> np.ndarray:
    """The values of an input that must be constant, such as axes or paddings, flattened to int64."""
    tensor = graph.tensors[node.inputs[position]]
    require(tensor.is_const and tensor.dtype in ("int32", "int64"), node, graph, f"its {what} must be constant integers.")
    assert tensor.data is not None
    return tensor.data.reshape(-1).astype(np.int64)


def operand_constants(node: Node, graph: Graph) -> tuple[Constant, ...]:
    """Inputs that are constants, under the roles "input0", "input1", ...; kernels ask for io.const by that name."""
    return tuple(
        Constant(f"input{i}", tensor.data)
        for i, tensor in enumerate(graph.tensors[t] for t in node.inputs)
        if tensor.data is not None
    )


def in_place(node: Node, graph: Graph, distance: int = 0) -> tuple[Overlap, ...]:
    """Permission to write over the first input, unless it is a constant."""
    return () if graph.tensors[node.inputs[0]].is_const else (Overlap(0, 0, distance),)


class Broadcast:
    """The fewest loops in which all inputs of `node` broadcast to its output; the innermost steps are 1 or 0."""

    def __init__(self, node: Node, graph: Graph):
        self.node, self.graph = node, graph
        self.output = graph.tensors[node.outputs[0]]
        *self.outer, self.inner = broadcast_loops([graph.tensors[t].shape for t in node.inputs], self.output.shape)

    def kernel(self, template: str, **params: Any) -> Kernel:
        """A kernel with the loops as parameters: outer `counts` and, for each operand, their `strides` and its inner
        `steps`; `elements` is the innermost count."""
        loops = {
            "dtype": self.output.dtype, "counts": tuple(loop.count for loop in self.outer), "elements": self.inner.count,
            "strides": tuple(zip(*(loop.strides for loop in self.outer), strict=True)) or ((),) * len(self.inner.strides),
            "steps": self.inner.strides,
        }  # fmt: skip
        constants = operand_constants(self.node, self.graph)
        return Kernel(template, {**loops, **params}, constants, overlaps=self._overlaps())

    def _overlaps(self) -> tuple[Overlap, ...]:
        """An operand that is not broadcast is read, element by element, before the output is written there."""
        inputs = [self.graph.tensors[t] for t in self.node.inputs]
        return tuple(
            Overlap(i, 0)
            for i, t in enumerate(inputs)
            if not t.is_const and t.elements == self.output.elements and t.bytes >= self.output.bytes
        )


ALL_INT8 = np.arange(-128, 128, dtype=np.int64)
ALL_UINT8 = np.arange(256, dtype=np.int64)


def lut8(node: Node, graph: Graph, function: Callable[[np.ndarray], np.ndarray], position: int = 0) -> Kernel:
    """A kernel that looks each byte of input `position` up in a table. `function` maps all values of the input's type,
    int64 in rising order, to the output's values, which must lie in its type."""
    source, output = graph.tensors[node.inputs[position]], graph.tensors[node.outputs[0]]
    values = ALL_INT8 if source.dtype == "int8" else ALL_UINT8
    table = np.empty(256, np.uint8)
    table[values & 255] = function(values) & 255
    overlaps = () if source.is_const else (Overlap(position, 0),)
    params = {"elements": output.elements, "position": position}
    return Kernel("lut8", params, (Constant("table", table), *operand_constants(node, graph)), overlaps=overlaps)


def rescale(values: np.ndarray, source: Tensor, output: Tensor, real: float, low: int, high: int) -> np.ndarray:
    """Requantize `values` of `source` to `output`: zero point + real * (value - zero point), clamped to low..high."""
    scaled = multiply_by_quantized_multiplier(values - source.zero_point, *quantize_multiplier(real))
    return np.clip(output.zero_point + scaled, low, high)

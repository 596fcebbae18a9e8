"""CONCATENATION along any axis and PACK along a new one: copies only. TFLM wants int8 inputs of CONCATENATION to have the
output's scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import operand_constants, operands, per_tensor, same_quantization, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator, require

SERVED = ("int8", "float32", "int16", "int32", "int64", "bool")
MOST_INPUTS = 10  # TFLM's limit
MOST_PACKED = 1000  # no limit of TFLM's


@dataclass(frozen=True)
class Concatenation(Operator):
    """1 to 10 inputs of one type that agree in all dimensions but `axis` (negative: from the end)."""

    axis: int
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("CONCATENATION",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Concatenation:
        return cls(int(options["axis"]), options["fused_activation_function"])

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 1, MOST_INPUTS)
        dtype = same_type(node, graph, [*inputs, output], SERVED)
        require(
            self.activation == "NONE",
            node,
            graph,
            f"the fused activation {self.activation} is not served.",
            "TFLM has none either.",
        )
        rank = len(output.shape)
        require(-rank <= self.axis < rank, node, graph, f"axis {self.axis} is outside its {rank} dimensions.")
        axis = self.axis % rank
        rest = [(*t.shape[:axis], *t.shape[axis + 1 :]) for t in inputs]
        agree = all(len(t.shape) == rank for t in inputs) and len(set(rest)) == 1
        joined = [*inputs[0].shape[:axis], sum(t.shape[axis] for t in inputs), *inputs[0].shape[axis + 1 :]] if agree else None
        shaped(node, graph, output, joined)
        if dtype == "int8":
            per_tensor(node, graph, [*inputs, output], centered=False)
            for tensor in inputs:
                same_quantization(node, graph, tensor, output)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        shape = graph.tensors[node.outputs[0]].shape
        return _joined(node, graph, prod(shape[: self.axis % len(shape)]))


@dataclass(frozen=True)
class Pack(Operator):
    """Inputs of one type and shape, one after the other along the new dimension `axis` of the output."""

    axis: int
    count: int

    CODES: ClassVar[tuple[str, ...]] = ("PACK",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Pack:
        return cls(int(options["axis"]), int(options["values_count"]))

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 1, MOST_PACKED)
        same_type(node, graph, [*inputs, output], ("int8", "float32", "int16", "int32", "int64"))
        require(self.count == len(inputs), node, graph, f"it says that it has {self.count} inputs, and has {len(inputs)}.")
        shape, rank = inputs[0].shape, len(inputs[0].shape) + 1
        require(-rank <= self.axis < rank, node, graph, f"axis {self.axis} is outside its {rank} dimensions.")
        alike = all(t.shape == shape for t in inputs)
        axis = self.axis % rank
        shaped(node, graph, output, (*shape[:axis], len(inputs), *shape[axis:]) if alike else None)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        shape = graph.tensors[node.outputs[0]].shape
        return _joined(node, graph, prod(shape[: self.axis % len(shape)]))


def _joined(node: Node, graph: Graph, rows: int) -> Kernel:
    """Each of `rows` rows of the output is a row of each input after the other."""
    inputs = [graph.tensors[t] for t in node.inputs]
    sizes = [t.bytes // rows for t in inputs]
    params = {"rows": rows, "sizes": tuple(sizes), "step": sum(sizes)}
    # One row: an input that already lies in its place within the output needs no copy.
    places = [sum(sizes[:i]) for i in range(len(sizes))]
    overlaps = tuple(
        Overlap(i, 0, place, exact=True)
        for i, (t, place) in enumerate(zip(inputs, places, strict=True))
        if rows == 1 and not t.is_const and place % 4 == 0
    )
    return Kernel("concatenation", params, operand_constants(node, graph), overlaps=overlaps)

"""CONCATENATION along any axis: copies only; int8 inputs must have the output's scale, as TFLM wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import operand_constants, operands, per_tensor, same_quantization, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator, require

SERVED = ("int8", "float32", "int16", "int32", "int64", "bool")
MOST_INPUTS = 10  # TFLM's limit


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
            per_tensor(node, graph, [*inputs, output])
            for tensor in inputs:
                same_quantization(node, graph, tensor, output)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        inputs, output = [graph.tensors[t] for t in node.inputs], graph.tensors[node.outputs[0]]
        axis = self.axis % len(output.shape)
        rows = prod(output.shape[:axis])
        inner = prod(output.shape[axis + 1 :]) * np.dtype(output.dtype).itemsize
        sizes = [t.shape[axis] * inner for t in inputs]
        params = {"rows": rows, "sizes": tuple(sizes), "step": sum(sizes)}
        # One row: an input that already lies in its place within the output needs no copy.
        places = [sum(sizes[:i]) for i in range(len(sizes))]
        overlaps = tuple(
            Overlap(i, 0, place, exact=True)
            for i, (t, place) in enumerate(zip(inputs, places, strict=True))
            if rows == 1 and not t.is_const and place % 4 == 0
        )
        return Kernel("concatenation", params, operand_constants(node, graph), overlaps=overlaps)

"""ARG_MAX and ARG_MIN along a constant axis: int8 and float32; the first of equal values counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import constant_input, operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class ArgMinMax(Operator):
    """Input and constant axis; the int32 output lacks that dimension."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = ("ARG_MAX", "ARG_MIN")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> ArgMinMax:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source], ("int8", "float32"))
        require(output.dtype == "int32", node, graph, f"its output is {output.dtype}; int32 is served.")
        axis, rank = int(constant_input(node, graph, 1, "axis")[0]), len(source.shape)
        require(-rank <= axis < rank, node, graph, f"axis {axis} is outside its {rank} dimensions.")
        axis %= rank
        shaped(node, graph, output, (*source.shape[:axis], *source.shape[axis + 1 :]))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source = graph.tensors[node.inputs[0]]
        axis = int(constant_input(node, graph, 1, "axis")[0]) % len(source.shape)
        params = {
            "kind": self.code[4:].lower(), "dtype": source.dtype, "outer": prod(source.shape[:axis]),
            "count": source.shape[axis], "inner": prod(source.shape[axis + 1 :]),
        }  # fmt: skip
        return Kernel("arg_min_max", params, operand_constants(node, graph)[:1] if source.is_const else ())

"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same bytes under another shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import constant_input, operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class Reshape(Operator):
    """One input, and for RESHAPE optionally the new shape. The output's shape is what the file says it is: a shape that
    is computed in the graph, or one with -1, is settled there. Element count and type must stay."""

    code: str
    dims: tuple[int, ...]  # RESHAPE: the new shape, () when an input gives it; SQUEEZE: dimensions to drop, () for all of 1

    CODES: ClassVar[tuple[str, ...]] = ("RESHAPE", "SQUEEZE")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Reshape:
        return cls(code, tuple(int(d) for d in options.get("new_shape" if code == "RESHAPE" else "squeeze_dims") or ()))

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 1, 2 if self.code == "RESHAPE" else 1)
        source = inputs[0]
        require(source.dtype == output.dtype, node, graph, "its output has another type than its input.")
        count = f"its output has {output.elements} elements, its input {source.elements}."
        require(source.elements == output.elements, node, graph, count)
        if self.code == "SQUEEZE":
            rank = len(source.shape)
            drop = {d % rank for d in self.dims if -rank <= d < rank}
            good = len(drop) == len(set(self.dims)) and all(source.shape[d] == 1 for d in drop)
            require(good, node, graph, f"it drops dimensions {list(self.dims)} of {list(source.shape)}; each must be 1.")
            wanted = [n for i, n in enumerate(source.shape) if (i not in drop if self.dims else n != 1)]
            require(list(output.shape) == wanted, node, graph, f"its output has shape {list(output.shape)}, not {wanted}.")
        elif len(inputs) == 2 and inputs[1].is_const:
            self._agrees(node, graph, [int(d) for d in constant_input(node, graph, 1, "new shape")], output.shape)
        elif len(inputs) == 1 and self.dims not in ((), (0,)):
            self._agrees(node, graph, list(self.dims), output.shape)

    def _agrees(self, node: Node, graph: Graph, wanted: list[int], shape: tuple[int, ...]) -> None:
        """`wanted` may leave one dimension open as -1."""
        known = prod(d for d in wanted if d != -1)
        filled = [prod(shape) // known if d == -1 and known > 0 else d for d in wanted]
        good = wanted.count(-1) <= 1 and filled == list(shape)
        require(good, node, graph, f"its output has shape {list(shape)}; the new shape is {wanted}.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return _same_bytes(node, graph)


@dataclass(frozen=True)
class ExpandDims(Operator):
    """Input and one constant axis, at which the output has one more dimension, of 1."""

    CODES: ClassVar[tuple[str, ...]] = ("EXPAND_DIMS",)

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], ("int8", "float32", "int16"))
        axis, rank = constant_input(node, graph, 1, "axis"), len(source.shape) + 1
        good = len(axis) == 1 and -rank <= axis[0] < rank
        require(bool(good), node, graph, f"axis {axis.tolist()} is not one of its output's {rank} dimensions.")
        place = int(axis[0]) % rank
        shaped(node, graph, output, (*source.shape[:place], 1, *source.shape[place:]))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return _same_bytes(node, graph)


def _same_bytes(node: Node, graph: Graph) -> Kernel:
    """A view; a constant, which is not in the arena, is copied there."""
    source = graph.tensors[node.inputs[0]]
    if source.is_const:
        return Kernel("reshape", {"bytes": source.bytes}, operand_constants(node, graph)[:1])
    return Kernel("", view=True)

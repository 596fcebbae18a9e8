"""SELECT_V2: each element from one of two tensors, by a condition; all three broadcast. Scales and zero points do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcuml.elementwise import Broadcast, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require
from mcuml.shapes import broadcast_shape


@dataclass(frozen=True)
class Select(Operator):
    """A bool condition, two inputs and an output of one type."""

    CODES: ClassVar[tuple[str, ...]] = ("SELECT_V2",)

    def check(self, node: Node, graph: Graph) -> None:
        (condition, x, y), output = operands(node, graph, 3)
        require(condition.dtype == "bool", node, graph, f"its condition is {condition.dtype}, not bool.")
        same_type(node, graph, [x, y, output], ("int8", "float32", "int16"))
        shapes = [t.shape for t in (condition, x, y)]
        if all(t.elements == 1 for t in (condition, x, y, output)):
            shapes = [output.shape]  # TFLM takes single numbers whatever their ranks
        shaped(node, graph, output, broadcast_shape(*shapes))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return Broadcast(node, graph).kernel("select")

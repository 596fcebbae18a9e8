"""SHAPE and BROADCAST_ARGS: shapes as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import operand_constants, operands, same_type, shaped
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class Shape(Operator):
    """One input of any type; its dimensions as int32."""

    CODES: ClassVar[tuple[str, ...]] = ("SHAPE",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Shape:
        return cls()

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        require(output.dtype == "int32", node, graph, f"its output is {output.dtype}; int32 is served.")
        require(len(source.shape) >= 1, node, graph, "a scalar has no dimensions to tell.")
        shaped(node, graph, output, (len(source.shape),))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        shape = np.array(graph.tensors[node.inputs[0]].shape, np.int32)
        return Kernel("reshape", {"bytes": shape.nbytes}, (Constant("input0", shape),))


@dataclass(frozen=True)
class BroadcastArgs(Operator):
    """Two shapes as int32 or int64; the one that they broadcast to, with 1 in front where the output is longer. Shapes that
    do not go together end the inference with an error."""

    CODES: ClassVar[tuple[str, ...]] = ("BROADCAST_ARGS",)

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2)
        same_type(node, graph, [*inputs, output], ("int32", "int64"))
        flat = all(len(t.shape) == 1 for t in (*inputs, output))
        require(flat, node, graph, "its inputs and its output must have one dimension.")
        shaped(node, graph, output, (max(t.elements for t in inputs),))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        a, b = (graph.tensors[t] for t in node.inputs)
        params = {"dtype": a.dtype, "a": a.elements, "b": b.elements, "count": graph.tensors[node.outputs[0]].elements}
        return Kernel("broadcast_args", params, operand_constants(node, graph))

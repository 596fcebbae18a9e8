"""TRANSPOSE by a constant permutation: int8, int16 and float32, up to five dimensions as in TFLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcuml.elementwise import constant_input, operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require
from mcuml.shapes import transpose_loops

RANKS = range(1, 6)


@dataclass(frozen=True)
class Transpose(Operator):
    """Input and constant permutation; output dimension i is input dimension perm[i]."""

    CODES: ClassVar[tuple[str, ...]] = ("TRANSPOSE",)

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], ("int8", "float32", "int16"))
        rank = len(source.shape)
        require(rank in RANKS, node, graph, f"its input has {rank} dimensions; 1 to 5 are served.")
        perm = self._perm(node, graph)
        require(sorted(perm) == list(range(rank)), node, graph, f"{perm} is not a permutation of its {rank} dimensions.")
        shaped(node, graph, output, [source.shape[d] for d in perm])

    def _perm(self, node: Node, graph: Graph) -> list[int]:
        return [int(d) for d in constant_input(node, graph, 1, "permutation")]

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source = graph.tensors[node.inputs[0]]
        loops = transpose_loops(source.shape, self._perm(node, graph))
        if not source.is_const and (not loops or (len(loops) == 1 and loops[0].strides == (1, 1))):
            return Kernel("", view=True)  # only dimensions of 1 moved
        *outer, rows, columns = [None, None, *loops][-max(2, len(loops)) :]
        params = {
            "dtype": source.dtype, "counts": tuple(loop.count for loop in outer if loop),
            "strides": tuple(tuple(loop.strides[i] for loop in outer if loop) for i in (0, 1)),
            "rows": rows.count if rows else 1, "row": rows.strides[0] if rows else 0,
            "columns": columns.count if columns else 1, "column": columns.strides[0] if columns else 1,
        }  # fmt: skip
        return Kernel("transpose", params, operand_constants(node, graph)[:1] if source.is_const else ())

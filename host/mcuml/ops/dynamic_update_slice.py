"""DYNAMIC_UPDATE_SLICE: a part of a tensor is replaced; where it lies is data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcuml.elementwise import operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator, require
from mcuml.shapes import copy_rows, strides_of


@dataclass(frozen=True)
class DynamicUpdateSlice(Operator):
    """Operand, update (not larger in any dimension) and int32 or int64 start per dimension, moved so far that the update
    lies inside the operand."""

    CODES: ClassVar[tuple[str, ...]] = ("DYNAMIC_UPDATE_SLICE",)
    MOST_DIMENSIONS: ClassVar[int] = 6

    def check(self, node: Node, graph: Graph) -> None:
        (operand, update, start), output = operands(node, graph, 3)
        same_type(node, graph, [operand, update, output], ("int8", "float32", "int16", "int32"))
        require(start.dtype in ("int32", "int64"), node, graph, f"its start is {start.dtype}; it must be int32 or int64.")
        rank = len(operand.shape)
        served = f"its operand has {rank} dimensions; 1 to {self.MOST_DIMENSIONS} are served."
        require(1 <= rank <= self.MOST_DIMENSIONS, node, graph, served)
        fits = len(update.shape) == rank and all(u <= n for u, n in zip(update.shape, operand.shape, strict=True))
        require(fits, node, graph, f"its update {list(update.shape)} does not fit into {list(operand.shape)}.")
        require(start.shape == (rank,), node, graph, f"its start must be {rank} numbers.")
        shaped(node, graph, output, operand.shape)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        operand, update, start = (graph.tensors[t] for t in node.inputs)
        size = np.dtype(operand.dtype).itemsize
        outer, row = copy_rows(update.shape, update.shape, operand.shape, size)
        params = {
            "start": start.dtype, "bytes": operand.bytes, "row": row,
            "counts": tuple(s.count for s in outer), "sources": tuple(s.source for s in outer),
            "targets": tuple(s.target for s in outer),
            "limits": tuple(n - u for n, u in zip(operand.shape, update.shape, strict=True)),
            "steps": tuple(stride * size for stride in strides_of(operand.shape)),
        }  # fmt: skip
        # The operand is copied first, and as a whole, however it lies.
        overlaps = () if operand.is_const else (Overlap(0, 0, -operand.bytes),)
        return Kernel("dynamic_update_slice", params, operand_constants(node, graph), overlaps=overlaps)

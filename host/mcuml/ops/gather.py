"""GATHER, GATHER_ND and EMBEDDING_LOOKUP: rows whose numbers are data. A number outside the table ends the inference with
an error before anything outside is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import operand_constants, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.movement import Copy, move
from mcuml.ops import Operator, require
from mcuml.shapes import picked, strides_of

TYPES = ("int8", "float32")  # TFLite Micro's


def _indices(node: Node, graph: Graph, indices: Tensor) -> None:
    require(indices.dtype == "int32", node, graph, f"its indices are {indices.dtype}; they must be int32.")


def _inside(node: Node, graph: Graph, indices: Tensor, size: int) -> None:
    if indices.data is not None:
        low, high = int(indices.data.min()), int(indices.data.max())
        require(low >= 0 and high < size, node, graph, f"its indices go from {low} to {high}; there are {size} entries.")


def _rows(node: Node, graph: Graph, table: int, indices: int, batches: int, outer: int, rows: int) -> Kernel:
    """For each of batches * outer tables of `rows` rows, those that the batch's indices name. `table` and `indices` are
    positions in the node's inputs."""
    source, output = graph.tensors[node.inputs[table]], graph.tensors[node.outputs[0]]
    params = {
        "kind": "rows", "table": table, "indices": indices, "batches": batches, "outer": outer, "rows": rows,
        "count": graph.tensors[node.inputs[indices]].elements // batches,
        "bytes": source.bytes // (batches * outer * rows),
        "scale": source.scale if source.dtype != output.dtype else None,
    }  # fmt: skip
    return Kernel("gather", params, operand_constants(node, graph))


@dataclass(frozen=True)
class Gather(Operator):
    """Input and int32 indices: entries along `axis`; the first `batch_dims` dimensions of both go together."""

    axis: int
    batch_dims: int

    CODES: ClassVar[tuple[str, ...]] = ("GATHER",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Gather:
        return cls(int(options["axis"]), int(options["batch_dims"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, indices), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], TYPES)
        _indices(node, graph, indices)
        rank = len(source.shape)
        require(-rank <= self.axis < rank, node, graph, f"axis {self.axis} is outside its {rank} dimensions.")
        axis, batch = self._places(node, graph)
        agree = 0 <= batch <= min(axis, len(indices.shape)) and source.shape[:batch] == indices.shape[:batch]
        require(agree, node, graph, f"its first {self.batch_dims} dimensions do not go together with those of its indices.")
        shaped(node, graph, output, (*source.shape[:axis], *indices.shape[batch:], *source.shape[axis + 1 :]))
        _inside(node, graph, indices, source.shape[axis])

    def _places(self, node: Node, graph: Graph) -> tuple[int, int]:
        """(axis, number of batch dimensions), counted from the front."""
        source, indices = (graph.tensors[t] for t in node.inputs)
        batch = self.batch_dims + (len(indices.shape) if self.batch_dims < 0 else 0)
        return self.axis % len(source.shape), batch

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, indices = (graph.tensors[t] for t in node.inputs)
        axis, batch = self._places(node, graph)
        if indices.data is not None and batch == 0:
            picks = [indices.data.reshape(-1) if d == axis else np.arange(n) for d, n in enumerate(source.shape)]
            return move(node, graph, [Copy(picked(source.shape, picks))])
        outer = prod(source.shape[batch:axis])
        return _rows(node, graph, 0, 1, prod(source.shape[:batch]), outer, source.shape[axis])


@dataclass(frozen=True)
class GatherNd(Operator):
    """Input and int32 indices (..., n): slices that the first n dimensions' numbers name."""

    CODES: ClassVar[tuple[str, ...]] = ("GATHER_ND",)
    MOST_INDICES: ClassVar[int] = 5

    def check(self, node: Node, graph: Graph) -> None:
        (source, indices), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], TYPES)
        _indices(node, graph, indices)
        numbers = indices.shape[-1] if indices.shape else 0
        most = min(len(source.shape), self.MOST_INDICES)
        require(1 <= numbers <= most, node, graph, f"it names {numbers} dimensions; 1 to {most} can be named.")
        shaped(node, graph, output, (*indices.shape[:-1], *source.shape[numbers:]))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, indices = (graph.tensors[t] for t in node.inputs)
        numbers = indices.shape[-1]
        size = prod(source.shape[numbers:])
        params = {
            "kind": "slices", "count": prod(indices.shape[:-1]), "strides": strides_of(source.shape)[:numbers],
            "last": source.elements - size, "item": np.dtype(source.dtype).itemsize,
            "bytes": size * np.dtype(source.dtype).itemsize,
        }  # fmt: skip
        return Kernel("gather", params, operand_constants(node, graph))


@dataclass(frozen=True)
class EmbeddingLookup(Operator):
    """int32 row numbers (n,) and a table of two dimensions or more; rows of an int8 table may come out as float32."""

    CODES: ClassVar[tuple[str, ...]] = ("EMBEDDING_LOOKUP",)

    def check(self, node: Node, graph: Graph) -> None:
        (indices, table), output = operands(node, graph, 2)
        _indices(node, graph, indices)
        kinds = (table.dtype, output.dtype)
        served = kinds in (("float32", "float32"), ("int8", "int8"), ("int8", "float32"))
        require(served, node, graph, f"{kinds[0]} to {kinds[1]} is not served.", "Use int8 or float32.")
        flat = len(indices.shape) == 1 and len(table.shape) >= 2
        require(flat, node, graph, "it needs one dimension of indices and a table of two dimensions or more.")
        shaped(node, graph, output, (*indices.shape, *table.shape[1:]))
        if kinds == ("int8", "float32"):
            per_tensor(node, graph, [table])
            require(table.zero_point == 0, node, graph, f"its table has zero point {table.zero_point}; it must be 0.")
        _inside(node, graph, indices, table.shape[0])

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return _rows(node, graph, 1, 0, 1, 1, graph.tensors[node.inputs[1]].shape[0])

"""BATCH_MATMUL: int8, int16 and float32, either operand transposed, batches that broadcast, operands constant or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.graph import Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.ops.fully_connected import dense

MAX_RANK = 5
KINDS = {"int8": "s8", "int16": "s16", "float32": "f32"}


@dataclass(frozen=True)
class BatchMatMul(Operator):
    """Left (..., M, K), right (..., K, N), output (..., M, N); `transposed` says which operand's last two are swapped."""

    transposed: tuple[bool, bool]

    CODES: ClassVar[tuple[str, ...]] = ("BATCH_MATMUL",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> BatchMatMul:
        return cls((options["adj_x"], options["adj_y"]))

    def check(self, node: Node, graph: Graph) -> None:
        require(
            len(node.inputs) == 2 and len(node.outputs) == 1 and min(node.inputs) >= 0,
            node,
            graph,
            "it needs 2 inputs and one output.",
        )
        *operands, output = (graph.tensors[t] for t in (*node.inputs, *node.outputs))
        kinds = [t.dtype for t in (*operands, output)]
        require(
            kinds[0] in KINDS and len(set(kinds)) == 1, node, graph, "its tensors must all be int8, all int16 or all float32."
        )
        ranks = [len(t.shape) for t in operands]
        require(min(ranks) >= 2 and max(ranks) <= MAX_RANK, node, graph, f"its inputs must have 2 to {MAX_RANK} dimensions.")
        left, right = (self._matrix(t, side) for side, t in enumerate(operands))
        require(left[-1] == right[-2], node, graph, f"its matrices are {left[-2:]} and {right[-2:]}, which do not go together.")
        rank = max(ranks)
        wide = [(1,) * (rank - len(s)) + s for s in (left, right)]
        fits = all(a == b or 1 in (a, b) for a, b in zip(wide[0][:-2], wide[1][:-2], strict=True))
        require(fits, node, graph, f"its batches {left[:-2]} and {right[:-2]} do not go together.")
        wanted = [*(max(a, b) for a, b in zip(wide[0][:-2], wide[1][:-2], strict=True)), left[-2], right[-1]]
        require([*output.shape] == wanted, node, graph, f"its output has shape {[*output.shape]}; its inputs give {wanted}.")
        if kinds[0] != "float32":
            scales = [t.scale > 0 for t in (*operands, output)]
            zeros = [t.zero_point for t in (*operands, output)]
            require(all(scales), node, graph, "its tensors need a scale.")
            require(kinds[0] == "int8" or not any(zeros), node, graph, "its int16 tensors must have zero point 0.")
            shift = self._scaling(operands, output)[1]
            require(kinds[0] == "int8" or shift < 8, node, graph, "its scales are too far apart.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        *operands, output = (graph.tensors[t] for t in (*node.inputs, *node.outputs))
        left, right = (self._matrix(t, side) for side, t in enumerate(operands))
        rows, depth, columns = left[-2], left[-1], right[-1]
        one_matrix = set(right[:-2]) <= {1}
        weights = operands[1]
        if weights.data is not None and one_matrix and not self.transposed[0] and self._symmetric(weights):
            matrix = weights.data.reshape(weights.shape[-2:])
            if weights.dtype != "int16":  # a fully connected layer
                return dense(node, graph, np.ascontiguousarray(matrix if self.transposed[1] else matrix.T), "NONE")
        wide = [(1,) * (MAX_RANK - len(s)) + s for s in (left, right)]
        params: dict[str, Any] = {
            "kind": KINDS[output.dtype], "rows": rows, "columns": columns, "depth": depth,
            "batches": tuple(max(a, b) for a, b in zip(wide[0][:3], wide[1][:3], strict=True)),
            "left": _Strides(wide[0], self.transposed[0]), "right": _Strides(wide[1], self.transposed[1]),
        }  # fmt: skip
        if output.dtype != "float32":
            multiplier, shift = self._scaling(operands, output)
            params |= {"zeros": tuple(t.zero_point for t in (*operands, output)), "multiplier": multiplier, "shift": shift}
        if output.dtype == "int16":  # MultiplyByQuantizedMultiplier for int64 takes 15 bits
            params["multiplier"] = (params["multiplier"] + (1 << 15)) >> 16 if params["multiplier"] < 0x7FFF0000 else 0x7FFF
        constants = tuple(
            Constant(role, np.ascontiguousarray(t.data))
            for role, t in zip(("left", "right"), operands, strict=True)
            if t.data is not None
        )
        return Kernel("batch_matmul", params, constants, macs=output.elements * depth)

    def _matrix(self, tensor: Tensor, side: int) -> tuple[int, ...]:
        """The operand's shape as (..., rows, columns) of the product."""
        *batch, a, b = tensor.shape
        return (*batch, b, a) if self.transposed[side] else (*batch, a, b)

    @staticmethod
    def _symmetric(tensor: Tensor) -> bool:
        return tensor.dtype == "float32" or tensor.zero_point == 0

    @staticmethod
    def _scaling(operands: list[Tensor], output: Tensor) -> tuple[int, int]:
        """GetQuantizedConvolutionMultipler: the product of the two scales is a float."""
        product = np.float32(operands[0].scale) * np.float32(operands[1].scale)
        return quantize_multiplier(float(product) / output.scale)


class _Strides:
    """Elements between neighbours along each of three batch dimensions (0 where it broadcasts), rows and columns."""

    def __init__(self, shape: tuple[int, ...], transposed: bool):
        *batches, rows, columns = shape
        sizes = [rows * columns * int(np.prod(batches[i + 1 :], dtype=int)) for i in range(3)]
        self.batches = tuple(0 if n == 1 else size for n, size in zip(batches, sizes, strict=True))
        self.row, self.column = (1, rows) if transposed else (columns, 1)

"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, LOGICAL_AND and LOGICAL_OR of two tensors that broadcast.

Formulas: tensorflow/lite/micro/kernels/comparisons.cc and reference/comparisons.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import ALL_INT8, lut8, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.ops.binary import binary, one_number, scaling, zero_points
from mcuml.shapes import broadcast_shape

COMPARE = {
    "EQUAL": np.equal, "NOT_EQUAL": np.not_equal, "GREATER": np.greater, "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less, "LESS_EQUAL": np.less_equal,
}  # fmt: skip
EQUALITY = ("EQUAL", "NOT_EQUAL")
LOGICAL = ("LOGICAL_AND", "LOGICAL_OR")
ORDERED = ("int8", "float32", "int32", "int64")


@dataclass(frozen=True)
class Comparison(Operator):
    """Two inputs of one type, a bool output. int8 values of different scales are compared as TFLite rescales them: by
    multiplying with their scales, which must be below 1."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = (*COMPARE, *LOGICAL)

    @classmethod
    def parse(cls, code: str, options: Any) -> Comparison:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2)
        served = ("bool",) if self.code in LOGICAL else ORDERED if self.code not in EQUALITY else (*ORDERED, "bool")
        dtype = same_type(node, graph, inputs, served)
        require(output.dtype == "bool", node, graph, f"its output is {output.dtype}, not bool.")
        shaped(node, graph, output, broadcast_shape(*(t.shape for t in inputs)))
        if dtype == "int8":
            per_tensor(node, graph, inputs)
            below = all(t.scale < 1 for t in inputs)
            require(below, node, graph, "the scales of its inputs must be below 1.", "Train or quantize again.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        a, b = (graph.tensors[t] for t in node.inputs)
        kind = self.code.lower()
        if a.dtype != "int8":
            return binary(node, graph, kind)
        if found := one_number(a, b):
            position, number = found
            compare = COMPARE[self.code]

            def function(values: np.ndarray) -> np.ndarray:
                x, y = (values, np.full(256, number)) if position == 0 else (np.full(256, number), values)
                return compare(_scaled(x, a), _scaled(y, b)).astype(np.int64)

            return lut8(node, graph, function, position)
        same = a.scale == b.scale and a.zero_point == b.zero_point
        if same and (np.diff(_scaled(ALL_INT8, a)) > 0).all():
            return binary(node, graph, kind)  # no two bytes become equal
        return binary(node, graph, kind, (*zero_points(a, b), *scaling("a_", a.scale), *scaling("b_", b.scale)), scaled=True)


def _scaled(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    return multiply_by_quantized_multiplier((values - tensor.zero_point) << 8, *quantize_multiplier(tensor.scale))

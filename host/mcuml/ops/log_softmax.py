"""LOG_SOFTMAX over the last dimension: int8 and float32.

Formulas: tensorflow/lite/kernels/internal/quantization_util.cc (PreprocessLogSoftmaxScalingExp) and reference/log_softmax.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcuml.elementwise import AGAIN, in_place, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.fixedpoint import exp_on_negative, input_radius
from mcuml.graph import Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier, rounding_divide_by_pot
from mcuml.ops import Operator, require

INTEGER_BITS = 5  # of the differences to the row's maximum
SUM_BITS = 12  # of the sum of their exponentials
OUTPUT = (127, 16 / 256)  # zero point and scale of int8


@dataclass(frozen=True)
class LogSoftmax(Operator):
    """One input and one output of the same shape; the scale and zero point of an int8 output are fixed."""

    CODES: ClassVar[tuple[str, ...]] = ("LOG_SOFTMAX",)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        dtype = same_type(node, graph, [source, output], ("int8", "float32"))
        require(len(source.shape) >= 1, node, graph, "its input needs at least one dimension.")
        shaped(node, graph, output, source.shape)
        if dtype == "int8":
            per_tensor(node, graph, [source, output])
            zero_point, scale = OUTPUT
            fixed = output.zero_point == zero_point and output.scale == scale
            require(fixed, node, graph, f"its output must have scale {scale} and zero point {zero_point}.", AGAIN)
            fits = self._real(source) > 1 and self._reverse(source) < 1
            require(fits, node, graph, f"its input's scale {source.scale} is out of range.", AGAIN)
            depth = source.shape[-1]
            require(depth < 1 << SUM_BITS, node, graph, f"a row has {depth} elements; at most {(1 << SUM_BITS) - 1} are served.")

    def _real(self, source: Tensor) -> float:
        return min(source.scale * (1 << (31 - INTEGER_BITS)), (1 << 31) - 1.0)

    def _reverse(self, source: Tensor) -> float:
        """What makes a difference in fixed point one of the input again."""
        multiplier, left = quantize_multiplier(self._real(source))
        return (1 << (31 - left)) / multiplier

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source = graph.tensors[node.inputs[0]]
        depth = source.shape[-1]
        params: dict[str, object] = {"dtype": source.dtype, "rows": source.elements // depth, "depth": depth}
        constants = operand_constants(node, graph)
        if source.dtype == "int8":
            multiplier, left = quantize_multiplier(self._real(source))
            radius = input_radius(INTEGER_BITS, left)
            difference = multiply_by_quantized_multiplier(-np.arange(min(255, radius) + 1), multiplier, left)
            table = rounding_divide_by_pot(exp_on_negative(difference, INTEGER_BITS), SUM_BITS)
            table = table[: int(np.flatnonzero(table)[-1]) + 1]
            constants = (Constant("table", table.astype(np.int32)), *constants)
            reverse, shift = quantize_multiplier(self._reverse(source))
            params |= {
                "entries": len(table), "farthest": radius + 1, "multiplier": multiplier, "shift": left,
                "reverse": reverse, "reverse_shift": shift,
            }  # fmt: skip
        return Kernel("log_softmax", params, constants, overlaps=in_place(node, graph))

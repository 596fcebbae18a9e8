"""SOFTMAX over the last dimension: int8 to int8 or int16, int16, and float32.

Formulas: tensorflow/lite/micro/kernels/softmax_common.cc and internal/reference/softmax.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import AGAIN, in_place, operand_constants, operands, per_tensor, shaped
from mcuml.fixedpoint import exp_on_negative, high_multiply, input_radius, lut_s16
from mcuml.graph import Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require

INTEGER_BITS = 5  # of the differences to the row's maximum
OUTPUTS = {  # (input type, output type): the output's zero point and scale
    ("int8", "int8"): (-128, 1 / 256),
    ("int8", "int16"): (-32768, 1 / 65536),
    ("int16", "int16"): (0, 1 / 32768),
}


@dataclass(frozen=True)
class Softmax(Operator):
    """One input and one output of the same shape; the output's scale and zero point are fixed by its type."""

    beta: float

    CODES: ClassVar[tuple[str, ...]] = ("SOFTMAX",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Softmax:
        return cls(float(options["beta"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        kinds = (source.dtype, output.dtype)
        served = kinds == ("float32", "float32") or kinds in OUTPUTS
        require(served, node, graph, f"{kinds[0]} to {kinds[1]} is not served.", "Use int8 or float32 throughout.")
        require(len(source.shape) >= 1, node, graph, "its input needs at least one dimension.")
        shaped(node, graph, output, source.shape)
        if kinds in OUTPUTS:
            per_tensor(node, graph, [source])
            zero_point, scale = OUTPUTS[kinds]
            quant = output.quant
            fixed = quant is not None and quant.per_tensor and output.zero_point == zero_point
            fixed = fixed and abs(output.scale - scale) <= (0.001 * scale if output.dtype == "int16" else 0)
            require(fixed, node, graph, f"its output must have scale {scale} and zero point {zero_point}.", AGAIN)
            steps = f"its input's scale {source.scale} times beta {self.beta} is too small."
            require(self._real(source) > 1 if source.dtype == "int8" else self.beta > 0, node, graph, steps, AGAIN)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        depth = source.shape[-1]
        params = {
            "source": source.dtype,
            "dtype": output.dtype,
            "rows": source.elements // depth,
            "depth": depth,
            "beta": self.beta,
        }
        constants = operand_constants(node, graph)
        if source.dtype == "int8":
            table = self.exponentials(source)
            constants = (Constant("table", table.astype(np.int32)), *constants)
            params["entries"] = len(table)
        if source.dtype == "int16":
            tables = {"exponentials": lut_s16(_exp_f32, 10 / 65535, 32767), "inverses": lut_s16(_inverse_f32, 1 / 65535, -32768)}
            constants = (*(Constant(role, table) for role, table in tables.items()), *constants)
            real = source.scale * float(np.float32(self.beta)) / (10 / 65535)
            params["multiplier"], params["shift"] = quantize_multiplier(real)
        overlaps = in_place(node, graph) if source.dtype == output.dtype else ()
        return Kernel("softmax", params, constants, overlaps=overlaps)

    def _real(self, source: Tensor) -> float:
        return min(float(np.float32(self.beta)) * source.scale * (1 << (31 - INTEGER_BITS)), (1 << 31) - 1.0)

    def exponentials(self, source: Tensor) -> np.ndarray:
        """exp(-beta * scale * d) in Q0 for d = 0, 1, ..., 255 below the row's maximum, as far as they matter.

        What is left off counts as zero: TFLite leaves out differences beyond its input radius, and an entry below 2**11
        adds nothing to the sum (rounded to 2**-19) nor to an output (of at most 16 bits)."""
        multiplier, left = quantize_multiplier(self._real(source))
        difference = -np.arange(min(255, input_radius(INTEGER_BITS, left)) + 1)
        values = exp_on_negative(high_multiply(difference << left, multiplier), INTEGER_BITS)
        return values[: int(np.flatnonzero(values >= 1 << 11)[-1]) + 1]


def _exp_f32(x: np.ndarray) -> np.ndarray:
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _inverse_f32(x: np.ndarray) -> np.ndarray:
    return np.float32(1) / (np.float32(1) + x)

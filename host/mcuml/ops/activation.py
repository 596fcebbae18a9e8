"""RELU, RELU6 and LOGISTIC, one element at a time: int8 by table, float32, and RELU also in int16.

Tables: tensorflow/lite/micro/kernels/{activations_common,logistic_common}.cc and reference/integer_ops/logistic.h."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import AGAIN, in_place, lut8, operand_constants, operands, per_tensor, rescale, same_type, shaped
from mcuml.fixedpoint import input_radius, logistic
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier, rounding_divide_by_pot
from mcuml.ops import Operator, require
from mcuml.ops.quantize import requantizing


@dataclass(frozen=True)
class Activation(Operator):
    """One input and one output of the same shape and type; quantized ones per tensor, each with its own scale."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = ("RELU", "RELU6", "LOGISTIC")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Activation:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        served = ("int8", "float32", "int16") if self.code == "RELU" else ("int8", "float32")
        dtype = same_type(node, graph, [source, output], served)
        shaped(node, graph, output, source.shape)
        if dtype != "float32":
            per_tensor(node, graph, [source, output])
        if dtype == "int8" and self.code == "LOGISTIC":
            require(output.zero_point == -128, node, graph, f"its output has zero point {output.zero_point}, not -128.", AGAIN)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        if source.dtype == "int8":
            table = {"RELU": relu_s8, "RELU6": relu6_s8, "LOGISTIC": logistic_s8}[self.code]
            return lut8(node, graph, lambda values: table(values, source, output))
        if source.dtype == "int16":
            return requantizing(node, graph, _relu_real(source, output), max(-32768, output.zero_point))
        params = {"code": self.code.lower(), "elements": output.elements}
        return Kernel("activation", params, operand_constants(node, graph), overlaps=in_place(node, graph))


def _relu_real(source: Tensor, output: Tensor) -> float:
    """RELU's rescaling; TFLite divides in float32 here."""
    return float(np.float32(source.scale) / np.float32(output.scale))


def relu_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """RELU of all int8 values."""
    return rescale(values, source, output, _relu_real(source, output), max(-128, output.zero_point), 127)


def relu6_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """RELU6 of all int8 values. TFLM clamps on the input's scale and does not rescale to the output's."""
    six = source.zero_point + math.floor(float(np.float32(6) / np.float32(source.scale)) + 0.5)
    return np.clip(values, source.zero_point, max(source.zero_point, min(127, six)))


def logistic_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """LOGISTIC of all int8 values: Q4 fixed point in, zero point -128 and scale 1/256 out."""
    integer_bits = 4
    real = source.scale * (1 << (31 - integer_bits))
    multiplier, left = quantize_multiplier(real)
    radius = input_radius(integer_bits, math.frexp(real)[1])  # here TFLite does not limit the shift to 30
    centered = values - source.zero_point
    inside = np.abs(centered) < radius
    scaled = multiply_by_quantized_multiplier(np.where(inside, centered, 0), multiplier, left)
    result = np.clip(rounding_divide_by_pot(logistic(scaled, integer_bits), 23) - 128, -128, 127)
    return np.where(inside, result, np.where(centered > 0, 127, -128))

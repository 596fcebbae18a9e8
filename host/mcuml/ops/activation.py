"""RELU, RELU6, LOGISTIC, TANH, ELU, HARD_SWISH and LEAKY_RELU, one element at a time: int8 by table, float32, int16.

Formulas: tensorflow/lite/micro/kernels/{activations_common,logistic_common,tanh,elu,hard_swish_common,leaky_relu_common}.cc,
reference/{hard_swish,leaky_relu}.h and reference/integer_ops/{logistic,tanh}.h."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import AGAIN, lut8, operands, per_tensor, rescale, same_type, shaped
from mcuml.fixedpoint import input_radius, logistic, round_away, sigmoid_u16, tanh
from mcuml.graph import Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier, rounding_divide_by_pot
from mcuml.ops import Operator, require
from mcuml.ops.quantize import requantizing
from mcuml.ops.unary import unary

INT16 = ("RELU", "RELU6", "LOGISTIC", "TANH", "LEAKY_RELU")
CENTERED = ("RELU", "LOGISTIC", "TANH")  # in int16 with zero point 0 only
CURVES = ("LOGISTIC", "TANH")


@dataclass(frozen=True)
class Activation(Operator):
    """One input and one output of the same shape and type; quantized ones per tensor, each with its own scale."""

    code: str
    alpha: float = 0.0  # of LEAKY_RELU

    CODES: ClassVar[tuple[str, ...]] = (*INT16, "ELU", "HARD_SWISH")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Activation:
        return cls(code, float(options.get("alpha", 0.0)))

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        dtype = same_type(
            node, graph, [source, output], ("int8", "float32", "int16") if self.code in INT16 else ("int8", "float32")
        )
        shaped(node, graph, output, source.shape)
        if dtype == "float32":
            return
        per_tensor(node, graph, [source, output], self.code in CENTERED)
        if dtype == "int8" and self.code == "LOGISTIC":
            require(output.zero_point == -128, node, graph, f"its output has zero point {output.zero_point}, not -128.", AGAIN)
        if dtype == "int16" and self.code in CURVES:
            exact = _power_of_two(output.scale) == -15
            require(exact, node, graph, f"its output has scale {output.scale}, not 1/32768.", AGAIN)
            require(
                _to_table(self.code, source)[0] <= 32767, node, graph, f"its input's scale {source.scale} is too large.", AGAIN
            )
        if self.code == "HARD_SWISH":
            fits = _hard_swish_out(source, output)[1] <= 0
            require(fits, node, graph, "its output's scale is less than 1/128 of its input's.", "Train or quantize again.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        if source.dtype == "int8":
            return lut8(node, graph, lambda values: self._table(values, source, output))
        if source.dtype == "float32":
            arguments = (("float", "alpha", self.alpha),) if self.code == "LEAKY_RELU" else ()
            return unary(node, graph, f"{self.code.lower()}_f32", *arguments)
        if self.code == "RELU":
            return requantizing(node, graph, source.scale / output.scale, max(-32768, output.zero_point))
        if self.code == "RELU6":
            low, high = _relu6_range(source)
            return unary(node, graph, "clamp_s16", ("int32_t", "low", low), ("int32_t", "high", high))
        if self.code == "LEAKY_RELU":
            identity, alpha = _leaky_relu_multipliers(source, output, self.alpha)
            numbers = zip(
                ("in_zero_point", "identity", "identity_shift", "alpha", "alpha_shift", "zero_point"),
                (source.zero_point, *identity, *alpha, output.zero_point),
                strict=True,
            )
            return unary(node, graph, "slopes_s16", *(("int32_t" if n[-1] != "t" else "int", n, v) for n, v in numbers))
        multiplier, shift = _to_table(self.code, source)
        half = 1 << shift >> 1
        numbers16 = ("int32_t", "multiplier", multiplier), ("int", "shift", shift), ("int32_t", "round", half)
        kernel = unary(node, graph, f"{self.code.lower()}_s16", *numbers16, sigmoid=True)
        return replace(kernel, constants=(*kernel.constants, Constant("sigmoid", sigmoid_u16())))

    def _table(self, values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
        """The operator on all int8 values."""
        if self.code == "LEAKY_RELU":
            return leaky_relu_s8(values, source, output, self.alpha)
        table = {
            "RELU": relu_s8, "RELU6": relu6_s8, "LOGISTIC": logistic_s8, "TANH": tanh_s8, "ELU": elu_s8,
            "HARD_SWISH": hard_swish_s8,
        }[self.code]  # fmt: skip
        return table(values, source, output)


def relu_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """RELU of all int8 values."""
    return rescale(values, source, output, source.scale / output.scale, max(-128, output.zero_point), 127)


def _relu6_range(source: Tensor) -> tuple[int, int]:
    """(0, 6) on the input's scale, within its type."""
    most = int(np.iinfo(np.dtype(source.dtype)).max)
    six = source.zero_point + math.floor(float(np.float32(6) / np.float32(source.scale)) + 0.5)
    return source.zero_point, max(source.zero_point, min(most, six))


def relu6_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """RELU6 of all int8 values. TFLM clamps on the input's scale and does not rescale to the output's."""
    return np.clip(values, *_relu6_range(source))


def _curve_s8(values: np.ndarray, source: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(centred values, whether TFLite computes them, them in Q4) for LOGISTIC and TANH."""
    real = source.scale * (1 << 27)
    multiplier, left = quantize_multiplier(real)
    radius = input_radius(4, math.frexp(real)[1])  # here TFLite does not limit the shift to 30
    centered = values - source.zero_point
    inside = np.abs(centered) < radius
    return centered, inside, multiply_by_quantized_multiplier(np.where(inside, centered, 0), multiplier, left)


def logistic_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """LOGISTIC of all int8 values: Q4 fixed point in, zero point -128 and scale 1/256 out."""
    centered, inside, scaled = _curve_s8(values, source)
    result = np.clip(rounding_divide_by_pot(logistic(scaled, 4), 23) - 128, -128, 127)
    return np.where(inside, result, np.where(centered > 0, 127, -128))


def tanh_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """TANH of all int8 values: Q4 fixed point in, zero point 0 and scale 1/128 out, whatever the output says."""
    centered, inside, scaled = _curve_s8(values, source)
    result = np.clip(rounding_divide_by_pot(tanh(scaled, 4), 24), -128, 127)
    return np.where(inside, result, np.where(centered > 0, 127, -128))


def _power_of_two(scale: float) -> int | None:
    """log2(scale) if that is an integer to 0.001 (CheckedLog2)."""
    log2 = math.log2(scale)
    return round(log2) if abs(log2 - round(log2)) < 1e-3 else None


def _to_table(code: str, source: Tensor) -> tuple[int, int]:
    """(multiplier, right shift) that bring an int16 value to steps of 1/12288, in which the table is looked up."""
    power = _power_of_two(source.scale)
    if power is not None and 0 <= power + 12 <= (1 if code == "TANH" else 0):
        return 3 << (power + 12), 0
    multiplier, shift = source.scale * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    return int(min(multiplier, 1 << 20)), shift


def elu_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """ELU of all int8 values, in float32 as TFLite fills its table."""
    real = np.float32(source.scale) * (values - source.zero_point).astype(np.float32)
    below = np.exp(np.minimum(real, 0).astype(np.float64)).astype(np.float32) - np.float32(1)
    steps = round_away(np.where(real < 0, below, real) * (np.float32(1) / np.float32(output.scale)))
    return np.clip(np.clip(steps + np.float32(output.zero_point), -1e9, 1e9).astype(np.int64), -128, 127)


def _hard_swish_out(source: Tensor, output: Tensor) -> tuple[int, int]:
    """HARD_SWISH's (16-bit multiplier, shift) from 1/128 of the input's scale to the output's."""
    multiplier, shift = quantize_multiplier(source.scale / 128 / output.scale)
    return min(32767, (multiplier + (1 << 15)) >> 16), shift


def _divide_s16(x: np.ndarray, exponent: int) -> np.ndarray:
    """RoundingDivideByPOT of int16 values, whose mask is all ones from an exponent of 16 on: 1 or -1 then."""
    return rounding_divide_by_pot(x, exponent) if exponent < 16 else np.where(x < 0, -1, 1)


def hard_swish_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """HARD_SWISH of all int8 values in 16-bit fixed point: x * relu6(x + 3) / 6 with the factor's 3 as 2**15."""
    fine = (values - source.zero_point) << 7
    out_multiplier, out_shift = _hard_swish_out(source, output)
    scaled = (fine * out_multiplier + (1 << 14)) >> 15
    multiplier, shift = quantize_multiplier(source.scale / 128 / (3 / 32768))
    multiplier = min(32767, (multiplier + (1 << 15)) >> 16)
    factor = fine if shift <= 0 else np.clip(fine << (shift - 1), -32768, 32767)
    factor = (factor * multiplier + (1 << 14)) >> 15
    factor = np.clip(factor << 1, -32768, 32767) if shift > 0 else _divide_s16(factor, -shift)
    product = ((factor + (1 << 15)) >> 1) * scaled
    high = np.where(product < 0, -(-product >> 15), product >> 15)  # towards zero
    return np.clip(_divide_s16(high, -out_shift) + output.zero_point, -128, 127)


def _leaky_relu_multipliers(source: Tensor, output: Tensor, alpha: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """((multiplier, shift) of values >= 0, of values below), the latter negative for a negative alpha."""
    multiplier, shift = quantize_multiplier(abs(source.scale * alpha / output.scale))
    return quantize_multiplier(source.scale / output.scale), (-multiplier if alpha < 0 else multiplier, shift)


def leaky_relu_s8(values: np.ndarray, source: Tensor, output: Tensor, alpha: float) -> np.ndarray:
    """LEAKY_RELU of all int8 values."""
    identity, (multiplier, shift) = _leaky_relu_multipliers(source, output, alpha)
    centered = values - source.zero_point
    below = multiply_by_quantized_multiplier(centered, abs(multiplier), shift) * (-1 if multiplier < 0 else 1)
    result = np.where(centered >= 0, multiply_by_quantized_multiplier(centered, *identity), below)
    return np.clip(result + output.zero_point, -128, 127)

"""Fixed-point arithmetic as TFLite Micro defines it, for choosing constants at compile time and for tables.

Formulas: tensorflow/lite/kernels/internal/quantization_util.cc and common.h (double rounding, the build default),
after Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2017."""

from __future__ import annotations

import math

import numpy as np

from mcuml.graph import Tensor

FLT_MAX = float(np.finfo(np.float32).max)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ~ multiplier / 2**31 * 2**shift, multiplier in [2**30, 2**31) or 0.

    `real` is a double >= 0; shift > 0 shifts left. Below 2**-32 the result is (0, 0), as TFLite flushes it."""
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    # TFLite rounds half away from zero (TfLiteRound); mantissa is positive, so floor(x + 0.5) is that.
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


def multiply_by_quantized_multiplier(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """int32 array scaled by multiplier / 2**31 * 2**shift: SaturatingRoundingDoublingHighMul of the left-shifted value,
    then RoundingDivideByPOT (round half away from zero). Returns int64 holding int32 values."""
    left, right = max(shift, 0), max(-shift, 0)
    shifted = ((np.asarray(x).astype(np.int64) << left) + (1 << 31)) % (1 << 32) - (1 << 31)
    high = (shifted * multiplier + (1 << 30)) >> 31
    high = np.minimum(high, (1 << 31) - 1)
    return rounding_divide_by_pot(high, right)


def rounding_divide_by_pot(x: np.ndarray, exponent: int) -> np.ndarray:
    """x / 2**exponent rounded half away from zero, exponent 0..31; int64 in, int64 out."""
    if exponent == 0:
        return x
    mask = (1 << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def activation_range(activation: str, output: Tensor) -> tuple[int, int]:
    """(lowest, highest) quantized value that a fused activation leaves in `output` (CalculateActivationRangeQuantized).

    Bounds are rounded half away from zero in float32, as TFLite's Quantize does."""
    info = np.iinfo(np.dtype(output.dtype))
    low, high = int(info.min), int(info.max)

    def quantized(value: float) -> int:
        scaled = np.float32(value) / np.float32(output.scale)
        return output.zero_point + int(math.floor(abs(float(scaled)) + 0.5) * (1 if scaled >= 0 else -1))

    bounds = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}[activation]
    if bounds[0] is not None:
        low = max(low, quantized(bounds[0]))
    if bounds[1] is not None:
        high = min(high, quantized(bounds[1]))
    return low, high


def float_activation_range(activation: str) -> tuple[float, float]:
    """(lowest, highest) value that a fused activation leaves in a float output: what overflows becomes the type's end, also
    without activation (CalculateActivationRange, kernels/kernel_util.h)."""
    low, high = open_activation_range(activation)
    return max(low, -FLT_MAX), min(high, FLT_MAX)


def open_activation_range(activation: str) -> tuple[float, float]:
    """The same for kernels that leave infinities."""
    return {"NONE": (-math.inf, math.inf), "RELU": (0.0, math.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}[activation]

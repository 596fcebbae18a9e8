"""exp, logistic, tanh and 1 / sqrt in fixed point as TFLite Micro computes them, for the tables that kernels look up.

Formulas: gemmlowp's fixedpoint.h and tensorflow/lite/kernels/internal/common.h. A value with m integer bits is
raw / 2**(31 - m), raw an int32; here int64 arrays hold the raws so that products do not wrap."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mcuml.numerics import rounding_divide_by_pot

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)


def high_multiply(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """SaturatingRoundingDoublingHighMul: round(a * b / 2**31), half up, of raws; only -2**31 squared saturates."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum((product + (1 << 30)) >> 31, INT32_MAX)


def shift_left(x: np.ndarray, bits: int) -> np.ndarray:
    """x * 2**bits, saturated to int32."""
    return np.clip(np.asarray(x, np.int64) << bits, INT32_MIN, INT32_MAX)


def _exp_last_quarter(a: np.ndarray) -> np.ndarray:
    """exp of a Q0 value in [-1/4, 0): Taylor series around -1/8."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    third = round((1 << 31) / 3)
    tail = high_multiply(rounding_divide_by_pot(x4, 2) + x3, third) + x2
    center = round(math.exp(-1 / 8) * (1 << 31))
    return center + high_multiply(center, x + rounding_divide_by_pot(tail, 1))


def exp_on_negative(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp of values <= 0 with `integer_bits` (at most 5) integer bits, in Q0; exp(0) is the largest Q0 value."""
    a = np.asarray(a, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    last = (a & (quarter - 1)) - quarter
    result = _exp_last_quarter(shift_left(last, integer_bits))
    remainder = last - a
    for exponent in range(-2, integer_bits):
        factor = round(math.exp(-(2.0**exponent)) * (1 << 31))
        bit = 1 << (fraction_bits + exponent)
        result = np.where(remainder & bit, high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _two_over_one_plus(a: np.ndarray) -> np.ndarray:
    """2 / (1 + a), with 2 integer bits, of Q0 values in [0, 1): Newton-Raphson division, three steps."""
    half_denominator = (np.asarray(a, np.int64) + INT32_MAX + 1) // 2
    x = round(48 / 17 * (1 << 29)) + high_multiply(half_denominator, round(-32 / 17 * (1 << 29)))
    for _ in range(3):
        miss = (1 << 29) - high_multiply(half_denominator, x)
        x = x + shift_left(high_multiply(x, miss), 2)
    return x


def one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a), in Q0, of Q0 values in [0, 1). partials/fixedpoint.c.j2 does the same."""
    return shift_left(_two_over_one_plus(a), 1)


def logistic(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """1 / (1 + exp(-a)) of values with `integer_bits` integer bits, in Q0."""
    a = np.asarray(a, np.int64)
    positive = one_over_one_plus(exp_on_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """tanh of values with `integer_bits` integer bits, in Q0: (1 - exp(-2|a|)) / (1 + exp(-2|a|)) with a's sign."""
    a = np.asarray(a, np.int64)
    size = shift_left(_two_over_one_plus(exp_on_negative(-np.abs(a), integer_bits + 1)) - (1 << 29), 2)
    return np.where(a == 0, 0, np.where(a < 0, -size, size))


def inverse_sqrt(value: int) -> tuple[int, int]:
    """(multiplier, shift): 1 / sqrt(value) is about multiplier / 2**(31 + shift), value an int32; 0 counts as 1
    (GetInvSqrtQuantizedMultiplierExp). partials/fixedpoint.c.j2 does the same for 16-bit values."""
    if value <= 1:
        return INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value //= 4
        shift += 1
    pairs = (31 - value.bit_length()) // 2 - 1
    shift -= pairs
    value <<= 2 * pairs
    half = rounding_divide_by_pot(np.asarray(value >> 1, np.int64), 1)
    x = np.asarray(1 << 28, np.int64)
    for _ in range(5):  # Newton-Raphson with 3 integer bits, from 1
        cube = shift_left(high_multiply(high_multiply(x, x), x), 6)
        x = shift_left(high_multiply((1 << 28) + (1 << 27), x) - high_multiply(half, cube), 3)
    x = high_multiply(x, round(math.sqrt(0.5) * (1 << 31)))
    return int(x) << max(0, -shift), max(0, shift)


def sigmoid_u16() -> np.ndarray:
    """uint16 (256,): 2**16 / (1 + exp(-i / 24)), what LOGISTIC and TANH of int16 interpolate in. Each entry lies
    nearer to the chord by half of the chord's error in the middle, 1/16 of the curvature; the last one closes at the end."""
    s = 1 / (1 + np.exp(-np.arange(256) / 24))
    curvature = s * (1 - s) * (1 - 2 * s) / 24**2
    table = np.floor(65536 * (s - curvature / 16) + 0.5)
    table[-1] = 65535
    return table.astype(np.uint16)


def lut_s16(function: Callable[[np.ndarray], np.ndarray], scale: float, zero_point: int) -> np.ndarray:
    """int16 (513,): `function` (of float32 arrays) of all int16 values with that scale and zero point, in 512 pieces for
    linear interpolation; -1..1 becomes int16's range (LUTPopulateInt16)."""
    low, high = (np.float32(scale) * np.float32(end - zero_point) for end in (-32768, 32767))
    out_low, out_high = (np.float32(2 / 65535) * np.float32(end) for end in (-32768, 32767))
    steps = np.float32(65536) / (out_high - out_low)
    step = (high - low) / np.float32(512)
    i = np.arange(512, dtype=np.float32)
    places = (low + i * step, low + i * step + step / np.float32(2), low + (i + np.float32(1)) * step)
    here, middle, there = (function(x) * steps for x in places)
    sample = round_away(here)
    error = round_away((there + sample) / np.float32(2)) - round_away(middle)
    end = round_away(function(np.array([high], np.float32)) * steps)
    return np.clip(np.concatenate([sample - round_away(error / np.float32(2)), end]), -32768, 32767).astype(np.int16)


def round_away(x: np.ndarray) -> np.ndarray:
    """round() of C: half away from zero, in x's type."""
    return np.trunc(x) + np.where(np.abs(x - np.trunc(x)) >= 0.5, np.sign(x), 0).astype(np.asarray(x).dtype)


def input_radius(integer_bits: int, left_shift: int) -> int:
    """CalculateInputRadius: the largest input that, scaled by 2**left_shift, still fits `integer_bits` integer bits."""
    return math.floor(((1 << integer_bits) - 1) * 2.0 ** (31 - integer_bits) / 2.0**left_shift)

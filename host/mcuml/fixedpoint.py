"""exp and logistic in 32-bit fixed point as TFLite Micro computes them, for the tables that kernels look up.

Formulas: gemmlowp's fixedpoint.h. A value with m integer bits is raw / 2**(31 - m), raw an int32; here int64 arrays hold
the raws so that products do not wrap."""

from __future__ import annotations

import math

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


def one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) of Q0 values in [0, 1): Newton-Raphson division, three steps. kernels/softmax.c.j2 does the same."""
    half_denominator = (np.asarray(a, np.int64) + INT32_MAX + 1) // 2
    x = round(48 / 17 * (1 << 29)) + high_multiply(half_denominator, round(-32 / 17 * (1 << 29)))
    for _ in range(3):
        miss = (1 << 29) - high_multiply(half_denominator, x)
        x = x + shift_left(high_multiply(x, miss), 2)
    return shift_left(x, 1)


def logistic(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """1 / (1 + exp(-a)) of values with `integer_bits` integer bits, in Q0."""
    a = np.asarray(a, np.int64)
    positive = one_over_one_plus(exp_on_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def input_radius(integer_bits: int, left_shift: int) -> int:
    """CalculateInputRadius: the largest input that, scaled by 2**left_shift, still fits `integer_bits` integer bits."""
    return math.floor(((1 << integer_bits) - 1) * 2.0 ** (31 - integer_bits) / 2.0**left_shift)

"""Comparisons and logic against TFLite Micro: broadcasting, constants on either side, scales equal and apart."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

SHAPES = [  # shape a, shape b, which is constant (or both the same)
    ((2, 35), (2, 35), None),
    ((1, 4, 5, 3), (1, 1, 1, 3), None),
    ((1, 4, 1, 3), (1, 1, 5, 1), 1),
    ((2, 133), (), 1),
    ((1,), (2, 133), 0),
    ((2, 35), (2, 35), "same"),
]
ORDER = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
EQUALITY = ("EQUAL", "NOT_EQUAL")
NONE = (None, None)
QUANTS = [
    ((0.05, 3), (0.05, 3)),
    ((0.05, 3), (0.02, -7)),
    ((0.9, -128), (0.9, 127)),
    ((0.0001, 0), (0.0001, 0)),  # neighbours become equal
    ((1e-9, 0), (0.5, 127)),
]
CASES = [
    *((code, dtype, *SHAPES[0], NONE) for code in ORDER + EQUALITY for dtype in ("float32", "int32", "int64")),
    *(("LESS", dtype, *shapes, NONE) for dtype in ("float32", "int32", "int64") for shapes in SHAPES[1:]),
    *((code, "bool", *shapes, NONE) for code in (*EQUALITY, "LOGICAL_AND", "LOGICAL_OR") for shapes in SHAPES),
    *((code, "int8", *SHAPES[0], quants) for code in ORDER + EQUALITY for quants in QUANTS),
    *((code, "int8", *shapes, QUANTS[1]) for code in ("GREATER", "EQUAL") for shapes in SHAPES[1:5]),
    *(("LESS_EQUAL", "int8", *shapes, QUANTS[0]) for shapes in SHAPES[1:]),
    *((code, "int8", *SHAPES[3], (QUANTS[1][0], (0.05, -110))) for code in EQUALITY),  # many inputs are, or are not, the constant
]


def make(rng, code, dtype, a_shape, b_shape, constant, quants):
    def operand(position, shape):
        quant = quants[position] or ()
        if position != constant:
            return tensor("ab"[position], dtype, shape, *quant)
        numbers = rng.integers(0, 2, shape) if dtype == "bool" else rng.integers(-20, 20, shape)
        if quant[1:] == (-110,):
            numbers = np.int8(14)  # 127 as the other operand has it, so that all of one sample are equal
        return const("ab"[position], np.asarray(numbers, dtype), *quant)

    a = operand(0, a_shape)
    b = a if constant == "same" else operand(1, b_shape)
    y = tensor("y", "bool", np.broadcast_shapes(a_shape, b_shape))
    inputs = [t for t in (a, b) if t.data is None][: 1 if constant == "same" else 2]
    return model([op(code, [a, b], [y])], inputs, [y])


test_matches_tflite_micro = compare(CASES, make)

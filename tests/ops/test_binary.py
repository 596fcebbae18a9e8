"""DIV to PRELU against TFLite Micro: broadcasting, constants on either side, scales apart, zero points at the ends."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

SHAPES = [  # shape a, shape b, which is constant (or both the same)
    ((2, 35), (2, 35), None),
    ((1, 4, 5, 3), (1, 1, 1, 3), None),
    ((1, 4, 1, 3), (1, 1, 5, 1), 1),
    ((3,), (4, 5, 3), 0),
    ((2, 133), (), 1),
    ((1,), (2, 67), 0),
    ((2, 35), (2, 35), "same"),
    ((), (), None),
    ((2, 1, 3, 1, 2, 1), (1, 3, 1, 2, 1, 2), None),
]
A, B, Y = (0.05, 3), (0.02, -7), (0.06, 5)
EXTREMES = [
    (A, B, Y),
    ((0.05, -128), (0.05, 127), (0.07, -128)),
    ((0.05, 127), (0.05, 127), (0.001, 127)),
    ((1e-4, 0), (0.5, -128), (0.3, 0)),
    ((0.5, 127), (1e-4, -128), (1e-3, 0)),
]
QUOTIENTS = [
    ((0.05, -128), (0.05, 100), (0.07, -128)),
    ((0.05, 127), (0.05, -128), (0.001, 127)),
    ((1e-4, 0), (0.5, -128), (0.3, 0)),
    ((0.5, 127), (1e-4, -128), (20.0, 0)),
    ((3.0, -5), (1e-4, 99), (0.005, 5)),
]
NONE = (None, None, None)
PLAIN = [
    (code, dtype, *shapes, NONE)
    for code, dtypes in {
        "FLOOR_MOD": ("float32",),
        "MAXIMUM": ("float32", "int8", "int16", "int32", "int64"),
        "MINIMUM": ("float32", "int8", "int16", "int32", "int64"),
        "SQUARED_DIFFERENCE": ("float32", "int32"),
    }.items()
    for dtype in dtypes
    for shapes in (SHAPES if dtype in ("float32", "int8") else SHAPES[:3])
]
SCALED = [
    *(("SQUARED_DIFFERENCE", "int8", *shapes, EXTREMES[0]) for shapes in SHAPES),
    *(("SQUARED_DIFFERENCE", "int8", (300,), (300,), None, quants) for quants in EXTREMES[1:]),
    ("SQUARED_DIFFERENCE", "int8", (300,), (300,), None, ((1.0, 0), (0.5, 4), (1e-4, 0))),
    ("SQUARED_DIFFERENCE", "int16", (300,), (300,), None, ((0.001, 0), (0.0007, 0), (0.004, 0))),
    ("SQUARED_DIFFERENCE", "int16", (5, 6), (6,), None, ((1e-5, 0), (0.0007, 0), (4e-5, 0))),
    *(("PRELU", "int8", a, b, constant, EXTREMES[0]) for a, b, constant in SHAPES[:6] if len(a) >= len(b)),
    *(("PRELU", "int8", (300,), (300,), 1, quants) for quants in EXTREMES[1:]),
    ("PRELU", "int16", (5, 60), (60,), 1, ((0.001, 0), (0.01, 3), (0.0005, 0))),
    ("PRELU", "int16", (5, 60), (1, 1), 1, ((0.001, -40), (0.01, -128), (0.1, 9))),
]
FLOAT_PRELU = [("PRELU", "float32", a, b, constant, NONE) for a, b, constant in SHAPES[:6] if len(a) >= len(b)]
DIVISIONS = [
    *(
        ("DIV", dtype, *shapes, NONE, activation)
        for dtype in ("float32", "int32")
        for shapes in SHAPES[:6]
        for activation in ("NONE",)
    ),
    *(("FLOOR_DIV", "float32", *shapes, NONE) for shapes in SHAPES),
    ("DIV", "float32", (2, 35), (35,), None, NONE, "RELU6"),
    ("DIV", "float32", (2, 35), (35,), None, NONE, "RELU"),
    ("DIV", "int32", (2, 35), (35,), None, NONE, "RELU_N1_TO_1"),
    ("DIV", "int32", (2, 35), (35,), None, NONE, "RELU"),
    *(("DIV", "int8", *shapes, EXTREMES[0], "NONE") for shapes in SHAPES[:6]),
    *(("DIV", "int8", (300,), (300,), None, quants, "NONE") for quants in QUOTIENTS),
    ("DIV", "int8", (300,), (300,), None, EXTREMES[0], "RELU6"),
    # float32 quotients of these scales give other numbers
    (
        "DIV",
        "int8",
        (5, 1000),
        (5, 1000),
        None,
        ((0.18789853155612946, 0), (0.034639645367860794, 0), (0.06954330950975418, 0)),
        "NONE",
    ),
]

CONSTANT = [  # all numerators, 0 among them; float divisors of 0
    ("DIV", "int8", (300,), (5, 1), 1, EXTREMES[0], "NONE"),
    ("DIV", "int8", (300,), (5, 1), 1, QUOTIENTS[2], "NONE"),
    ("DIV", "int32", (300,), (5, 1), 1, NONE, "NONE"),
    ("DIV", "float32", (300,), (5, 1), "zeros", NONE, "NONE"),
    ("DIV", "float32", (300,), (5, 1), "zeros", NONE, "RELU"),
    ("FLOOR_MOD", "float32", (300,), (5, 1), "zeros", NONE),
]


def make(rng, code, dtype, a_shape, b_shape, constant, quants, activation=None):
    def operand(position, shape):
        kind = "int8" if code == "PRELU" and position == 1 and dtype == "int16" else dtype
        scale, zero_point = quants[position] or (None, None)
        if position == 1 and constant == "zeros":
            return const("b", np.resize(np.array([0.0, -0.0, 1e-38, -2.5], np.float32), shape))
        if position != constant:
            return tensor("ab"[position], kind, shape, scale, zero_point)
        numbers = rng.normal(0, 2, shape) if kind == "float32" else rng.integers(-128, 128, shape)
        if "DIV" in code:
            numbers = np.where(np.asarray(numbers) == (zero_point or 0), 1 + (zero_point or 0), numbers)
        return const("ab"[position], np.asarray(numbers, kind), scale, zero_point)

    a = operand(0, a_shape)
    b = a if constant == "same" else operand(1, b_shape)
    y = tensor("y", dtype, np.broadcast_shapes(a_shape, b_shape), *(quants[2] or (None, None)))
    inputs = [t for t in (a, b) if t.data is None][: 1 if constant == "same" else 2]
    options = {} if activation is None else {"fused_activation_function": activation}
    return model([op(code, [a, b], [y], **options)], inputs, [y])


test_matches_tflite_micro = compare(PLAIN + SCALED + FLOAT_PRELU, make, exact=True, samples=("random", "positive", "low", "ramp"))
test_divisions = compare(DIVISIONS, make, exact=True, samples=("nonzero", "positive", "high", "positive ramp"))
test_constant_divisors = compare(CONSTANT, make, exact=True, samples=("random", "ramp"))

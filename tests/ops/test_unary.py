"""ABS to ZEROS_LIKE against TFLite Micro: float32, every int8 value and all of int16, casts between all types."""

import pytest

from mcuml.render import ARENA_ALIGN
from modelmaker import model, op, tensor
from ops.harness import Case, compare, identify

SHAPE = (1, 4, 67)
WIDE = (3, 599)
FLOAT = [
    (code, "float32", "float32", shape)
    for code in ("ABS", "NEG", "CEIL", "FLOOR", "ROUND", "SQUARE", "EXP", "SIN", "COS")
    for shape in (SHAPE, ())
]
CURVES = ("EXP", "SIN", "COS")
POSITIVE = [(code, "float32", "float32", shape) for code in ("SQRT", "RSQRT", "LOG") for shape in (SHAPE, ())]
PLAIN = [("LOGICAL_NOT", "bool", "bool", shape) for shape in (SHAPE, ())] + [
    *(("ZEROS_LIKE", dtype, dtype, SHAPE) for dtype in ("int8", "float32", "int32", "int64")),
    ("ABS", "int16", "int16", WIDE),
]
SCALED = [  # (operator, type, type, shape, input scale, its zero point, output scale, its zero point)
    ("ABS", "int8", "int8", SHAPE, 0.1, 0, 0.1, 0),
    ("ABS", "int8", "int8", SHAPE, 0.1, -128, 0.1, -128),
    ("ABS", "int8", "int8", SHAPE, 0.1, 127, 0.03, -100),
    ("ABS", "int8", "int8", SHAPE, 0.01, -5, 3.0, 127),
    ("ABS", "int8", "int8", SHAPE, 3.0, 3, 0.0001, 0),
    ("ABS", "int16", "int16", WIDE, 0.001, 0, 0.001, 0),
    ("ABS", "int16", "int16", WIDE, 0.001, 0, 0.0007, 0),
    ("ABS", "int16", "int16", WIDE, 0.000128935775, 0, 8.02692739e-05, 0),  # a quotient in float32 gives other numbers
    ("ABS", "int16", "int16", WIDE, 0.001, 0, 0.4, 0),
]
ROOTS = [
    ("RSQRT", "int8", "int8", SHAPE, 0.1, -128, 0.1, -128),
    ("RSQRT", "int8", "int8", SHAPE, 0.02, -100, 0.01, 5),
    ("RSQRT", "int8", "int8", SHAPE, 3.0, 3, 0.001, -128),
    ("RSQRT", "int8", "int8", SHAPE, 1e-5, -7, 7.0, 127),
    ("RSQRT", "int16", "int16", WIDE, 0.001, 0, 0.001, 0),
    ("RSQRT", "int16", "int16", WIDE, 0.1, 0, 0.0001, 0),
    ("RSQRT", "int16", "int16", WIDE, 1e-6, 0, 3.0, 0),
    *(("RSQRT", "int16", "int16", (5, 4000), *scales, 0) for scales in ((0.00033, 0, 1.8e-05), (0.00178, 0, 1.3e-05))),
]
CASTS = [
    ("CAST", source, target, SHAPE)
    for source in ("bool", "int8", "int16", "int32", "uint32", "float32")
    for target in ("int8", "int16", "int32", "uint32", "float32")
] + [("CAST", "int8", "float32", ())]


def make(rng, code, source, target, shape, scale=None, zero_point=None, out_scale=None, out_zero_point=None):
    x, y = tensor("x", source, shape, scale, zero_point), tensor("y", target, shape, out_scale, out_zero_point)
    return model([op(code, [x], [y])], [x], [y])


EXACT = [case for case in FLOAT if case[0] not in CURVES] + PLAIN + SCALED + CASTS
test_matches_tflite_micro = compare(EXACT, make, exact=True)
test_curves = compare([case for case in FLOAT if case[0] in CURVES], make, samples=("random", "random", "ramp", "low"))
test_positive = compare(POSITIVE, make, samples=("positive", "positive", "positive ramp", "high"))
test_roots = compare(ROOTS, make, samples=("positive", "positive ramp", "high"))


@pytest.mark.parametrize("case", [case for case in PLAIN + CASTS if case[3] == SHAPE], ids=identify)
def test_output_lies_over_the_input(case):
    """Where elements grow it lies at the output's end."""
    planned = Case(make(None, *case)).planned
    largest = max(tensor.bytes for tensor in planned.graph.tensors)
    assert planned.arena_bytes == -(-largest // ARENA_ALIGN) * ARENA_ALIGN

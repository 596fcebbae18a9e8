"""QUANTIZE against TFLite Micro: every pair of types served, rounding, saturation."""

from modelmaker import model, op, tensor
from ops.harness import compare

SHAPE = (3, 101)
CASES = [  # (input type, its scale and zero point, output type, its scale and zero point)
    ("float32", None, None, "int8", 0.05, 3),
    ("float32", None, None, "int8", 0.15625, -128),
    ("float32", None, None, "int8", 0.3125, 1),
    ("float32", None, None, "int16", 0.3125, 0),
    ("float32", None, None, "int8", 5e-05, 127),
    ("float32", None, None, "int8", 1000.0, 0),
    ("float32", None, None, "int16", 0.0007, 0),
    ("float32", None, None, "int16", 0.00001, 0),
    ("int8", 0.05, 3, "int8", 0.03, -4),
    ("int8", 0.05, -128, "int8", 0.05, 127),
    ("int8", 2.0, 0, "int8", 0.001, 0),
    ("int8", 0.001, 0, "int8", 2.0, 5),
    ("int8", 0.05, 3, "uint8", 0.05, 131),
    ("int8", 0.05, 3, "uint8", 0.07, 0),
    ("uint8", 0.05, 131, "int8", 0.05, 3),
    ("uint8", 0.05, 255, "int8", 0.02, 3),
    ("int8", 0.05, 3, "int16", 0.0004, 0),
    ("int8", 0.05, 3, "int32", 0.0004, 0),
    ("int16", 0.001, 0, "int8", 0.2, -5),
    ("int16", 0.001, -700, "int8", 0.2, -5),
    ("int16", 0.001, 300, "int16", 0.0007, -20000),
    ("float32", None, None, "int16", 0.0007, 1000),
    ("int16", 0.001, 0, "int16", 0.0007, 0),
    ("int16", 0.001, 0, "int32", 0.00001, 0),
    ("int32", 0.001, 0, "int8", 0.3, -5),
    ("int32", 0.001, 0, "int16", 0.002, 0),
    ("int32", 0.001, 100000, "int8", 0.9, -5),
    ("int8", 1.0, 3, "int32", 1e-6, 1000),
]


def make(rng, source, scale, zero_point, target, out_scale, out_zero_point):
    x, y = tensor("x", source, SHAPE, scale, zero_point), tensor("y", target, SHAPE, out_scale, out_zero_point)
    return model([op("QUANTIZE", [x], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

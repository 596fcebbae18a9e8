"""RELU, RELU6 and LOGISTIC against TFLite Micro: every int8 value, zero points at both ends, scales tiny and huge."""

from modelmaker import model, op, tensor
from ops.harness import compare

SHAPE = (1, 4, 67)
CASES = [  # (operator, type, shape, input scale, input zero point, output scale, output zero point)
    ("RELU", "int8", SHAPE, 0.1, 0, 0.1, 0),
    ("RELU", "int8", SHAPE, 0.1, -128, 0.05, -128),
    ("RELU", "int8", SHAPE, 0.05, 127, 0.1, 3),
    ("RELU", "int8", SHAPE, 3.0, -5, 0.01, 127),
    ("RELU", "int8", SHAPE, 1e-6, 4, 100.0, -4),
    ("RELU", "int8", (5,), 0.3, 1, 0.2, 2),
    ("RELU", "int16", SHAPE, 0.001, 0, 0.001, 0),
    ("RELU", "int16", SHAPE, 0.001, 0, 0.0003, 0),
    ("RELU", "float32", SHAPE, None, None, None, None),
    ("RELU6", "int8", SHAPE, 0.1, -3, 0.1, -3),
    ("RELU6", "int8", SHAPE, 0.02, -128, 0.02, -128),
    ("RELU6", "int8", SHAPE, 0.07, 100, 0.07, 100),
    ("RELU6", "float32", SHAPE, None, None, None, None),
    ("LOGISTIC", "int8", SHAPE, 0.1, 0, 1 / 256, -128),
    ("LOGISTIC", "int8", SHAPE, 0.05, -128, 1 / 256, -128),
    ("LOGISTIC", "int8", SHAPE, 0.0003, 127, 1 / 256, -128),
    ("LOGISTIC", "int8", SHAPE, 2.5, 12, 1 / 256, -128),
    ("LOGISTIC", "int8", SHAPE, 40.0, -7, 1 / 256, -128),
    ("LOGISTIC", "float32", SHAPE, None, None, None, None),
]


def make(rng, code, dtype, shape, scale, zero_point, out_scale, out_zero_point):
    x = tensor("x", dtype, shape, scale, zero_point)
    y = tensor("y", dtype, shape, out_scale, out_zero_point)
    return model([op(code, [x], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

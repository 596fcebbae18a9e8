"""DEQUANTIZE against TFLite Micro, to the last bit of each float."""

from modelmaker import model, op, tensor
from ops.harness import compare

CASES = [  # (type, shape, scale, zero point)
    ("int8", (3, 101), 0.05, 3),
    ("int8", (1, 5, 5, 2), 0.0123456, -128),
    ("int8", (7,), 3e-39, 127),
    ("uint8", (3, 101), 0.0333, 255),
    ("int16", (3, 1001), 0.000777, 0),
    ("int16", (1,), 1e30, 0),
    ("int16", (5, 7), 0.01, -1234),
]


def make(rng, dtype, shape, scale, zero_point):
    x, y = tensor("x", dtype, shape, scale, zero_point), tensor("y", "float32", shape)
    return model([op("DEQUANTIZE", [x], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

"""LOG_SOFTMAX against TFLite Micro: input scales from tiny to huge, rows of one element and of many."""

from modelmaker import model, op, tensor
from ops.harness import compare

SHAPES = ((5,), (3, 7), (4, 1), (2, 3, 4), (1, 2, 2, 30), (1, 500))
CASES = [  # (type, shape, scale)
    *[("int8", shape, scale) for shape in SHAPES for scale in (0.0003, 0.01, 1 / 16, 0.25, 3.0)],
    ("int8", (8, 12), 0.03),
    ("int8", (8, 12), 0.7),
    ("int8", (1, 4095), 1e-6),
    ("int8", (2, 4), 100.0),
    *[("float32", shape, None) for shape in SHAPES],
]


def make(rng, dtype, shape, scale):
    x = tensor("x", dtype, shape, *((scale, 7) if dtype == "int8" else ()))
    y = tensor("y", dtype, shape, *((16 / 256, 127) if dtype == "int8" else ()))
    return model([op("LOG_SOFTMAX", [x], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

"""L2_NORMALIZATION against TFLite Micro: rows of one element, of zeros and of the largest values; zero points at the ends."""

from modelmaker import model, op, tensor
from ops.harness import compare

SHAPES = ((5,), (3, 7), (1, 1), (2, 3, 4), (1, 2, 2, 9), (6, 1))
CASES = [  # (type, shape, zero point)
    *[("int8", shape, zero_point) for shape in SHAPES for zero_point in (0, -128, 127, 5)],
    ("int8", (1, 9000), -128),
    ("int8", (1, 33000), 127),
    *[("float32", shape, None) for shape in SHAPES],
]


def make(rng, dtype, shape, zero_point):
    x = tensor("x", dtype, shape, *((0.05, zero_point) if dtype == "int8" else ()))
    y = tensor("y", dtype, shape, *((1 / 128, 0) if dtype == "int8" else ()))
    if dtype == "int8":
        return model([op("L2_NORMALIZATION", [x], [y])], [x], [y])
    positive = tensor("positive", dtype, shape)  # rows of zeros are among them
    return model([op("RELU", [x], [positive]), op("L2_NORMALIZATION", [positive], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

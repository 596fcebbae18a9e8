"""PAD and PADV2 against TFLite Micro: each side of one to five dimensions, zero points, values known and computed."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [  # (type, shape, paddings, zero point, value)
    ("int8", (1, 4, 5, 3), ((0, 0), (1, 1), (1, 1), (0, 0)), -5, None),
    ("int8", (1, 4, 5, 3), ((0, 0), (0, 1), (2, 0), (0, 0)), 7, None),
    ("int8", (1, 4, 5, 3), ((0, 0), (0, 0), (0, 0), (1, 2)), -128, None),
    ("int8", (1, 4, 5, 3), ((1, 2), (2, 1), (0, 3), (3, 0)), 127, None),
    ("int8", (1, 4, 5, 3), ((1, 2), (2, 1), (0, 3), (3, 0)), 3, -77),
    ("int8", (2, 3, 2, 2, 3), ((1, 0), (0, 1), (1, 0), (0, 1), (1, 1)), 3, None),
    ("int8", (6,), ((2, 3),), 3, None),
    ("int8", (6, 2), ((0, 0), (0, 0)), 3, None),
    ("int8", (1, 1), ((4, 0), (0, 5)), 0, None),
    ("float32", (1, 4, 5, 3), ((0, 0), (1, 1), (1, 1), (0, 0)), None, None),
    ("float32", (1, 4, 5, 3), ((1, 2), (2, 1), (0, 3), (3, 0)), None, 1.37),
    ("float32", (3, 2), ((0, 1), (1, 0)), None, -0.0),
    ("int16", (3, 2), ((0, 1), (1, 2)), 0, None),
    ("int32", (3, 2), ((0, 1), (1, 2)), None, None),
    ("int32", (3, 2), ((0, 1), (1, 2)), None, 123456),
    ("int8", (1, 4, 5, 3), ((1, 2), (2, 1), (0, 3), (3, 0)), 3, "input"),
    ("int16", (3, 2), ((0, 1), (1, 2)), 0, "input"),
    ("int32", (3, 2), ((0, 0), (0, 0)), None, "input"),
    ("float32", (2, 3, 2), ((0, 1), (1, 2), (1, 0)), None, "input"),
]


def make(rng, dtype, shape, paddings, zero_point, value):
    quant = (None, None) if zero_point is None else (0.1, zero_point)
    x = tensor("x", dtype, shape, *quant)
    y = tensor("y", dtype, [n + before + after for n, (before, after) in zip(shape, paddings, strict=True)], *quant)
    inputs = [x, const("paddings", np.array(paddings, np.int32))]
    given = [x]
    if value == "input":
        inputs.append(tensor("value", dtype, (1,), *quant))
        given.append(inputs[-1])
    elif value is not None:
        inputs.append(const("value", np.array([value], dtype), *quant))
    return model([op("PAD" if value is None else "PADV2", inputs, [y], version=2)], given, [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

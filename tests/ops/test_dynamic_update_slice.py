"""DYNAMIC_UPDATE_SLICE against TFLite Micro: starts inside, outside on both sides, and computed at run time."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

QUANT = {"int8": (0.1, 3), "int16": (0.001, 0)}
CASES = [  # (type, shape, shape of the update, start or None: an input, its type)
    ("int8", (9,), (4,), (2,), "int32"),
    ("int8", (9,), (4,), (-5,), "int32"),
    ("int8", (9,), (4,), (8,), "int64"),
    ("int8", (9,), (9,), (3,), "int32"),
    ("int8", (4, 5), (2, 3), (1, 1), "int32"),
    ("int8", (4, 5), (2, 5), (1, 100), "int32"),
    ("int8", (4, 5), (4, 2), (0, 2), "int64"),
    ("int8", (4, 5), (1, 1), (3, 4), "int32"),
    ("int8", (4, 5), (3, 1), (1, 2), "int32"),
    ("int8", (3, 4, 2), (2, 3, 1), (1, 0, 1), "int32"),
    ("float32", (2, 3, 4), (1, 2, 2), (1, 1, 2), "int32"),
    ("int16", (2, 3, 4), (2, 1, 4), (0, 2, 0), "int32"),
    ("int32", (2, 3, 4, 2), (1, 2, 3, 1), (0, 1, 1, 1), "int32"),
    ("float32", (2, 2, 2, 2, 2, 2), (1, 2, 1, 2, 1, 2), (1, 0, 1, 0, 0, 0), "int32"),
    ("int8", (4, 5), (2, 3), None, "int32"),
    ("int8", (3, 700, 3), (2, 2, 3), None, "int32"),
    ("float32", (4, 5), (2, 3), None, "int64"),
]


def make(rng, dtype, shape, part, start, kind):
    quant = QUANT.get(dtype, ())
    first, update = tensor("x", dtype, shape, *quant), tensor("update", dtype, part, *quant)
    y = tensor("y", dtype, shape, *quant)
    where = tensor("start", kind, (len(shape),)) if start is None else const("start", np.array(start, kind))
    nodes, x = [], first
    if dtype == "int8":  # the operand dies here
        x = tensor("relu", dtype, shape, *quant)
        nodes.append(op("RELU", [first], [x]))
    inputs = [first, update, *([where] if start is None else [])]
    return model([*nodes, op("DYNAMIC_UPDATE_SLICE", [x, update, where], [y])], inputs, [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

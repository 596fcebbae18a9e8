"""CUMSUM against TFLite Micro: every axis, exclusive and reverse sums, in place, and sums that wrap."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

WAYS = [(exclusive, reverse) for exclusive in (False, True) for reverse in (False, True)]
CASES = [  # (type, shape, axis, exclusive, reverse, input scale and zero point, output scale and zero point)
    *[("int8", (2, 3, 4), axis, *way, (0.05, 3), (0.2, -6)) for axis in (0, 1, -1) for way in WAYS],
    *[("float32", (2, 3, 4), axis, *way, None, None) for axis in (0, -2, 2) for way in WAYS],
    ("int8", (9,), 0, False, False, (0.05, -128), (0.05, 127)),
    ("int8", (9,), 0, True, True, (0.05, 127), (0.3, -128)),
    ("int8", (40,), 0, False, False, (0.05, -20), (1.0, 0)),
    ("int8", (1, 30), 1, True, False, (10.0, 1), (0.01, 2)),
    ("int8", (1, 30), 1, False, False, (1e-5, 1), (10.0, 2)),
]


def make(rng, dtype, shape, axis, exclusive, reverse, quant, out_quant):
    first = x = tensor("x", dtype, shape, *(quant or ()))
    y = tensor("y", dtype, shape, *(out_quant or ()))
    nodes = []
    if axis != 0:  # the input dies here
        x = tensor("relu", dtype, shape, *(quant or ()))
        nodes.append(op("RELU", [first], [x]))
    where = const("axis", np.array([axis], np.int32))
    return model([*nodes, op("CUMSUM", [x, where], [y], exclusive=exclusive, reverse=reverse)], [first], [y])


test_matches_tflite_micro = compare(CASES, make)

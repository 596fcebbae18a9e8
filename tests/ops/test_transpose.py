"""TRANSPOSE against TFLite Micro: all permutations of four dimensions, and some of two, three and five."""

from itertools import permutations

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [  # (type, shape, permutation)
    *[("int8", (2, 3, 5, 7), perm) for perm in permutations(range(4))],
    *[("float32", (3, 4, 5), perm) for perm in permutations(range(3))],
    ("int8", (9, 6), (1, 0)),
    ("int8", (1, 9, 1, 6), (0, 2, 1, 3)),
    ("int8", (1, 9, 1, 6), (3, 0, 1, 2)),
    ("int8", (5,), (0,)),
    ("int16", (9, 6), (1, 0)),
    ("int8", (2, 3, 2, 3, 2), (4, 2, 0, 3, 1)),
]


def make(rng, dtype, shape, perm):
    quant = () if dtype == "float32" else (0.1, 0)
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, [shape[p] for p in perm], *quant)
    return model([op("TRANSPOSE", [x, const("perm", np.array(perm, np.int32))], [y])], [x], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

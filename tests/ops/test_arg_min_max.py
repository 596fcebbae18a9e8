"""ARG_MAX and ARG_MIN against TFLite Micro: every axis, and equal values, of which the first counts."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [
    (code, dtype, shape, axis)
    for code in ("ARG_MAX", "ARG_MIN")
    for dtype in ("int8", "float32")
    for shape, axis in (((9,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), -2), ((2, 3, 4), -1), ((1, 300), 1), ((4, 1), 1))
]


def make(rng, code, dtype, shape, axis):
    x = tensor("x", dtype, shape, *((0.1, 3) if dtype == "int8" else ()))
    y = tensor("y", "int32", np.argmax(np.empty(shape), axis).shape)
    options = {"output_type": "INT32"}
    return model([op(code, [x, const("axis", np.array([axis], np.int32))], [y], **options)], [x], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

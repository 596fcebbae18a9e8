"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN and REDUCE_ALL against TFLite Micro: axes near, far apart, negative and repeated."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

SHAPE = (2, 5, 4, 7)
AXES = [(1, 2), (2,), (3,), (0,), (-1, 1), (2, 2), (0, 1, 2, 3), (1, 3), (-3, -2), (0, 2)]
CASES = [  # (type, shape, axes, keep_dims, input scale and zero point, output scale and zero point)
    *[("int8", SHAPE, axes, keep, (0.05, 3), (0.03, -6)) for axes in AXES for keep in (True, False)],
    ("int8", (1, 25, 5, 64), (1, 2), True, (0.05, 3), (0.05, 3)),
    ("int16", (3, 2, 3, 4, 2), (0, 2, 4), False, (0.001, 0), (0.0008, 0)),
    ("int8", (1, 7, 7, 6), (1, 2), False, (0.05, -128), (0.02, -128)),
    ("int8", (1, 7, 7, 6), (1, 2), False, (0.05, 127), (0.02, 127)),
    ("int8", (1, 33), (1,), False, (1e-5, 1), (10.0, 2)),
    ("int8", (3, 33), (1,), False, (10.0, 1), (0.01, 2)),
    ("int8", (1, 1, 1, 9), (1, 2), False, (0.05, 1), (0.04, 2)),
    *[("float32", SHAPE, axes, False, None, None) for axes in AXES[:6]],
    *[("int16", SHAPE, axes, True, (0.001, 0), (0.0008, 0)) for axes in AXES[:4]],
]


def make(rng, dtype, shape, axes, keep_dims, quant, out_quant):
    x = tensor("x", dtype, shape, *(quant or ()))
    out_shape = np.mean(np.empty(shape), tuple({a % len(shape) for a in axes}), keepdims=keep_dims).shape
    y = tensor("y", dtype, out_shape, *(out_quant or ()))
    return model([op("MEAN", [x, const("axes", np.array(axes, np.int32))], [y], keep_dims=keep_dims)], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

OTHERS = [  # (operator, type, shape, axes, keep_dims, input scale and zero point, output scale and zero point)
    *[("SUM", "int8", SHAPE, axes, keep, (0.05, 3), (0.4, -6)) for axes in AXES for keep in (True, False)][::3],
    ("SUM", "int8", (1, 7, 7, 6), (1, 2), False, (0.05, -128), (0.9, 127)),
    ("SUM", "int8", (1, 7, 7, 6), (1, 2), False, (0.05, 127), (0.02, -128)),
    ("SUM", "int8", (3, 33), (1,), False, (10.0, 1), (0.01, 2)),
    ("SUM", "int8", (3, 33), (1,), False, (1e-5, 1), (10.0, 2)),
    *[("SUM", "float32", SHAPE, axes, False, None, None) for axes in AXES[:5]],
    *[("SUM", "int16", SHAPE, axes, True, (0.001, 0), (0.006, 0)) for axes in AXES[:4]],
    *[
        ("SUM", dtype, (3, 2, 3, 4, 2), (0, 2, 4), False, quant, out_quant)
        for dtype, quant, out_quant in (
            ("int8", (0.05, 3), (0.1, -6)),
            ("float32", None, None),
            ("int16", (0.001, 0), (0.004, 0)),
        )
    ],
    *[
        (code, dtype, SHAPE, axes, n % 2 == 0, *([(0.05, 3)] * 2 if dtype == "int8" else (None, None)))
        for code, dtype in (("REDUCE_MAX", "int8"), ("REDUCE_MIN", "int8"), ("REDUCE_MAX", "float32"), ("REDUCE_MIN", "float32"))
        for n, axes in enumerate(AXES)
    ],
    *[
        (code, dtype, (3, 2, 3, 4, 2), (0, 2, 4), False, *([(0.05, 3)] * 2 if dtype == "int8" else (None, None)))
        for code in ("REDUCE_MAX", "REDUCE_MIN")
        for dtype in ("int8", "float32")
    ],
    ("REDUCE_ALL", "bool", (2, 1, 2, 2, 2), (0, 2, 4), False, None, None),
    ("REDUCE_ALL", "bool", (3, 2, 3, 4, 2), (0, 2, 4), False, None, None),  # so large that more than all of it is outside
    *[
        ("REDUCE_ALL", "bool", (2, 3, 2), axes, keep, None, None)
        for axes in ((0,), (1,), (0, 2), (0, 1, 2))
        for keep in (True, False)
    ],
]


def make_other(rng, code, dtype, shape, axes, keep_dims, quant, out_quant):
    x = tensor("x", dtype, shape, *(quant or ()))
    out_shape = np.mean(np.empty(shape), tuple({a % len(shape) for a in axes}), keepdims=keep_dims).shape
    y = tensor("y", dtype, out_shape, *(out_quant or ()))
    return model([op(code, [x, const("axes", np.array(axes, np.int32))], [y], keep_dims=keep_dims)], [x], [y])


test_others_match_tflite_micro = compare(OTHERS, make_other)

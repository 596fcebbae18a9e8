"""CONCATENATION and PACK against TFLite Micro: every axis, two to ten inputs, constants among them."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [  # (type, axis, shapes, which are constant)
    ("int8", 3, ((1, 4, 5, 3), (1, 4, 5, 2)), ()),
    ("int8", -1, ((1, 4, 5, 3), (1, 4, 5, 1), (1, 4, 5, 4)), ()),
    ("int8", 1, ((1, 4, 5, 3), (1, 1, 5, 3)), ()),
    ("int8", -3, ((2, 4, 5, 3), (2, 1, 5, 3)), ()),
    ("int8", 0, ((2, 3), (1, 3), (3, 3)), ()),
    ("int8", 0, ((8,), (5,)), ()),
    ("int8", 1, ((1, 4, 4), (1, 1, 4), (1, 2, 4)), (1,)),
    ("int8", 2, ((1, 4, 4), (1, 4, 2)), (0,)),
    ("int8", 1, ((3, 2),), ()),
    ("int8", 1, ((2, 1),) * 10, (4,)),
    ("float32", 1, ((2, 3), (2, 4)), ()),
    ("float32", 0, ((3,), (4,), (1,)), (2,)),
    ("int16", 1, ((2, 3), (2, 4)), ()),
    ("int32", -2, ((2, 3), (4, 3)), ()),
    ("int64", 1, ((2, 3), (2, 1)), ()),
    ("bool", 0, ((2, 3), (1, 3)), ()),
    ("float32", 5, ((1, 2, 1, 2, 1, 2), (1, 2, 1, 2, 1, 3)), ()),
]


def make(rng, dtype, axis, shapes, constants):
    quant = {"int8": (0.1, 3), "int16": (0.001, 0)}.get(dtype, (None, None))
    inputs = [
        const(f"c{i}", rng.integers(-128, 128, shape).astype(dtype), *quant)
        if i in constants
        else tensor(f"x{i}", dtype, shape, *quant)
        for i, shape in enumerate(shapes)
    ]
    y = tensor("y", dtype, np.concatenate([np.empty(s) for s in shapes], axis).shape, *quant)
    return model([op("CONCATENATION", inputs, [y], axis=axis)], [t for t in inputs if t.data is None], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

PACKS = [  # (type, axis, shape of an input, number of inputs, which are constant)
    ("int8", 0, (4,), 3, ()),
    ("int8", 0, (3,), 2, ()),
    ("int8", 1, (5,), 2, ()),
    ("int8", -1, (2, 3), 3, (1,)),
    ("int8", -2, (2, 3), 2, ()),
    ("float32", 1, (2, 3, 2), 2, ()),
    ("int16", 2, (2, 3), 2, ()),
    ("int32", 0, (), 4, ()),
    ("int64", 1, (2, 2), 2, ()),
    ("int8", 0, (2, 2), 12, (3,)),
    ("float32", 0, (4,), 1, ()),
]


def make_pack(rng, dtype, axis, shape, count, constants):
    quant = {"int8": (0.1, 3), "int16": (0.001, 0)}.get(dtype, (None, None))
    inputs = [
        const(f"c{i}", rng.integers(-128, 128, shape).astype(dtype), *quant)
        if i in constants
        else tensor(f"x{i}", dtype, shape, *quant)
        for i in range(count)
    ]
    y = tensor("y", dtype, np.stack([np.empty(shape)] * count, axis).shape, *quant)
    node = op("PACK", inputs, [y], version=2, axis=axis, values_count=count)
    return model([node], [t for t in inputs if t.data is None], [y])


test_pack_matches_tflite_micro = compare(PACKS, make_pack, exact=True)

"""BROADCAST_TO, FILL, MIRROR_PAD and RESIZE_NEAREST_NEIGHBOR against TFLite Micro."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

QUANT = {"int8": (0.1, 3), "int16": (0.001, 0), "uint8": (0.1, 7)}


def ints(name, values, dtype=np.int32):
    return const(name, np.array(values, dtype))


BROADCASTS = [  # (type, shape, new shape)
    ("int8", (1,), (7,)),
    ("int8", (5,), (3, 5)),
    ("int8", (3, 1), (3, 4)),
    ("int8", (3, 1, 2), (2, 3, 4, 2)),
    ("float32", (1, 3, 1), (2, 3, 4)),
    ("float32", (), (2, 3)),
    ("int16", (2, 1, 2, 1, 2), (2, 3, 2, 3, 2)),
    ("int32", (1, 4), (3, 4)),
    ("int64", (3, 1), (3, 2)),
    ("uint8", (2, 1), (2, 5)),
    ("bool", (1, 2), (3, 2)),
    *((dtype, (3, 1, 2), (2, 3, 4, 2)) for dtype in ("bool", "int32", "int64")),
    *((dtype, (3, 1), (3, 4)) for dtype in ("bool", "int32", "uint8")),
    ("int8", (3, 2), (3, 2)),
]


def make_broadcast(rng, dtype, shape, new_shape):
    quant = QUANT.get(dtype, ())
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, new_shape, *quant)
    return model([op("BROADCAST_TO", [x, ints("shape", new_shape, np.int64 if len(shape) == 2 else np.int32)], [y])], [x], [y])


test_broadcast_to_matches_tflite_micro = compare(BROADCASTS, make_broadcast, exact=True)

FILLS = [
    ("int8", (2, 3), False),
    ("float32", (5,), False),
    ("int32", (2, 2, 2), False),
    ("float32", (3, 3), True),
    ("int8", (), True),
]


def make_fill(rng, dtype, shape, constant):
    quant = QUANT.get(dtype, ())
    x, y = tensor("x", dtype, (), *quant), tensor("y", dtype, shape, *quant)
    value = const("v", np.array(-7, dtype), *quant) if constant else x
    dims = ints("dims", shape)
    return model([op("FILL", [dims, value], [y])], [x], [y])


test_fill_matches_tflite_micro = compare(FILLS[:4], make_fill, exact=True)

MIRRORS = [  # (type, mode, shape, paddings)
    (dtype, mode, shape, paddings)
    for dtype, mode in (("int8", "REFLECT"), ("int8", "SYMMETRIC"), ("float32", "REFLECT"), ("float32", "SYMMETRIC"))
    for shape, paddings in (
        ((5,), ((3, 4),)),
        ((3, 4), ((1, 2), (0, 0))),
        ((3, 4), ((0, 0), (3, 1))),
        ((2, 4), ((1, 1), (0, 0))),  # reflected, these are two rows back and again
        ((2, 2, 3), ((1, 1), (0, 0), (0, 0))),
        ((1, 4, 5, 3), ((0, 0), (1, 1), (2, 2), (0, 0))),
        ((2, 3, 2, 3), ((1, 0), (0, 2), (1, 1), (2, 1))),
        ((2, 2, 2, 2, 2), ((1, 1), (0, 1), (1, 0), (0, 0), (1, 1))),
    )
]


def make_mirror(rng, dtype, mode, shape, paddings):
    quant = QUANT.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    y = tensor("y", dtype, [n + a + b for n, (a, b) in zip(shape, paddings, strict=True)], *quant)
    pads = ints("paddings", paddings, np.int64 if len(shape) == 2 else np.int32)
    return model([op("MIRROR_PAD", [x, pads], [y], mode=mode)], [x], [y])


test_mirror_pad_matches_tflite_micro = compare(MIRRORS, make_mirror, exact=True)

NEAREST = [  # (type, shape, size, align_corners, half_pixel_centers)
    *[
        ("int8", (1, 3, 5, 2), size, *flags)
        for size in ((6, 10), (2, 3), (7, 4), (1, 1), (3, 5))
        for flags in ((False, False), (True, False), (False, True), (True, True))
    ],
    ("float32", (2, 4, 3, 3), (9, 7), False, True),
    ("float32", (2, 4, 3, 1), (5, 6), True, False),
    ("int16", (2, 4, 3, 2), (8, 2), False, False),
    ("int16", (1, 1, 1, 4), (3, 2), True, False),
    ("int8", (1, 25, 4, 1), (64, 29), False, True),
]


def make_nearest(rng, dtype, shape, size, align_corners, half_pixel_centers):
    quant = QUANT.get(dtype, ())
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, (shape[0], *size, shape[3]), *quant)
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return model([op("RESIZE_NEAREST_NEIGHBOR", [x, ints("size", size)], [y], version=3, **options)], [x], [y])


test_nearest_matches_tflite_micro = compare(NEAREST, make_nearest, exact=True)

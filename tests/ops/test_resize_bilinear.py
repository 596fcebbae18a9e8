"""RESIZE_BILINEAR against TFLite Micro: up, down and to one pixel, corners and centers, batches."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

WAYS = ((False, False), (True, False), (False, True))
SIZES = ((6, 10), (2, 3), (7, 4), (1, 1), (3, 5), (5, 2))
CASES = [  # (type, shape, size, align_corners, half_pixel_centers)
    *[(dtype, (1, 3, 5, 2), size, *way) for dtype in ("int8", "float32") for size in SIZES for way in WAYS],
    ("int8", (2, 4, 3, 3), (9, 7), False, True),
    ("float32", (3, 4, 3, 1), (5, 6), True, False),
    ("int8", (1, 1, 1, 4), (3, 2), False, True),
    ("int8", (1, 25, 4, 1), (64, 29), True, False),
    ("int8", (1, 25, 4, 1), (64, 29), False, True),
    ("float32", (1, 2, 9, 5), (1, 40), False, True),
]


def make(rng, dtype, shape, size, align_corners, half_pixel_centers):
    quant = (0.1, 3) if dtype == "int8" else ()
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, (shape[0], *size, shape[3]), *quant)
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    where = const("size", np.array(size, np.int32))
    return model([op("RESIZE_BILINEAR", [x, where], [y], version=3, **options)], [x], [y])


test_matches_tflite_micro = compare(CASES, make)

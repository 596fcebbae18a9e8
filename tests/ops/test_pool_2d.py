"""AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D against TFLite Micro, with padding, overlap, activations and batches."""

import pytest

from modelmaker import model, op, tensor
from ops.harness import compare

KINDS = [(code, dtype) for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D") for dtype in ("int8", "float32", "int16")]
KINDS.append(("L2_POOL_2D", "float32"))
SHAPES = [  # (height, width, channels, window, stride, padding, activation, zero point)
    (6, 6, 4, (2, 2), (2, 2), "VALID", "NONE", 3),
    (7, 5, 3, (3, 3), (2, 2), "SAME", "RELU", -9),
    (5, 8, 5, (3, 2), (1, 1), "SAME", "RELU6", -128),
    (25, 5, 8, (25, 5), (25, 5), "VALID", "NONE", -128),
    (7, 7, 2, (5, 5), (3, 2), "SAME", "RELU_N1_TO_1", 127),
    (4, 4, 1, (1, 1), (2, 2), "VALID", "NONE", 0),
    (6, 5, 7, (2, 3), (1, 2), "VALID", "RELU", 127),
    (2, 2, 4, (5, 5), (1, 1), "SAME", "NONE", 4),
    (1, 10, 6, (1, 4), (1, 4), "SAME", "NONE", -4),
    (2, 8, 8, (2, 1), (1, 1), "VALID", "RELU6", 5),  # clang 22 with SLP and AVX2 adds one row only
]
CASES = [(*kind, *shape) for kind in KINDS for shape in SHAPES]
BATCHES = [(*kind, *shape, batch) for kind in KINDS for shape, batch in zip(SHAPES[:3], (2, 3, 2), strict=True)]


def make(rng, code, dtype, height, width, channels, window, stride, padding, activation, zero_point, batch=1):
    quant = {"int8": (0.03, zero_point), "int16": (0.0007, 0)}.get(dtype, ())
    x = tensor("x", dtype, (batch, height, width, channels), *quant)
    sizes = [
        -(-n // s) if padding == "SAME" else (n - w) // s + 1 for n, w, s in zip((height, width), window, stride, strict=True)
    ]
    y = tensor("y", dtype, (batch, *sizes, channels), *quant)
    options = {"stride_h": stride[0], "stride_w": stride[1], "filter_height": window[0], "filter_width": window[1]}
    node = op(code, [x], [y], version=2, padding=padding, fused_activation_function=activation, **options)
    return model([node], [x], [y])


test_matches_tflite_micro = compare(CASES, make)
test_batches_match_tflite_micro = compare(BATCHES, make)

SWEEP = [
    (*kind, height, 6, channels, window, stride, padding, "NONE", 5)
    for kind in KINDS
    for height in (4, 7)
    for channels in (1, 2, 3, 4, 5, 7, 8, 9)
    for window in ((2, 2), (3, 3), (4, 1))
    for stride in ((1, 1), (2, 2), (3, 1))
    for padding in ("SAME", "VALID")
]
test_sweep = pytest.mark.slow(compare(SWEEP, make))

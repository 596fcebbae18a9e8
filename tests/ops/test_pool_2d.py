"""AVERAGE_POOL_2D and MAX_POOL_2D against TFLite Micro, with padding, overlap and activations."""

import numpy as np
import pytest
from modelmaker import model, op, random_tensor, tensor
from ops.native import check

CASES = [  # (operator, type, height, width, channels, window, stride, padding, activation)
    (kind, dtype, *rest)
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    for dtype in ("int8", "float32")
    for rest in [
        (6, 6, 4, (2, 2), (2, 2), "VALID", "NONE"),
        (7, 5, 3, (3, 3), (2, 2), "SAME", "RELU"),
        (5, 8, 5, (3, 2), (1, 1), "SAME", "RELU6"),
        (25, 5, 8, (25, 5), (25, 5), "VALID", "NONE"),
    ]
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c)).replace(" ", ""))
def test_matches_tflite_micro(case, tmp_path):
    kind, dtype, height, width, channels, window, stride, padding, activation = case
    rng = np.random.default_rng(len(str(case)))
    x = random_tensor(rng, "x", dtype, (1, height, width, channels))
    sizes = [-(-n // s) if padding == "SAME" else (n - w) // s + 1 for n, w, s in zip((height, width), window, stride, strict=True)]
    y = tensor("y", dtype, (1, *sizes, channels), x.scale or None, x.zero_point or None)
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "filter_height": window[0], "filter_width": window[1],
               "fused_activation_function": activation}  # fmt: skip
    check(model([op(kind, [x], [y], version=2, **options)], [x], [y]), tmp_path)

"""CONV_2D against TFLite Micro: odd channels, windows, strides, dilations, activations, with and without the fast kernel."""

import numpy as np
import pytest
from modelmaker import conv, model, random_tensor
from ops.native import check

CASES = [  # (type, height, width, channels in, channels out, window, stride, dilation, padding, activation)
    ("int8", 5, 4, 8, 8, (1, 1), (1, 1), (1, 1), "SAME", "RELU"),
    ("int8", 5, 5, 3, 7, (1, 1), (1, 1), (1, 1), "VALID", "NONE"),
    ("int8", 5, 5, 6, 3, (1, 1), (1, 1), (1, 1), "VALID", "NONE"),
    ("int8", 3, 3, 16, 5, (1, 1), (1, 1), (1, 1), "SAME", "RELU6"),
    ("int8", 1, 1, 12, 4, (1, 1), (1, 1), (1, 1), "SAME", "NONE"),
    ("int8", 7, 6, 4, 9, (3, 3), (1, 1), (1, 1), "SAME", "RELU"),
    ("int8", 7, 6, 3, 8, (3, 3), (2, 2), (1, 1), "SAME", "RELU6"),
    ("int8", 9, 8, 4, 6, (3, 3), (1, 1), (2, 2), "SAME", "NONE"),
    ("int8", 9, 8, 5, 6, (5, 3), (3, 2), (1, 2), "VALID", "RELU_N1_TO_1"),
    ("int8", 12, 5, 1, 16, (10, 4), (2, 2), (1, 1), "SAME", "RELU"),
    ("float32", 7, 6, 3, 5, (3, 3), (2, 1), (1, 1), "SAME", "RELU6"),
    ("float32", 6, 6, 2, 4, (2, 2), (1, 1), (2, 1), "VALID", "NONE"),
]


@pytest.mark.parametrize("per_channel", [True, False], ids=["per-channel", "per-tensor"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c)).replace(" ", ""))
def test_matches_tflite_micro(case, per_channel, tmp_path):
    dtype, height, width, depth, channels, window, stride, dilation, padding, activation = case
    rng = np.random.default_rng(len(str(case)))
    x = random_tensor(rng, "x", dtype, (1, height, width, depth))
    layer = conv(rng, x, channels, window, stride, dilation, padding, activation, per_channel)
    check(model([layer], [x], layer.outputs), tmp_path)

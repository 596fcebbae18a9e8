"""DEPTHWISE_CONV_2D against TFLite Micro: the 3x3 line kernel along rows and columns, and everything it does not take."""

import numpy as np
import pytest
from modelmaker import conv, model, random_tensor
from ops.native import check

CASES = [  # (type, height, width, channels in, multiplier, window, stride, dilation, padding, activation)
    ("int8", 7, 6, 4, 1, (3, 3), (1, 1), (1, 1), "SAME", "RELU"),
    ("int8", 25, 5, 3, 1, (3, 3), (1, 1), (1, 1), "SAME", "RELU6"),
    ("int8", 6, 9, 5, 1, (3, 3), (1, 1), (1, 1), "VALID", "NONE"),
    ("int8", 8, 8, 4, 1, (3, 3), (2, 2), (1, 1), "SAME", "RELU"),
    ("int8", 9, 7, 4, 1, (3, 3), (2, 2), (1, 1), "VALID", "NONE"),
    ("int8", 1, 1, 4, 1, (3, 3), (1, 1), (1, 1), "SAME", "NONE"),
    ("int8", 2, 3, 4, 1, (3, 3), (2, 2), (1, 1), "SAME", "NONE"),
    ("int8", 7, 6, 4, 2, (3, 3), (1, 1), (1, 1), "SAME", "RELU"),
    ("int8", 9, 9, 3, 1, (5, 5), (1, 1), (1, 1), "SAME", "NONE"),
    ("int8", 9, 9, 3, 1, (3, 3), (1, 1), (2, 2), "SAME", "NONE"),
    ("int8", 9, 9, 3, 1, (3, 3), (3, 2), (1, 1), "VALID", "NONE"),
    ("float32", 7, 6, 4, 3, (3, 3), (1, 1), (1, 1), "SAME", "RELU"),
    ("float32", 8, 8, 2, 1, (3, 2), (2, 1), (1, 1), "VALID", "NONE"),
]


@pytest.mark.parametrize("per_channel", [True, False], ids=["per-channel", "per-tensor"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c)).replace(" ", ""))
def test_matches_tflite_micro(case, per_channel, tmp_path):
    dtype, height, width, depth, multiplier, window, stride, dilation, padding, activation = case
    rng = np.random.default_rng(len(str(case)))
    x = random_tensor(rng, "x", dtype, (1, height, width, depth))
    layer = conv(rng, x, depth * multiplier, window, stride, dilation, padding, activation, per_channel, depthwise=True)
    check(model([layer], [x], layer.outputs), tmp_path)

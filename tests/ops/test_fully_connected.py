"""FULLY_CONNECTED against TFLite Micro."""

import numpy as np
import pytest
from modelmaker import fully_connected, model, random_tensor
from ops.native import check

CASES = [  # (type, input shape, units, activation, bias)
    ("int8", (1, 64), 12, "NONE", True),
    ("int8", (1, 31), 5, "RELU", True),
    ("int8", (3, 16), 7, "RELU6", False),
    ("int8", (1, 9), 1, "NONE", True),
    ("float32", (1, 33), 6, "RELU", True),
    ("float32", (2, 8), 3, "NONE", False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c)).replace(" ", ""))
def test_matches_tflite_micro(case, tmp_path):
    dtype, shape, units, activation, bias = case
    rng = np.random.default_rng(len(str(case)))
    x = random_tensor(rng, "x", dtype, shape)
    layer = fully_connected(rng, x, units, activation, bias=bias)
    check(model([layer], [x], layer.outputs), tmp_path)

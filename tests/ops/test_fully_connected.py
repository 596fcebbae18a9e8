"""FULLY_CONNECTED against TFLite Micro: odd sizes, batches, with and without bias, per tensor and per channel."""

import pytest

from modelmaker import fully_connected, model, random_tensor
from ops.flavour import FLAVOURS, INT16_FLAVOURS, season
from ops.harness import compare

SHAPES = [  # (input shape, units, activation, bias)
    ((1, 64), 12, "NONE", True),
    ((1, 31), 5, "RELU", True),
    ((3, 16), 7, "RELU6", False),
    ((1, 9), 1, "NONE", True),
    ((1, 1), 1, "NONE", False),
    ((1, 4), 4, "RELU_N1_TO_1", True),
    ((1, 8), 5, "NONE", True),
    ((1, 128), 8, "RELU", False),
    ((2, 40), 9, "RELU", True),
    ((4, 24), 4, "NONE", True),
    ((2, 3, 12), 6, "NONE", True),
    ((1, 640), 10, "RELU", True),
]
CASES = [("int8", *shape, how, "usual") for shape in SHAPES for how in ("channel", "tensor")]
CASES += [("float32", *shape, "tensor", "usual") for shape in SHAPES]
CASES += [("int8", (2, depth), 6, "NONE", True, "channel", flavour) for depth in (16, 7) for flavour in FLAVOURS[1:]]

CASES += [("int16", *shape, how, "usual") for shape in SHAPES[:5] for how in ("channel", "tensor")]
CASES += [("int16", (2, 16), 6, "NONE", True, how, f) for how in ("channel", "tensor") for f in (*INT16_FLAVOURS, "int32 sums")]
PLAIN = [("int16", (1, 700), 6, "NONE", True, "channel", "minus 128")]  # sums of more than 32 bits
CASES += [  # sums of up to 28 bits, those of a chunk 24; some numbers of elements per turn
    ("int8", (2, depth), 6, activation, True, "channel", flavour)
    for depth, activation in ((288, "NONE"), (272, "RELU"), (1016, "NONE"), (4096, "NONE"), (328, "RELU"), (600, "NONE"))
    for flavour in ("low ends", "high ends")
]
CASES += [("int8", (2, depth), 5, "NONE", True, "tensor", "int4") for depth in (1, 7, 16, 33)]


def make(rng, dtype, shape, units, activation, bias, scales, flavour):
    x = random_tensor(rng, "x", dtype, shape)
    layer = season(fully_connected(rng, x, units, activation, scales == "channel", bias), flavour, 0)
    return model([layer], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make)
test_plain = compare(PLAIN, make, template="fully_connected")

SWEEP = [
    ("int8", (batch, depth), units, "NONE", True, "tensor", "usual")
    for batch in (1, 3)
    for depth in (*range(1, 37), 48, 63, 64, 65, 96, 100, 255, 256)
    for units in (1, 3, 4, 5, 8)
]
test_sweep = pytest.mark.slow(compare(SWEEP, make))

"""CONV_2D against TFLite Micro: odd channels, windows, strides, dilations, activations, with and without the fast kernel."""

import numpy as np
import pytest

from modelmaker import conv, model, random_tensor
from ops.flavour import FLAVOURS, INT16_FLAVOURS, season
from ops.harness import compare

ONE, TWO = (1, 1), (2, 2)
SHAPES = [  # (height, width, channels in, channels out, window, stride, dilation, padding, activation)
    (5, 4, 8, 8, ONE, ONE, ONE, "SAME", "RELU"),
    (5, 5, 3, 7, ONE, ONE, ONE, "VALID", "NONE"),
    (5, 5, 6, 3, ONE, ONE, ONE, "VALID", "NONE"),
    (3, 3, 16, 5, ONE, ONE, ONE, "SAME", "RELU6"),
    (1, 1, 12, 4, ONE, ONE, ONE, "SAME", "NONE"),
    (1, 1, 1, 1, ONE, ONE, ONE, "SAME", "NONE"),
    (4, 3, 20, 12, ONE, ONE, ONE, "SAME", "RELU_N1_TO_1"),
    (7, 5, 9, 6, ONE, TWO, ONE, "SAME", "NONE"),
    (7, 6, 4, 9, (3, 3), ONE, ONE, "SAME", "RELU"),
    (7, 6, 3, 8, (3, 3), TWO, ONE, "SAME", "RELU6"),
    (7, 5, 1, 5, (3, 3), TWO, ONE, "VALID", "RELU"),
    (9, 8, 4, 6, (3, 3), ONE, TWO, "SAME", "NONE"),
    (9, 8, 2, 4, (3, 3), ONE, TWO, "VALID", "RELU6"),
    (9, 8, 5, 6, (5, 3), (3, 2), (1, 2), "VALID", "RELU_N1_TO_1"),
    (12, 5, 1, 16, (10, 4), TWO, ONE, "SAME", "RELU"),
    (2, 2, 3, 5, (5, 5), ONE, ONE, "SAME", "NONE"),
    (1, 13, 7, 4, (1, 3), ONE, ONE, "SAME", "NONE"),
    (13, 1, 7, 4, (4, 1), (3, 1), ONE, "VALID", "NONE"),
    (3, 3, 8, 6, (3, 3), ONE, ONE, "VALID", "NONE"),
]
CASES = [("int8", *shape, "channel", "usual") for shape in SHAPES]
CASES += [("int8", *shape, "tensor", "usual") for shape in SHAPES[::4]]
CASES += [("float32", *shape, "tensor", "usual") for shape in SHAPES[::2]]
CASES += [
    ("int8", 4, 5, 8, 6, window, ONE, ONE, "SAME", "NONE", "channel", flavour)
    for window in (ONE, (3, 3))
    for flavour in FLAVOURS[1:]
]
CASES += [("float32", 4, 5, 3, 6, (2, 2), ONE, ONE, "SAME", "NONE", "tensor", "no bias")]


CASES += [("int16", *shape, "channel", "usual") for shape in SHAPES[::2]] + [("int16", *SHAPES[3], "tensor", "usual")]
SMALL_LAYER = (4, 5, 8, 6, (3, 3), ONE, ONE, "SAME", "NONE", "channel")
CASES += [("int16", *SMALL_LAYER, flavour) for flavour in (*INT16_FLAVOURS, "int32 sums")]
PLAIN = [("int16", 3, 3, 64, 4, (3, 3), ONE, ONE, "SAME", "NONE", "channel", "minus 128")]  # sums of more than 32 bits
CASES += [("int8", *shape, "channel", "int4") for shape in SHAPES[1:8:2]]
BATCHES = [(dtype, *shape, "tensor", "usual", 3) for dtype in ("int8", "int16", "float32") for shape in (SHAPES[0], SHAPES[8])]
BATCHES += [("int8", *shape, "channel", flavour, 2) for shape in (SHAPES[7], SHAPES[14]) for flavour in ("usual", "loud")]
GROUPS = [
    (dtype, 5, 4, depth, channels, window, ONE, ONE, "SAME", "RELU", "channel", "usual", batch, groups)
    for dtype in ("int8", "int16", "float32")
    for depth, channels, window, batch, groups in ((6, 4, (3, 3), 1, 2), (3, 6, ONE, 2, 3), (4, 4, (2, 3), 1, 4))
]
CASES += BATCHES + GROUPS


def make(
    rng, dtype, height, width, depth, channels, window, stride, dilation, padding, activation, scales, flavour, batch=1, groups=1
):
    x = random_tensor(rng, "x", dtype, (batch, height, width, depth))
    layer = conv(rng, x, channels, window, stride, dilation, padding, activation, scales == "channel", groups=groups)
    return model([season(layer, flavour, 0)], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make)
test_plain = compare(PLAIN, make, template="conv_2d_plain")


STRIPS = [  # few channels, each rest of four; blocks of a row, odd ones, columns apart, maps one pixel wide, loops and none
    ("int8", 12, 5, 1, 9, (10, 4), TWO, ONE, "SAME", "RELU", "channel"),
    ("int8", 9, 47, 1, 8, (5, 5), (1, 3), ONE, "SAME", "RELU6", "channel"),
    ("int8", 11, 11, 3, 8, (3, 3), TWO, ONE, "SAME", "RELU", "channel"),
    ("int8", 6, 31, 3, 6, (3, 3), ONE, ONE, "VALID", "NONE", "channel"),
    ("int8", 8, 9, 3, 4, (7, 7), TWO, ONE, "SAME", "RELU", "tensor"),
    ("int8", 3, 20, 2, 4, (1, 7), (3, 3), ONE, "SAME", "RELU6", "channel"),
    ("int8", 7, 7, 5, 7, (3, 3), (3, 3), ONE, "VALID", "RELU", "channel"),
    ("int8", 6, 7, 6, 4, (3, 3), (2, 1), (1, 2), "SAME", "RELU", "channel"),
    ("int8", 7, 6, 7, 5, (5, 5), ONE, (2, 1), "SAME", "NONE", "channel"),
    ("int8", 9, 1, 3, 4, (3, 1), TWO, ONE, "SAME", "RELU", "channel"),
    ("int8", 9, 1, 3, 4, (3, 3), ONE, ONE, "SAME", "RELU", "channel"),
    ("int8", 5, 5, 7, 5, (2, 2), (3, 3), ONE, "VALID", "RELU", "channel"),
    ("int8", 4, 3, 29, 5, (3, 3), ONE, ONE, "SAME", "RELU", "channel"),
    ("int8", 3, 9, 29, 5, (3, 3), ONE, ONE, "SAME", "RELU", "channel"),  # full blocks would leave a pixel alone
    ("int8", 5, 5, 63, 6, ONE, ONE, ONE, "SAME", "NONE", "channel"),
    ("int8", 1, 1, 3, 5, ONE, ONE, ONE, "VALID", "NONE", "channel"),
    ("int8", 3, 3, 6, 6, ONE, ONE, ONE, "SAME", "RELU", "channel"),
]
FINISHES = ("usual", "low zero", "high zero")  # RELU clamps to the output's zero point or to more
test_strips = compare([(*shape, finish) for shape in STRIPS for finish in FINISHES], make, template="conv_2d_strip")

PAIRS = [  # words of a window: up to 8 at once, then a loop's first turn of 1 to 16
    ("int8", 3, 5, depth, 6, ONE, ONE, ONE, "SAME", activation, "channel")
    for depth in (4, 16, 20, 24, 28, 32, 36, 60, 64, 68)
    for activation in ("NONE", "RELU", "RELU6")
]
PAIRS += [
    ("int8", height, width, 4, 9, window, stride, dilation, padding, "RELU", "channel")
    for height, width, window, stride, dilation, padding in (
        (6, 5, (3, 3), ONE, ONE, "SAME"),
        (7, 7, (2, 5), (3, 2), ONE, "SAME"),
        (5, 1, (3, 2), ONE, ONE, "SAME"),
        (8, 7, (3, 2), TWO, (2, 3), "SAME"),
        (6, 6, (3, 3), ONE, ONE, "VALID"),
    )
]
test_pairs = compare([(*shape, finish) for shape in PAIRS for finish in FINISHES[:2]], make, template="conv_2d_s8")

ENDS = ("low ends", "high ends")  # whose sums take up to 28 bits, those of a chunk 24
WIDE = [  # words of a window: a chunk and one more, two and a half, 16 chunks; odd channels
    ("int8", 2, 3, depth, channels, window, ONE, ONE, padding, "RELU", "channel")
    for depth, channels, window, padding in (
        (260, 6, ONE, "SAME"),
        (100, 4, (2, 3), "VALID"),
        (72, 5, (3, 3), "SAME"),
        (4096, 4, ONE, "SAME"),
    )
]
test_wide_pairs = compare([(*shape, finish) for shape in WIDE for finish in ENDS], make, template="conv_2d_s8")

WIDE_STRIPS = [
    ("int8", height, width, depth, channels, window, ONE, ONE, "SAME", "NONE", "channel")
    for height, width, depth, channels, window in ((2, 5, 259, 6, ONE), (4, 4, 35, 4, (3, 3)), (6, 1, 93, 5, (11, 1)))
]
test_wide_strips = compare([(*shape, finish) for shape in WIDE_STRIPS for finish in ENDS], make, template="conv_2d_strip")


def random_cases(seed, count):
    """Cases of shapes nobody chose; a window that is larger than its input gets SAME padding."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width, depth, channels = (int(n) for n in rng.integers(1, [10, 10, 18, 11]))
        window, stride, dilation = (tuple(int(n) for n in rng.integers(1, top, 2)) for top in (5, 4, 3))
        reach = [(taps - 1) * step + 1 for taps, step in zip(window, dilation, strict=True)]
        fits = reach[0] <= height and reach[1] <= width
        padding = str(rng.choice(["SAME", "VALID"])) if fits else "SAME"
        activation = str(rng.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))
        scales = str(rng.choice(["channel", "tensor"]))
        yield "int8", height, width, depth, channels, window, stride, dilation, padding, activation, scales, "usual"


test_random_shapes = compare([*random_cases(1, 24)], make)
test_sweep = pytest.mark.slow(compare([*random_cases(2, 400)], make))

"""DEPTHWISE_CONV_2D against TFLite Micro: the 3x3 line kernel along rows and columns, and everything it does not take."""

import numpy as np
import pytest

from modelmaker import conv, model, random_tensor
from ops.flavour import FLAVOURS, INT16_FLAVOURS, season
from ops.harness import compare, lowered

ONE, TWO = (1, 1), (2, 2)
SHAPES = [  # (height, width, channels in, multiplier, window, stride, dilation, padding, activation)
    (7, 6, 4, 1, (3, 3), ONE, ONE, "SAME", "RELU"),
    (25, 5, 3, 1, (3, 3), ONE, ONE, "SAME", "RELU6"),
    (5, 25, 3, 1, (3, 3), ONE, ONE, "SAME", "NONE"),
    (6, 9, 5, 1, (3, 3), ONE, ONE, "VALID", "NONE"),
    (8, 8, 4, 1, (3, 3), TWO, ONE, "SAME", "RELU"),
    (9, 7, 4, 1, (3, 3), TWO, ONE, "VALID", "NONE"),
    (9, 7, 4, 1, (3, 3), TWO, ONE, "SAME", "RELU_N1_TO_1"),
    (1, 1, 4, 1, (3, 3), ONE, ONE, "SAME", "NONE"),
    (2, 3, 4, 1, (3, 3), TWO, ONE, "SAME", "NONE"),
    (3, 3, 1, 1, (3, 3), ONE, ONE, "VALID", "NONE"),
    (1, 9, 3, 1, (3, 3), ONE, ONE, "SAME", "NONE"),
    (7, 6, 4, 2, (3, 3), ONE, ONE, "SAME", "RELU"),
    (5, 6, 1, 8, (10, 4), TWO, ONE, "SAME", "RELU"),
    (9, 9, 3, 1, (5, 5), ONE, ONE, "SAME", "NONE"),
    (9, 9, 3, 1, (3, 3), ONE, TWO, "SAME", "NONE"),
    (9, 9, 3, 1, (3, 3), (3, 2), ONE, "VALID", "NONE"),
    (8, 8, 5, 1, (3, 3), (1, 2), ONE, "SAME", "NONE"),
    (8, 8, 2, 3, (3, 2), (2, 1), (1, 2), "VALID", "RELU6"),
    (5, 4, 6, 1, ONE, ONE, ONE, "SAME", "NONE"),
    (13, 1, 5, 1, (7, 1), ONE, ONE, "SAME", "NONE"),
]
CASES = [("int8", *shape, "channel", "usual") for shape in SHAPES]
CASES += [("int8", *shape, "tensor", "usual") for shape in SHAPES[::4]]
CASES += [("float32", *shape, "tensor", "usual") for shape in SHAPES[::2]]
CASES += [
    ("int8", 4, 5, 6, multiplier, (3, 3), ONE, ONE, "SAME", "NONE", "channel", flavour)
    for multiplier in (1, 2)
    for flavour in FLAVOURS[1:]
]
CASES += [("float32", 4, 5, 3, 1, (3, 3), ONE, ONE, "SAME", "NONE", "tensor", "no bias")]


CASES += [("int16", *shape, "channel", "usual") for shape in SHAPES[::2]] + [("int16", *SHAPES[4], "tensor", "usual")]
SMALL_LAYER = (4, 5, 6, 2, (3, 3), ONE, ONE, "SAME", "NONE", "channel")
# TFLite Micro reads every int16 layer's bias as int64.
CASES += [("int16", *SMALL_LAYER, flavour) for flavour in INT16_FLAVOURS if flavour != "int32 bias"]
CASES += [("int16", 24, 24, 1, 2, (23, 23), ONE, ONE, "SAME", "NONE", "channel", "minus 128")]  # sums of more than 32 bits
CASES += [("int16", 24, 24, 2, 1, (23, 23), ONE, ONE, "SAME", "NONE", "channel", "minus 128")]
CASES += [("int8", *shape, "channel", "int4") for shape in SHAPES[1:14:4]]
CASES += [
    (dtype, *shape, "channel", "usual", 3)
    for dtype in ("int8", "int16", "float32")
    for shape in (SHAPES[0], SHAPES[4], SHAPES[9], SHAPES[11], (3, 1, 4, 1, (3, 3), TWO, ONE, "SAME", "NONE"))
]
# The four-channel kernel: every rest of channels, odd and even lines along rows and columns; "low zero" is where RELU's range
# begins at the zero point, which has a requantization of its own.
CASES += [
    ("int8", height, width, channels, 1, (3, 3), stride, ONE, padding, activation, "channel", flavour)
    for flavour in ("low zero", "full")
    for activation in ("RELU", "RELU6", "NONE")[:: 1 if flavour == "low zero" else 3]
    for height, width, channels, stride, padding in (
        (7, 1, 1, ONE, "SAME"), (6, 2, 2, ONE, "SAME"), (5, 3, 3, TWO, "SAME"), (4, 4, 4, ONE, "VALID"), (3, 5, 5, TWO, "VALID"),
        (2, 6, 6, ONE, "SAME"), (1, 7, 7, ONE, "SAME"), (6, 6, 8, ONE, "SAME"), (7, 5, 9, TWO, "SAME"), (25, 5, 4, ONE, "SAME"),
        (5, 5, 2, ONE, "VALID"), (8, 6, 8, TWO, "SAME"),
    )
]  # fmt: skip
# Any window, four channels at a time: window, stride, dilation and multiplier each alone and together, few and odd channels.
WINDOWS = [
    ("int8", height, width, channels, multiplier, window, stride, dilation, padding, activation, "channel", flavour)
    for height, width, channels, multiplier, window, stride, dilation, padding, activation, flavour in (
        (7, 9, 4, 1, (5, 5), ONE, ONE, "SAME", "RELU", "usual"), (6, 6, 5, 1, (2, 4), ONE, ONE, "SAME", "NONE", "low zero"),
        (9, 8, 7, 1, (5, 5), TWO, ONE, "SAME", "RELU6", "usual"), (9, 9, 4, 2, (3, 3), (3, 3), ONE, "SAME", "NONE", "high zero"),
        (9, 10, 8, 1, (3, 3), ONE, TWO, "SAME", "RELU", "usual"), (9, 11, 3, 1, (3, 3), ONE, (2, 3), "VALID", "NONE", "usual"),
        (8, 9, 4, 1, (2, 2), ONE, TWO, "SAME", "NONE", "full"), (5, 6, 2, 2, (3, 3), ONE, ONE, "SAME", "RELU", "usual"),
        (5, 6, 5, 3, (3, 3), TWO, ONE, "VALID", "NONE", "low zero"),
        (6, 7, 6, 2, (3, 2), (1, 2), (2, 1), "SAME", "NONE", "usual"),
        (4, 5, 9, 1, (1, 7), ONE, ONE, "SAME", "NONE", "usual"), (12, 2, 3, 1, (7, 1), (2, 1), ONE, "SAME", "RELU", "minus 128"),
        (2, 3, 4, 2, (5, 5), ONE, (3, 4), "SAME", "NONE", "usual"),
        (7, 7, 3, 1, (7, 7), ONE, ONE, "VALID", "NONE", "empty channel"),
        (3, 4, 5, 2, ONE, (2, 3), ONE, "SAME", "NONE", "usual"), (6, 23, 4, 1, (1, 9), (1, 4), ONE, "VALID", "NONE", "full"),
    )
]  # fmt: skip
# Pixels apart: windows that share nothing, or all there is is one; strides with dilations; numbers of taps for one turn and more;
# every rest of channels.
APART = [
    ("int8", height, width, channels, 1, window, stride, dilation, padding, activation, "channel", flavour)
    for height, width, channels, window, stride, dilation, padding, activation, flavour in (
        (24, 23, 32, (3, 3), (3, 3), ONE, "SAME", "NONE", "usual"), (9, 9, 5, (3, 3), TWO, TWO, "SAME", "RELU", "usual"),
        (9, 8, 6, (3, 3), (3, 3), ONE, "VALID", "NONE", "high zero"), (7, 9, 7, (5, 3), TWO, TWO, "SAME", "RELU6", "low zero"),
        (11, 12, 9, (3, 4), (2, 3), (3, 2), "SAME", "RELU6", "usual"), (5, 4, 4, ONE, TWO, ONE, "SAME", "NONE", "full"),
        (8, 9, 11, (7, 7), TWO, TWO, "SAME", "NONE", "full"), (9, 5, 10, (3, 1), TWO, (2, 1), "SAME", "NONE", "minus 128"),
        (3, 3, 8, (3, 3), ONE, TWO, "SAME", "RELU", "low zero"), (6, 7, 6, (2, 2), TWO, ONE, "VALID", "NONE", "empty channel"),
        (7, 7, 13, (1, 11), (3, 2), (1, 2), "SAME", "RELU", "usual"),
        (13, 13, 4, (5, 5), TWO, (2, 3), "VALID", "NONE", "no bias"),
    )
]  # fmt: skip
# One to three planes, which have gathers of their own, and a single plane for up to four channels: odd and even sizes down to one
# pixel, along rows and along columns, both strides, padding on each side or none, each requantization.
FEW = [
    ("int8", height, width, planes, multiplier, (3, 3), stride, ONE, padding, activation, "channel", flavour)
    for planes, multiplier in ((1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (3, 1))
    for height, width, stride, padding, activation, flavour in (
        (1, 1, ONE, "SAME", "NONE", "usual"), (3, 3, ONE, "VALID", "RELU", "low zero"), (1, 6, TWO, "SAME", "RELU6", "usual"),
        (9, 8, ONE, "VALID", "NONE", "full"), (6, 11, TWO, "VALID", "RELU", "low zero"), (7, 5, TWO, "SAME", "NONE", "high zero"),
        (20, 5, ONE, "SAME", "RELU", "low zero"), (10, 10, ONE, "SAME", "NONE", "no bias"),
    )
]  # fmt: skip
FEW += [(*FEW[n], 2) for n in (3, 9, 12, 41)]
SINGLE = [
    ("int8", height, width, 1, multiplier, window, stride, dilation, padding, activation, "channel", "usual")
    for height, width, multiplier, window, stride, dilation, padding, activation in (
        (1, 1, 1, ONE, ONE, ONE, "SAME", "NONE"), (9, 7, 2, (5, 5), ONE, ONE, "SAME", "RELU"),
        (9, 9, 3, (3, 3), ONE, TWO, "VALID", "NONE"), (8, 9, 2, (3, 3), (1, 2), ONE, "SAME", "RELU6"),
        (11, 4, 1, (7, 2), (3, 2), ONE, "SAME", "RELU"), (5, 6, 3, ONE, TWO, ONE, "VALID", "NONE"),
    )
]  # fmt: skip
# What none of them takes: a stride and a dilation at once with a multiplier or few channels, a multiplier of one and more.
PLAIN = [("int8", 9, 9, 5, 2, (3, 3), TWO, TWO, "SAME", "RELU", "channel", "usual")]
PLAIN += [("int8", 9, 9, 3, 1, (3, 3), TWO, TWO, "SAME", "RELU", "channel", "usual")]
PLAIN += [("int8", 4, 5, 6, 1, (3, 3), ONE, ONE, "SAME", "NONE", "channel", "loud", batch) for batch in (1, 2)]
CASES += [
    ("int8", 6, 5, 6, 1, (3, 3), stride, ONE, "SAME", "RELU", "channel", flavour, 2)
    for stride in (ONE, TWO)
    for flavour in ("usual", "low zero")
]


def make(rng, dtype, height, width, depth, multiplier, window, stride, dilation, padding, activation, scales, flavour, batch=1):
    x = random_tensor(rng, "x", dtype, (batch, height, width, depth))
    layer = conv(rng, x, depth * multiplier, window, stride, dilation, padding, activation, scales == "channel", depthwise=True)
    return model([season(layer, flavour, 3)], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make)
test_any_window = compare([*WINDOWS, (*WINDOWS[4], 2), (*WINDOWS[8], 2)], make, template="depthwise_windows")
test_pixels_apart = compare([*APART, (*APART[0], 2), (*APART[1], 2)], make, template="depthwise_apart")
# float32 3x3 by rows, sums in TFLite's order: all clamps, strides and paddings, multipliers, more channels.
ROWS = [
    ("float32", height, width, planes, multiplier, (3, 3), stride, ONE, padding, activation, "tensor", "usual", batch)
    for height, width, planes, multiplier, stride, padding, activation, batch in (
        (1, 1, 1, 1, ONE, "SAME", "NONE", 1), (1, 1, 3, 1, TWO, "SAME", "RELU", 1), (2, 2, 2, 2, ONE, "SAME", "RELU6", 1),
        (2, 2, 5, 1, TWO, "SAME", "NONE", 2), (3, 3, 4, 1, ONE, "VALID", "RELU", 1), (3, 4, 2, 3, TWO, "VALID", "NONE", 1),
        (9, 8, 1, 3, ONE, "SAME", "RELU_N1_TO_1", 1), (8, 9, 6, 1, TWO, "SAME", "RELU", 3),
        (7, 12, 1, 2, TWO, "VALID", "RELU6", 1), (28, 28, 1, 1, ONE, "VALID", "NONE", 1), (25, 5, 9, 1, ONE, "SAME", "RELU", 1),
        (6, 11, 3, 2, TWO, "SAME", "RELU", 1),
    )
]  # fmt: skip


test_float_rows = compare(ROWS, make, exact=True, template="depthwise_3x3_f32")
test_few_planes = compare(FEW, make, template="depthwise_3x3")
test_a_single_plane = compare(SINGLE, make, template="depthwise_windows")
test_plain_int8 = compare(PLAIN, make, template="depthwise_conv_2d")


def make_uneven(rng, stride, seed):
    """A layer whose channels' weights count for less and less beside their bias, as training leaves dead channels."""
    x = random_tensor(rng, "x", "int8", (1, 6, 7, 9))
    layer = conv(rng, x, 9, (3, 3), stride, ONE, "SAME", "RELU", True, depthwise=True)
    _, weights, bias = layer.inputs
    part = 2.0 ** -np.array([0, 3, 6, 7, 8, 9, 10, 12, 14])
    weights.scale = bias.scale = tuple(float(np.float32(s)) for s in weights.scale * part)
    bias.data = np.round(np.abs(bias.data) * 8 / part).astype(np.int32)
    x.zero_point = layer.outputs[0].zero_point = (-128,)
    return model([layer], [x], layer.outputs)


test_uneven_channels = compare([(stride, seed) for stride in (ONE, TWO) for seed in range(6)], make_uneven)


def test_uneven_channels_have_the_short_requantization():
    kernels = [lowered(make_uneven(np.random.default_rng(seed), ONE, 0)).nodes[0].kernel for seed in range(8)]
    assert sum(kernel.params["relu"] for kernel in kernels) > 4


@pytest.mark.parametrize(
    ("multiplier", "window", "stride", "dilation", "template", "in_place"),
    [
        (1, (3, 3), ONE, ONE, "depthwise_3x3", True),
        (1, (3, 3), TWO, ONE, "depthwise_3x3", True),
        (1, (3, 3), (1, 2), ONE, "depthwise_windows", True),
        (1, (5, 5), ONE, ONE, "depthwise_windows", True),
        (1, (3, 3), ONE, TWO, "depthwise_windows", True),
        (1, (2, 2), ONE, TWO, "depthwise_windows", False),  # a part's outputs fall on another part's inputs
        (2, (3, 3), ONE, ONE, "depthwise_windows", False),
        (1, (3, 3), (3, 3), ONE, "depthwise_apart", True),
        (1, (3, 3), TWO, TWO, "depthwise_apart", True),
        (2, (3, 3), TWO, TWO, "depthwise_conv_2d", True),
    ],
)
def test_kernel_by_shape(multiplier, window, stride, dilation, template, in_place):
    case = ("int8", 9, 9, 4, multiplier, window, stride, dilation, "SAME", "NONE", "channel", "usual")
    kernel = lowered(make(np.random.default_rng(5), *case)).nodes[0].kernel
    assert (kernel.template, bool(kernel.overlaps)) == (template, in_place)


@pytest.mark.parametrize(
    ("code", "channels", "window", "template"),
    [
        ("DEPTHWISE_CONV_2D", 1, (3, 3), "depthwise_3x3"),
        ("DEPTHWISE_CONV_2D", 4, (3, 3), "depthwise_3x3"),
        ("DEPTHWISE_CONV_2D", 5, (3, 3), "conv_2d_strip"),
        ("DEPTHWISE_CONV_2D", 3, (5, 5), "depthwise_windows"),
        ("DEPTHWISE_CONV_2D", 4, (5, 5), "conv_2d_strip"),
        ("CONV_2D", 2, (3, 3), "depthwise_3x3"),
        ("CONV_2D", 1, (1, 1), "depthwise_windows"),
    ],
)
def test_kernel_of_a_single_plane(code, channels, window, template):
    rng = np.random.default_rng(4)
    x = random_tensor(rng, "x", "int8", (1, 9, 9, 1))
    layer = conv(rng, x, channels, window, ONE, ONE, "SAME", "RELU", True, depthwise=code != "CONV_2D")
    kernel = lowered(model([layer], [x], layer.outputs)).nodes[0].kernel
    assert (kernel.template, bool(kernel.overlaps)) == (template, template != "depthwise_windows" or channels == 1)


@pytest.mark.parametrize(
    ("activation", "flavour", "short"),
    [
        ("RELU", "low zero", True),
        ("NONE", "low zero", True),  # int8 ends at the zero point in any case
        ("RELU_N1_TO_1", "low zero", False),  # the range ends early
        ("RELU", "usual", False),
        ("RELU", "high zero", False),
    ],
)
def test_short_requantization_where_the_range_begins_at_the_zero_point(activation, flavour, short):
    data = make(np.random.default_rng(3), "int8", 5, 5, 4, 1, (3, 3), ONE, ONE, "SAME", activation, "channel", flavour)
    kernel = lowered(data).nodes[0].kernel
    assert (kernel.template, kernel.params["relu"]) == ("depthwise_3x3", short)


def random_cases(seed, count):
    """Cases of shapes nobody chose, half of them for the 3x3 kernel; a window larger than its input gets SAME padding."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width, depth, multiplier = (int(n) for n in rng.integers(1, [12, 12, 9, 4]))
        window, stride, dilation = (tuple(int(n) for n in rng.integers(1, top, 2)) for top in (6, 4, 3))
        if number % 2:
            window, stride, dilation, multiplier = (3, 3), (stride[0] % 2 + 1,) * 2, ONE, 1
        reach = [(taps - 1) * step + 1 for taps, step in zip(window, dilation, strict=True)]
        fits = reach[0] <= height and reach[1] <= width
        padding = str(rng.choice(["SAME", "VALID"])) if fits else "SAME"
        activation = str(rng.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))
        scales = str(rng.choice(["channel", "tensor"]))
        yield "int8", height, width, depth, multiplier, window, stride, dilation, padding, activation, scales, "usual"


test_random_shapes = compare([*random_cases(1, 24)], make)
SWEEP = [
    ("int8", height, width, depth, 1, (3, 3), stride, ONE, padding, "RELU", "channel", "usual")
    for height in (1, 2, 3, 4, 5, 8, 9)
    for width in (1, 2, 3, 4, 5, 8, 9)
    for depth in (1, 3)
    for stride in (ONE, TWO)
    for padding in ("SAME", "VALID")
    if padding == "SAME" or min(height, width) >= 3
]
test_sweep = pytest.mark.slow(compare(SWEEP, make))

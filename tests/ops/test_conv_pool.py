"""A convolution joined with the MAX_POOL_2D behind it against TFLite Micro, and when the two stay apart."""

from dataclasses import replace

import numpy as np
import pytest

from mcuml.passes import fuse_pool
from mcuml.plan import plan
from modelmaker import OpSpec, TensorSpec, conv, model, op, random_tensor, tensor
from ops.flavour import FLAVOURS, season
from ops.harness import compare, identify, lowered

ONE, TWO = (1, 1), (2, 2)
SHAPES = [  # (height, width, channels in, channels out, window, stride, padding, activation, pool, the pool's activation)
    (8, 8, 1, 12, (3, 3), ONE, "VALID", "RELU", TWO, "NONE"),
    (9, 7, 1, 5, (3, 3), ONE, "VALID", "NONE", TWO, "NONE"),
    (8, 6, 1, 7, (5, 5), ONE, "SAME", "RELU6", TWO, "NONE"),
    (9, 11, 1, 4, (2, 4), ONE, "VALID", "RELU", TWO, "RELU6"),
    (22, 9, 1, 13, (4, 2), TWO, "SAME", "RELU", TWO, "NONE"),
    (7, 8, 3, 10, (3, 3), ONE, "SAME", "RELU", TWO, "NONE"),
    (10, 9, 3, 13, (5, 3), ONE, "VALID", "NONE", TWO, "RELU"),
    (23, 15, 2, 12, (3, 3), TWO, "SAME", "RELU_N1_TO_1", TWO, "NONE"),
    (10, 13, 5, 19, (1, 3), (1, 3), "SAME", "NONE", TWO, "NONE"),
    (6, 5, 4, 11, ONE, ONE, "SAME", "RELU", TWO, "NONE"),
    (6, 6, 13, 31, ONE, ONE, "VALID", "NONE", TWO, "RELU_N1_TO_1"),
    (16, 7, 8, 17, (3, 3), ONE, "SAME", "RELU6", TWO, "NONE"),
    (15, 9, 11, 22, (4, 4), ONE, "SAME", "NONE", TWO, "NONE"),
    (20, 5, 12, 26, (3, 3), ONE, "SAME", "RELU", TWO, "NONE"),
    (14, 8, 17, 34, (3, 2), ONE, "SAME", "NONE", TWO, "RELU"),
    (23, 2, 7, 30, (5, 1), ONE, "VALID", "RELU", (4, 1), "NONE"),
    (9, 14, 6, 16, (1, 3), ONE, "SAME", "NONE", (1, 4), "NONE"),
    (4, 4, 3, 11, TWO, ONE, "VALID", "RELU", TWO, "NONE"),
    (24, 5, 33, 59, (2, 2), ONE, "VALID", "NONE", TWO, "NONE"),
    (14, 9, 1, 2, (3, 3), ONE, "SAME", "RELU", TWO, "NONE"),
]
ONE_CHANNEL = [  # a kernel of its own
    (28, 28, 1, 12, (3, 3), ONE, "VALID", "RELU", TWO, "NONE"),
    (27, 11, 1, 3, (3, 3), (1, 2), "SAME", "NONE", TWO, "RELU6"),
    (10, 13, 1, 6, (3, 3), (1, 3), "VALID", "RELU6", TWO, "NONE"),
]
SINGLE = (8, 9, 3, 1, (3, 3), ONE, "SAME", "RELU", TWO, "NONE")
CASES = [("int8", *shape, "usual") for shape in (*SHAPES, *ONE_CHANNEL)]
CASES += [("int8", *shape, flavour) for shape in (SHAPES[0], SHAPES[11]) for flavour in FLAVOURS[1:]]
CASES += [("int8", *shape, "usual", 3) for shape in (SHAPES[0], SHAPES[5], SHAPES[15])]
CASES += [("int8", *shape, "usual", 1, True) for shape in SHAPES[:5]]
CASES += [("float32", *shape, "usual") for shape in (*SHAPES, SINGLE)] + [("float32", *SHAPES[5], "no bias")]
CASES += [("float32", *shape, "usual", 2, depthwise) for shape, depthwise in ((SHAPES[0], True), (SHAPES[7], False))]


def layers(
    rng,
    dtype,
    height,
    width,
    depth,
    channels,
    window,
    stride,
    padding,
    activation,
    taps,
    clamp,
    flavour,
    batch=1,
    depthwise=False,
) -> tuple[TensorSpec, OpSpec, OpSpec]:
    """(input, convolution, pool)."""
    x = random_tensor(rng, "x", dtype, (batch, height, width, depth))
    first = season(conv(rng, x, channels, window, stride, ONE, padding, activation, depthwise=depthwise), flavour, 3 * depthwise)
    return x, first, pool(first.outputs[0], taps, taps, clamp)


def pool(
    middle: TensorSpec, taps: tuple[int, int], stride: tuple[int, int], clamp: str = "NONE", padding: str = "VALID"
) -> OpSpec:
    batch, height, width, channels = middle.shape
    sizes = [-(-n // s) if padding == "SAME" else (n - t) // s + 1 for n, t, s in zip((height, width), taps, stride, strict=True)]
    y = tensor("pooled", middle.dtype, (batch, *sizes, channels), middle.scale or None, middle.zero_point or None)
    options = {"stride_h": stride[0], "stride_w": stride[1], "filter_height": taps[0], "filter_width": taps[1]}
    return op("MAX_POOL_2D", [middle], [y], version=2, padding=padding, fused_activation_function=clamp, **options)


def make(rng, *case) -> bytes:
    x, first, second = layers(rng, *case)
    return model([first, second], [x], second.outputs)


test_matches_tflite_micro = compare(CASES, make, optimized=True)


POINTS = [  # (height, width, channels out, stride, activation, the pool's taps, stride and activation)
    (26, 26, 12, ONE, "RELU", TWO, TWO, "NONE"),
    (1, 1, 3, ONE, "NONE", ONE, ONE, "NONE"),
    (2, 2, 1, ONE, "RELU6", TWO, TWO, "NONE"),
    (7, 9, 5, ONE, "NONE", TWO, TWO, "RELU"),
    (9, 8, 2, ONE, "RELU", (3, 3), TWO, "NONE"),  # windows overlap
    (8, 11, 6, ONE, "NONE", TWO, (3, 3), "RELU6"),  # pixels are left out
    (13, 10, 4, TWO, "RELU", (1, 2), (1, 2), "NONE"),
    (5, 16, 7, (1, 2), "RELU_N1_TO_1", (2, 1), (2, 1), "NONE"),
    (4, 19, 3, ONE, "NONE", (4, 4), ONE, "NONE"),
]
POINT_CASES = [(dtype, *shape, "usual") for dtype in ("int8", "float32") for shape in POINTS]
POINT_CASES += [
    ("int8", *POINTS[n], flavour) for n in (0, 3) for flavour in FLAVOURS[1:] if flavour not in ("loud", "flushed", "big bias")
]
POINT_CASES += [
    (dtype, *shape, "usual", 2, depthwise)
    for dtype, shape, depthwise in (("int8", POINTS[3], True), ("int8", POINTS[8], False), ("float32", POINTS[6], True))
]


def make_point(rng, dtype, height, width, channels, stride, activation, taps, step, clamp, flavour, batch=1, depthwise=False):
    """A 1x1 convolution of one channel: what a pool has of it is found from its largest and least input."""
    x = random_tensor(rng, "x", dtype, (batch, height, width, 1))
    first = season(conv(rng, x, channels, ONE, stride, ONE, "SAME", activation, depthwise=depthwise), flavour, 3 * depthwise)
    second = pool(first.outputs[0], taps, step, clamp)
    return model([first, second], [x], second.outputs)


test_points_match_tflite_micro = compare(POINT_CASES, make_point, optimized=True)


@pytest.mark.parametrize("case", POINT_CASES, ids=identify)
def test_points_are_one_layer(case):
    (node,) = lowered(make_point(np.random.default_rng(5), *case), optimized=True).nodes
    assert node.kernel.template == "conv_pool_point"


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_points_in_partial_windows_stay_two_layers(dtype):
    x = random_tensor(np.random.default_rng(1), "x", dtype, (1, 5, 5, 1))
    first = conv(np.random.default_rng(1), x, 3, ONE)
    second = pool(first.outputs[0], TWO, TWO, padding="SAME")
    assert len(codes([first, second], x, second.outputs)) == 2


def codes(nodes: list[OpSpec], x: TensorSpec, outputs: list[TensorSpec]) -> list[str]:
    """The operators that are left once the passes ran."""
    return [node.code for node in lowered(model(nodes, [x], outputs), optimized=True).nodes]


WIDE = ("loud", "flushed", "minus 128")  # whose multipliers or, of more than one channel, weights the fast kernel does not hold


def fits(case: tuple) -> bool:
    depth, flavour = case[3], case[11]
    return flavour not in WIDE[: 2 if depth == 1 else 3]


@pytest.mark.parametrize("case", [case for case in CASES if fits(case)], ids=identify)
def test_the_map_between_them_needs_no_memory(case):
    graph = lowered(make(np.random.default_rng(5), *case), optimized=True)
    (node,) = graph.nodes
    assert node.code in ("CONV_2D+MAX_POOL_2D", "DEPTHWISE_CONV_2D+MAX_POOL_2D")
    held = plan(graph)
    (gap,) = [t for t, tensor in enumerate(graph.tensors) if tensor.name == "conv"]
    assert held.offsets[gap] is None


def apart(rng, dtype: str, why: str) -> tuple[list[OpSpec], TensorSpec, list[TensorSpec]]:
    """Layers that must stay two: (operators, input, outputs)."""
    clamp, padding, taps, stride, groups, dilation, kernel = "NONE", "VALID", TWO, TWO, 1, ONE, (3, 3)
    if why == "partial windows":
        padding = "SAME"
    elif why == "overlapping windows":
        taps = (3, 3)
    elif why == "pixels left out":
        taps = ONE
    elif why == "dilation":
        dilation = TWO
    elif why == "groups":
        groups = 2
    x = random_tensor(rng, "x", dtype, (1, 9, 9, 4))
    first = conv(rng, x, 4, kernel, ONE, dilation, "SAME", "RELU", groups=groups)
    middle = first.outputs[0]
    second = pool(middle, taps, stride, clamp, padding)
    nodes, outputs = [first, second], [second.outputs[0]]
    if why == "a second reader":
        other = tensor("other", dtype, middle.shape, middle.scale or None, middle.zero_point or None)
        nodes.append(op("RELU", [middle], [other]))
        outputs.append(other)
    elif why == "an output":
        outputs.append(middle)
    elif why == "another scale":  # as near as TFLite Micro lets them lie
        second.outputs[0].scale = (float(np.nextafter(np.float32(middle.scale[0]), np.float32(1))),)
    return nodes, x, outputs


APART = ["partial windows", "overlapping windows", "pixels left out", "a second reader", "an output", "dilation", "groups"]
APART_CASES = [("int8", why) for why in (*APART, "another scale")] + [("float32", why) for why in APART]


def make_apart(rng, dtype: str, why: str) -> bytes:
    nodes, x, outputs = apart(rng, dtype, why)
    return model(nodes, [x], outputs)


test_two_match_tflite_micro = compare(APART_CASES, make_apart, optimized=True)


@pytest.mark.parametrize("case", APART_CASES, ids=identify)
def test_stays_two_layers(case):
    assert codes(*apart(np.random.default_rng(2), *case))[:2] == ["CONV_2D", "MAX_POOL_2D"]


@pytest.mark.parametrize("case", [case for case in CASES if not fits(case)], ids=identify)
def test_what_the_kernel_cannot_hold_stays_two_layers(case):
    assert len(lowered(make(np.random.default_rng(5), *case), optimized=True).nodes) == 2


def test_control_flow_between_the_two_keeps_them_apart():
    node = lowered(make(np.random.default_rng(1), *CASES[0])).nodes
    graph = lowered(make(np.random.default_rng(1), *CASES[0]))
    mark = replace(node[0], code="IF", inputs=(), outputs=())
    assert len(fuse_pool.run(graph).nodes) == 1
    assert len(fuse_pool.run(replace(graph, nodes=(node[0], mark, node[1]))).nodes) == 3

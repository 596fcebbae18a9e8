"""A convolution joined with the ADD behind it against TFLite Micro, by both kernels, and when the two stay apart."""

from dataclasses import replace

import numpy as np
import pytest

from mcuml.passes import fuse_add
from mcuml.plan import plan
from modelmaker import const, conv, model, op, random_tensor, tensor
from ops.flavour import season
from ops.harness import compare, lowered

ONE, TWO, THREE = (1, 1), (2, 2), (3, 3)
SHAPES = [  # (height, width, channels in, channels out, window, padding, activation, ADD's activation, the other's place)
    (4, 4, 8, 8, THREE, "SAME", "NONE", "RELU", 0),
    (5, 7, 4, 9, THREE, "SAME", "RELU", "NONE", 1),
    (7, 5, 6, 6, THREE, "VALID", "NONE", "RELU6", 1),
    (1, 1, 4, 4, THREE, "SAME", "NONE", "NONE", 0),
    (3, 2, 16, 20, THREE, "SAME", "RELU6", "RELU_N1_TO_1", 0),
    (6, 9, 5, 7, THREE, "SAME", "NONE", "NONE", 1),
    (2, 9, 12, 13, THREE, "SAME", "RELU", "RELU", 0),
]
OTHERS = [
    (5, 5, 8, 8, ONE, "SAME", "NONE", "NONE", 0),
    (3, 5, 7, 10, (2, 3), "SAME", "NONE", "RELU", 1),
    (6, 5, 4, 4, (5, 1), "VALID", "RELU", "NONE", 0),
]
WHENS = ("the other dies", "the other stays", "the input stays", "its own input")
CASES = [(*shape, "usual", when, 1) for shape in SHAPES for when in WHENS[:3]]
CASES += [(5, 6, 8, 8, THREE, "SAME", "NONE", "NONE", place, "usual", WHENS[3], 1) for place in (0, 1)]
CASES += [(*shape, flavour, WHENS[0], 1) for shape in SHAPES[:2] for flavour in ("full", "low zero", "high zero", "no bias")]
CASES += [(*shape, "usual", WHENS[0], batch) for shape in SHAPES[:3] for batch in (2, 3)]


def make(rng, height, width, depth, channels, window, padding, activation, clamp, place, flavour, when, batch):
    x = random_tensor(rng, "x", "int8", (batch, height, width, depth))
    layer = season(conv(rng, x, channels, window, ONE, ONE, padding, activation, True), flavour, 0)
    middle = layer.outputs[0]
    while x.scale[0] * max(layer.inputs[1].scale) / middle.scale[0] >= 0.5:
        middle.scale = (middle.scale[0] * 2,)  # the fast requantization shifts to the right
    given = x if when == "its own input" else random_tensor(rng, "given", "int8", middle.shape)
    other = tensor("other", "int8", middle.shape, given.scale, given.zero_point)
    y = tensor("y", "int8", middle.shape, 1.5 * max(*middle.scale, *other.scale), 4)
    operands = [middle, other]
    nodes = [op("RELU", [given], [other]), layer]
    if when == "its own input":
        nodes, operands = [layer], [middle, x]
    nodes.append(op("ADD", operands if place else operands[::-1], [y], fused_activation_function=clamp))
    outputs = [y]
    if when in ("the other stays", "the input stays"):
        kept = other if when == "the other stays" else x
        outputs.append(tensor("again", "int8", kept.shape, kept.scale, kept.zero_point))
        nodes.append(op("RELU", [kept], outputs[1:]))
    return model(nodes, [x] if given is x else [x, given], outputs)


test_matches_tflite_micro = compare([*CASES, *((*s, "usual", w, 1) for s in OTHERS for w in WHENS[:2])], make, optimized=True)
test_by_winograd = compare(CASES, make, optimized=True, template="conv_2d_winograd")


@pytest.mark.parametrize("template", ["conv_2d_s8", "conv_2d_winograd"])
def test_the_map_needs_no_memory_and_the_sum_lies_over_the_other(template):
    graph = lowered(make(np.random.default_rng(1), *CASES[0]), True, template)
    assert [node.code for node in graph.nodes] == ["RELU", "CONV_2D+ADD"] and graph.nodes[1].kernel.template == template
    held = plan(graph)
    offset = {tensor.name: at for tensor, at in zip(graph.tensors, held.offsets, strict=True)}
    assert offset["conv"] is None and offset["y"] == offset["other"]
    over = graph.nodes[1].kernel.overlaps[-1]  # tiles are not in the order of bytes, so nowhere else
    assert (over.input, over.distance, over.exact) == (3, 0, True)
    assert held.arena_bytes <= 2 * 128 + graph.nodes[1].kernel.scratch + 15


def make_apart(rng, why):
    x = random_tensor(rng, "x", "int8", (1, 6, 6, 4))
    layer = conv(rng, x, 4, THREE, TWO if why == "larger input" else ONE, ONE, "SAME", "NONE", True, groups=1 + (why == "groups"))
    middle = layer.outputs[0]
    shape = (1, 1, 1, 4) if why == "broadcast" else middle.shape
    given = random_tensor(rng, "given", "int8", shape)
    if why == "constant":
        given = const("given", rng.integers(-128, 128, shape, dtype=np.int8), given.scale, given.zero_point)
    y = tensor("y", "int8", middle.shape, 2 * max(*middle.scale, *given.scale), 4)
    operands = [middle, middle] if why == "twice" else [middle, given]
    nodes, outputs = [layer, op("ADD", operands, [y])], [y]
    if why == "an output":
        outputs.append(middle)
    return model(nodes, [x] if why in ("constant", "twice") else [x, given], outputs)


APART = [(why,) for why in ("broadcast", "constant", "twice", "an output", "larger input", "groups")]
test_two_match_tflite_micro = compare(APART, make_apart, optimized=True)


@pytest.mark.parametrize("case", APART, ids=lambda case: case[0])
def test_stays_two_layers(case):
    graph = lowered(make_apart(np.random.default_rng(1), *case), True)
    assert [node.code for node in graph.nodes] == ["CONV_2D", "ADD"]


def make_shortcut(rng, small_first):
    """ResNet's block: a 3x3 and a 1x1 convolution of one tensor are added."""
    x = random_tensor(rng, "x", "int8", (1, 5, 5, 8))
    layers = [conv(rng, x, 8, window, ONE, ONE, "SAME", "NONE", True) for window in (THREE, ONE)]
    maps = [layer.outputs[0] for layer in layers]
    y = tensor("y", "int8", maps[0].shape, 2 * max(*maps[0].scale, *maps[1].scale), 4)
    return model([*(layers[::-1] if small_first else layers), op("ADD", maps, [y])], [x], [y])


test_shortcut = compare([(False,), (True,)], make_shortcut, optimized=True)


@pytest.mark.parametrize("small_first", [False, True])
def test_the_larger_window_is_joined(small_first):
    graph = lowered(make_shortcut(np.random.default_rng(1), small_first), True)
    assert [node.code for node in graph.nodes] == ["CONV_2D", "CONV_2D+ADD"]
    assert graph.tensors[graph.nodes[1].inputs[1]].shape == (8, 3, 3, 8)


def test_control_flow_between_the_two_keeps_them_apart():
    graph = lowered(make_shortcut(np.random.default_rng(1), False))
    mark = replace(graph.nodes[0], code="IF", inputs=(), outputs=())
    assert len(fuse_add.run(graph).nodes) == 2
    assert len(fuse_add.run(replace(graph, nodes=(*graph.nodes[:2], mark, graph.nodes[2]))).nodes) == 4

"""CONV_2D 3x3 by Winograd's F(2x2, 3x3) against TFLite Micro: sizes, channels, padding, limits, batches, in place."""

import numpy as np
import pytest

from mcuml.winograd import DOUBLED_G, transformed
from modelmaker import conv, model, op, random_tensor, tensor
from ops.flavour import FLAVOURS, season
from ops.harness import compare, lowered

TEMPLATE = "conv_2d_winograd"
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
OUTSIDE = ("loud", "faint", "flushed", "big bias")  # multipliers and biases that the fast requantization leaves to others
SHAPES = [  # (height, width, channels in, channels out, padding, activation)
    (1, 1, 4, 4, "SAME", "NONE"),
    (1, 5, 3, 5, "SAME", "RELU"),
    (5, 1, 8, 4, "SAME", "NONE"),
    (2, 2, 1, 1, "SAME", "RELU6"),
    (3, 3, 4, 4, "VALID", "NONE"),
    (4, 4, 8, 8, "VALID", "RELU"),
    (4, 4, 16, 16, "SAME", "NONE"),
    (5, 6, 7, 9, "VALID", "RELU_N1_TO_1"),
    (6, 5, 12, 3, "SAME", "RELU6"),
    (7, 9, 20, 6, "SAME", "RELU"),
    (9, 8, 5, 2, "SAME", "NONE"),
    (8, 3, 44, 4, "VALID", "NONE"),
    (3, 7, 17, 20, "SAME", "RELU_N1_TO_1"),
]
CASES = [(*shape, "usual", 1) for shape in SHAPES]
CASES += [(4, 5, 8, 6, "SAME", "NONE", flavour, 1) for flavour in FLAVOURS[1:] if flavour not in OUTSIDE]
CASES += [(5, 7, 6, 5, "SAME", "RELU", flavour, 1) for flavour in ("full", "minus 128", "low zero", "high zero")]
CASES += [(5, 4, 8, 5, "SAME", "NONE", "usual", 2), (4, 6, 3, 8, "VALID", "RELU", "high zero", 3)]


def random_cases(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width, depth, channels = (int(n) for n in rng.integers(1, [10, 10, 21, 21]))
        padding = str(rng.choice(["SAME", "VALID"])) if min(height, width) >= 3 else "SAME"
        flavour = str(rng.choice([f for f in FLAVOURS if f not in OUTSIDE]))
        yield height, width, depth, channels, padding, str(rng.choice(ACTIVATIONS)), flavour, int(rng.integers(1, 3))


def make(rng, height, width, depth, channels, padding, activation, flavour, batch):
    x = random_tensor(rng, "x", "int8", (batch, height, width, depth))
    layer = season(conv(rng, x, channels, (3, 3), (1, 1), (1, 1), padding, activation, True), flavour, 0)
    while layer.inputs[0].scale[0] * max(layer.inputs[1].scale) / layer.outputs[0].scale[0] >= 0.5:
        layer.outputs[0].scale = (layer.outputs[0].scale[0] * 2,)  # the fast requantization shifts to the right
    return model([layer], [x], layer.outputs)


test_matches_tflite_micro = compare([*CASES, *random_cases(3, 24)], make, template=TEMPLATE)
test_sweep = pytest.mark.slow(compare([*random_cases(4, 300)], make, template=TEMPLATE))


def make_kept(rng, height, width, depth, padding):
    """The convolution's input is read again, so that its output lies elsewhere."""
    x = random_tensor(rng, "x", "int8", (1, height, width, depth))
    layer = conv(rng, x, depth, (3, 3), (1, 1), (1, 1), padding, "NONE", True)
    y = tensor("y", "int8", layer.outputs[0].shape, 0.1, 3)
    return model([layer, op("ADD", [x, layer.outputs[0]], [y])], [x], [y])


test_out_of_place = compare([(6, 7, 8, "SAME"), (4, 4, 16, "SAME")], make_kept, template=TEMPLATE)


@pytest.mark.parametrize("window, stride, dilation, dtype", [
    ((3, 3), (2, 1), (1, 1), "int8"), ((3, 3), (1, 1), (1, 2), "int8"), ((3, 5), (1, 1), (1, 1), "int8"),
    ((1, 1), (1, 1), (1, 1), "int8"), ((3, 3), (1, 1), (1, 1), "float32"), ((3, 3), (1, 1), (1, 1), "int16"),
])  # fmt: skip
def test_not_offered(window, stride, dilation, dtype):
    rng = np.random.default_rng(1)
    x = random_tensor(rng, "x", dtype, (1, 8, 8, 4))
    layer = conv(rng, x, 4, window, stride, dilation, "SAME", "NONE", dtype != "float32")
    graph = lowered(model([layer], [x], layer.outputs))
    assert [k.template for k in graph.nodes[0].attrs.candidates(graph.nodes[0], graph)] == [graph.nodes[0].kernel.template]


def test_not_offered_for_depthwise():
    rng = np.random.default_rng(1)
    x = random_tensor(rng, "x", "int8", (1, 8, 8, 4))
    layer = conv(rng, x, 4, (3, 3), (1, 1), (1, 1), "SAME", "NONE", True, depthwise=True)
    graph = lowered(model([layer], [x], layer.outputs))
    assert TEMPLATE not in [k.template for k in graph.nodes[0].candidates]


def test_transformed_weights_stay_in_their_lanes():
    filters = np.where(np.random.default_rng(2).integers(0, 2, (8, 3, 3, 8)), 127, -128).astype(np.int8)
    lanes = transformed(filters).view(np.int16).reshape(2, 16, 2, 2, 4, 2)
    for n, c in ((0, 0), (5, 3), (7, 6)):
        exact = DOUBLED_G @ filters[n, :, :, c].astype(int) @ DOUBLED_G.T
        assert np.array_equal(lanes[n // 4, :, c // 4, c % 2, n % 4, c % 4 // 2], exact.reshape(-1))

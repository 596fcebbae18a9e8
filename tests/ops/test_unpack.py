"""Weights that are unpacked before their kernel runs, against TFLite Micro (LiteRT where it refuses them): all kinds of kernels,
with and without lanes, every length of step, batches, layers joined with what follows; and what is offered."""

import numpy as np
import pytest

from mcuml.unpack import pairs
from modelmaker import const, conv, model, op, random_tensor, tensor
from ops.harness import compare, lowered

TEMPLATE = "unpacked"
POINT, THREE, WIDE = (1, 1), (3, 3), (5, 2)
LAYERS = [  # (input shape, output channels, window, stride, kind, share of zeros, kernel)
    ((1, 7, 6, 16), 12, THREE, (1, 1), "", 0.8, "conv_2d_s8"),
    ((2, 5, 5, 16), 9, THREE, (2, 2), "", 0.5, "conv_2d_s8"),
    ((1, 4, 3, 64), 22, POINT, (1, 1), "", 0.99, "conv_2d_s8"),
    ((1, 4, 3, 40), 16, POINT, (1, 1), "", 1.0, "conv_2d_s8"),
    ((1, 9, 8, 3), 30, WIDE, (1, 1), "", 0.8, "conv_2d_strip"),
    ((2, 9, 8, 3), 30, WIDE, (2, 1), "", 0.9, "conv_2d_strip"),
    ((1, 5, 4, 20), 8, THREE, (1, 1), "groups", 0.8, "conv_2d_plain"),
    ((1, 6, 6, 64), 64, THREE, (1, 1), "depthwise", 0.8, "depthwise_3x3"),
    ((1, 6, 6, 48), 48, WIDE, (1, 1), "depthwise", 0.9, "depthwise_apart"),
    ((1, 6, 6, 6), 66, THREE, (2, 1), "depthwise", 0.9, "depthwise_windows"),
]
CASES = [("int8", *layer) for layer in LAYERS]
CASES += [(dtype, *layer[:6], "") for dtype in ("float32", "int16") for layer in LAYERS[::3]]
LITERT = [(dtype, *layer[:6], "") for dtype in ("hybrid", "float16") for layer in LAYERS[::2]]


def make(rng, dtype, shape, channels, window, stride, kind, share, kernel):
    x = random_tensor(rng, "x", "float32" if dtype in ("hybrid", "float16") else dtype, shape)
    groups = 2 if kind == "groups" else 1
    layer = conv(rng, x, channels, window, stride, depthwise=kind == "depthwise", groups=groups, activation="RELU")
    weights = layer.inputs[1]
    if dtype == "hybrid":
        count = channels if kind or channels % 2 else 1
        values = rng.integers(-127, 128, weights.shape, dtype=np.int8)
        scale = rng.uniform(0.001, 0.02, count)
        layer.inputs[1] = weights = const("w", values, scale, [0] * count, axis=3 if kind == "depthwise" else 0)
    weights.data = np.where(rng.random(weights.shape) < share, 0, weights.data).astype(weights.data.dtype)
    if x.scale:
        layer.outputs[0].scale = (float(x.scale[0] * max(weights.scale) * 300),)
    widen = []
    if dtype == "float16":
        halves, layer.inputs[1] = weights.data.astype(np.float16), tensor("wide", "float32", weights.shape)
        widen = [op("DEQUANTIZE", [const("halves", halves)], [layer.inputs[1]])]
    return model([*widen, layer], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make, template=TEMPLATE)
test_matches_litert = compare(
    LITERT, make, litert=True, optimized=True, samples=("random", "zero", "positive", "low", "ramp"), template=TEMPLATE
)


CLUSTERED = [  # (input shape, output channels, window, values, a palette per channel)
    ((1, 7, 6, 16), 12, THREE, 16, True),
    ((2, 5, 5, 20), 9, THREE, 16, False),
    ((1, 4, 3, 64), 22, POINT, 7, True),
    ((1, 9, 8, 7), 30, WIDE, 12, True),
    ((1, 9, 8, 3), 30, WIDE, 15, False),
]


def make_clustered(rng, shape, channels, window, values, own):
    x = random_tensor(rng, "x", "int8", shape)
    layer = conv(rng, x, channels, window)
    palettes = [np.append(rng.choice(np.arange(1, 128), values - 1, replace=False), 0) for _ in range(channels if own else 1)]
    filters = [rng.choice(palettes[n % len(palettes)], layer.inputs[1].shape[1:]) for n in range(channels)]
    layer.inputs[1].data = (np.stack(filters) * rng.choice([-1, 1])).astype(np.int8)
    layer.outputs[0].scale = (float(x.scale[0] * max(layer.inputs[1].scale) * 900),)
    return model([layer], [x], layer.outputs)


test_clustered = compare(CLUSTERED, make_clustered, template=TEMPLATE)


@pytest.mark.parametrize("case", CLUSTERED)
def test_clustered_weights_are_indices(case):
    graph = lowered(make_clustered(np.random.default_rng(3), *case))
    usual, packed = graph.nodes[0].candidates[0], next(k for k in graph.nodes[0].candidates if k.template == TEMPLATE)
    assert (packed.params["form"], packed.params["own"]) == ("indices", case[4])
    assert packed.constant_bytes < usual.constant_bytes


def make_joined(rng, dtype, what):
    """A convolution and what it is joined with."""
    x = random_tensor(rng, "x", dtype, (1, 8, 8, 16))
    layer = conv(rng, x, 16)
    layer.inputs[1].data[rng.random(layer.inputs[1].shape) < 0.8] = 0
    if what == "add":
        y = random_tensor(rng, "y", dtype, (1, 8, 8, 16))
        other = op("RELU", [x], [tensor("r", dtype, x.shape, x.scale, x.zero_point)])
        return model([other, layer, op("ADD", [layer.outputs[0], other.outputs[0]], [y])], [x], [y])
    y = tensor("y", dtype, (1, 4, 4, 16), layer.outputs[0].scale, layer.outputs[0].zero_point)
    options = dict(padding="VALID", stride_h=2, stride_w=2, filter_height=2, filter_width=2)
    return model([layer, op("MAX_POOL_2D", layer.outputs, [y], **options)], [x], [y])


test_joined_layers = compare(
    [("int8", "pool"), ("float32", "pool"), ("int8", "add")], make_joined, optimized=True, template=TEMPLATE
)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer[6]], ids=lambda layer: f"{layer[6]}-{layer[5]}")
def test_the_kernel_that_gets_its_weights_so(layer):
    graph = lowered(make(np.random.default_rng(3), "int8", *layer))
    usual, packed = graph.nodes[0].candidates[0], next(k for k in graph.nodes[0].candidates if k.template == TEMPLATE)
    assert packed.params["inner"] == usual.template == layer[6]
    assert packed.packed and packed.constant_bytes < usual.constant_bytes and packed.scratch > usual.scratch


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_not_offered_where_it_is_no_smaller(share):
    shape, *rest = LAYERS[0]
    graph = lowered(make(np.random.default_rng(3), "int8", shape, *rest[:4], share, ""))
    assert TEMPLATE not in [kernel.template for kernel in graph.nodes[0].candidates]


def test_lanes_of_any_bytes_are_pairs():
    raw = np.random.default_rng(5).integers(-128, 128, 4096).astype(np.int8)
    low, high = pairs(raw).reshape(-1, 2).astype(np.int64).T
    np.testing.assert_array_equal((256 * high + low).astype("<i2").view(np.int8), raw)


def test_a_weight_of_zero_is_a_byte_of_zero():
    graph = lowered(make(np.random.default_rng(3), "int8", *LAYERS[0]))
    kernel = graph.nodes[0].candidates[0]
    weights = next(c.data for c in kernel.constants if c.role == "weights")
    given = graph.tensors[graph.nodes[0].inputs[1]].data
    assert np.count_nonzero(pairs(weights)) < np.count_nonzero(given) + 16 * given.shape[0] < np.count_nonzero(weights)

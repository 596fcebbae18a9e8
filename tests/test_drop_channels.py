"""Dropped channels: the outputs stay TFLite Micro's, and the channels are gone; what is needed stays."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from modelmaker import OpSpec, TensorSpec, conv, fully_connected, model, op, random_tensor, tensor
from ops.harness import compare, lowered

CHANNELS = 12
DEAD = (0, 3, 4, 5, 7, 8, 10)  # of twelve: five stay, which makes two groups of four


def silence(layer: OpSpec, channels: tuple[int, ...], axis: int, bias: int | None = None) -> None:
    """Zero the weights of those output (axis 0; -1 of a depthwise layer) or input channels; `bias`: theirs."""
    weights, biases = layer.inputs[1], layer.inputs[2]
    assert weights is not None and weights.data is not None and biases is not None and biases.data is not None
    np.moveaxis(weights.data, axis, 0)[list(channels)] = 0
    if bias is not None:
        biases.data[list(channels)] = bias


def pool(x: TensorSpec, kind: str, height: int, width: int) -> OpSpec:
    y = tensor(kind, "int8", (x.shape[0], x.shape[1] // height, x.shape[2] // width, x.shape[3]), x.scale, x.zero_point)
    options = dict(padding="VALID", stride_h=height, stride_w=width, filter_height=height, filter_width=width)
    return op(kind, [x], [y], **options)


def chain(rng: np.random.Generator, padding: str, activation: str, why: str, last: str, batch: int = 1) -> list[OpSpec]:
    """Convolution, depthwise, convolution, pool, and a dense layer on it; the first one's DEAD channels are `why`."""
    x = random_tensor(rng, "x", "int8", (batch, 9, 8, 4))
    first = conv(rng, x, CHANNELS, (3, 3), padding=padding, activation=activation, name="first")
    depth = conv(rng, first.outputs[0], CHANNELS, (3, 3), padding=padding, activation=activation, depthwise=True, name="depth")
    second = conv(rng, depth.outputs[0], CHANNELS, (1, 1) if last == "global" else (2, 2), padding=padding, name="second")
    third = second.outputs[0]
    size = third.shape[1:3] if last == "global" else (2, 2)
    pooled = pool(third, "MAX_POOL_2D" if last == "max" else "AVERAGE_POOL_2D", *size)
    flat = tensor("flat", "int8", (batch, prod(pooled.outputs[0].shape[1:])), third.scale, third.zero_point)
    dense = fully_connected(rng, flat, 3)
    if why == "unread":
        silence(second, DEAD, -1)
    elif why == "depthwise":  # constant from there on, so that the channels before it are not read either
        silence(depth, DEAD, -1)
    elif why == "dense":
        silence(dense, DEAD, -1)
    else:  # constant: at the zero point (where the activation clamps), or at some other value
        silence(first, DEAD, 0, {"clamped": -100_000, "constant": 900, "high": 100_000}[why])
    return [first, depth, second, pooled, op("RESHAPE", [pooled.outputs[0]], [flat], new_shape=list(flat.shape)), dense]


def make(rng: np.random.Generator, *case: object) -> bytes:
    layers = chain(rng, *case)
    return model(layers, [layers[0].inputs[0]], [layers[-1].outputs[0]])


WHY = ("unread", "depthwise", "clamped", "constant", "high")
CASES = [
    *((padding, activation, why, "global") for padding in ("SAME", "VALID") for activation in ("RELU", "NONE") for why in WHY),
    *((padding, "RELU6", why, last) for padding in ("SAME", "VALID") for why in WHY for last in ("window", "max")),
    *(("SAME", "RELU", why, "window", 2) for why in WHY),
    *((padding, "NONE", "dense", "global") for padding in ("SAME", "VALID")),
]  # fmt: skip

test_matches_tflite_micro = compare(CASES, make, optimized=True)

# Behind a padded layer a channel that is constant, but not zero, is another at the border.
GONE = {
    ("SAME", "RELU", "unread"): (8, 8), ("SAME", "NONE", "unread"): (8, 8), ("VALID", "RELU", "unread"): (8, 8),
    ("SAME", "RELU", "depthwise"): (8, 8), ("VALID", "NONE", "depthwise"): (8, 8),
    ("SAME", "RELU", "clamped"): (8, 8), ("SAME", "NONE", "clamped"): (12, 12), ("VALID", "NONE", "clamped"): (8, 8),
    ("SAME", "RELU", "constant"): (12, 12), ("VALID", "RELU", "constant"): (8, 8), ("VALID", "RELU", "high"): (8, 8),
}  # fmt: skip


@pytest.mark.parametrize("case", GONE)
def test_what_is_dropped(case: tuple[str, str, str]) -> None:
    graph = lowered(make(np.random.default_rng(1), *case, "global"), optimized=True)
    shapes = {graph.tensors[n.outputs[0]].name: graph.tensors[n.outputs[0]] for n in graph.nodes}
    assert (shapes["first"].shape[3], shapes["depth"].shape[3]) == GONE[case]
    kept = shapes["first"].kept
    assert shapes["second"].shape[3] == CHANNELS
    if GONE[case][0] < CHANNELS:
        assert set(range(CHANNELS)) - set(DEAD) <= set(kept.tolist()) and graph.dropped_macs > 0
    else:
        assert kept is None and graph.dropped_macs == 0


def needed(rng: np.random.Generator, where: str) -> bytes:
    """Channels that the next convolution does not read, but the model's output or another operator does, or which come
    straight from the model's input."""
    x = random_tensor(rng, "x", "int8", (1, 4, 4, CHANNELS))
    first = conv(rng, x, CHANNELS, (1, 1), name="first", depthwise=where == "input")
    second = conv(rng, first.outputs[0], 4, (1, 1), name="second")
    silence(second, DEAD, -1)
    outputs = [second.outputs[0]]
    layers = [first, second]
    if where == "output":
        outputs.append(first.outputs[0])
    elif where == "relu":
        layers.append(op("RELU", [first.outputs[0]], [tensor("z", "int8", (1, 4, 4, CHANNELS), 0.1, 3)]))
        outputs.append(layers[-1].outputs[0])
    return model(layers, [x], outputs)


def test_a_dense_layer_lets_go_through_pool_and_reshape() -> None:
    layers = chain(np.random.default_rng(4), "SAME", "RELU", "dense", "global")
    graph = lowered(model(layers, [layers[0].inputs[0]], [layers[-1].outputs[0]]), optimized=True)
    shapes = {graph.tensors[n.outputs[0]].name: graph.tensors[n.outputs[0]].shape for n in graph.nodes}
    assert (shapes["second"][3], shapes["flat"], shapes["first"][3]) == (8, (1, 8), CHANNELS)


@pytest.mark.parametrize("where", ["output", "relu", "input"])
def test_what_another_reads_stays(where: str) -> None:
    graph = lowered(needed(np.random.default_rng(2), where), optimized=True)
    assert next(t for t in graph.tensors if t.name == "first").shape[3] == CHANNELS


test_what_another_reads_matches = compare([("output",), ("relu",), ("input",)], needed, optimized=True)


def test_a_sum_that_might_overflow_is_not_folded() -> None:
    rng = np.random.default_rng(3)
    layers = chain(rng, "VALID", "RELU", "constant", "global")
    biases = layers[2].inputs[2]
    assert biases is not None and biases.data is not None
    biases.data[:] = 2**31 - 200_000
    graph = lowered(model(layers, [layers[0].inputs[0]], [layers[-1].outputs[0]]), optimized=True)
    assert next(t for t in graph.tensors if t.name == "depth").shape[3] == CHANNELS

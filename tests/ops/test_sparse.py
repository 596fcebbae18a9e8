"""Weights that are mostly zero against TFLite Micro (float activations with int8 or float16 weights: LiteRT): every length of
step, rows without weights and full ones, batches, limits; and what is offered for which weights."""

import numpy as np
import pytest

from mcuml.walks import TURN, walk
from modelmaker import const, fully_connected, model, op, random_tensor, tensor
from ops.flavour import season
from ops.harness import compare, lowered

TEMPLATE = "fully_connected_sparse"
DENSE = [  # (input shape, units, activation, pattern, flavour)
    ((1, 301), 10, "NONE", "80", "usual"),
    ((1, 2028), 10, "RELU", "80", "low zero"),
    ((3, 127), 17, "RELU6", "80", "high zero"),
    ((2, 3, 256), 8, "RELU_N1_TO_1", "97", "usual"),
    ((1, 1000), 3, "NONE", "99", "low zero"),
    ((1, 400), 5, "NONE", "last", "usual"),
    ((1, 400), 5, "RELU", "first", "high zero"),
    ((2, 256), 9, "NONE", "24", "usual"),
    ((1, 333), 8, "NONE", "55", "low zero"),
    ((1, 240), 12, "NONE", "rows", "usual"),
    ((2, 255), 6, "NONE", "one row", "high zero"),
    ((1, 512), 4, "RELU", "none", "low zero"),
    ((1, 2500), 1, "NONE", "90", "usual"),
]
INTEGER = ("no bias", "loud", "faint", "flushed", "big bias")
CASES = [("int8", *case, how) for case in DENSE for how in ("tensor", "channel")]
CASES += [("int8", (2, 301), 9, "NONE", "minus 128", flavour, "channel") for flavour in ("low zero", "high zero", *INTEGER)]
CASES += [("float32", *case, "tensor") for case in DENSE]
HYBRID = [("hybrid", *case, how) for case in DENSE[:10:3] + DENSE[10:12] for how in ("tensor", "channel", "asymmetric")]
HALVES = [("float16", *case, "tensor") for case in DENSE[::3]]


def thinned(rng, weights, pattern):
    """`weights` (N, K) with most of them zero: "80" is a percentage, "24" two of each four, "rows" every other row, "one row" all
    but one, "none" all, "last" and "first" all but a row's last or first; "minus 128" leaves -128 in a fifth of the places."""
    rows, depth = weights.shape
    if pattern == "24":
        kept = np.argsort(rng.random((rows, depth // 4, 4)), axis=2).reshape(rows, -1) < 2
    elif pattern in ("first", "last"):
        kept = np.arange(depth)[None, :] == (0 if pattern == "first" else depth - 1)
    elif pattern in ("rows", "one row", "none"):
        kept = np.arange(rows)[:, None] % (2 if pattern == "rows" else rows) == 1
        kept = np.broadcast_to(kept & (pattern != "none"), weights.shape)
    else:
        kept = rng.random((rows, depth)) >= (0.8 if pattern == "minus 128" else int(pattern) / 100)
    values = np.full_like(weights, -128) if pattern == "minus 128" else np.where(weights == 0, 1, weights).astype(weights.dtype)
    return np.where(kept, values, 0).astype(weights.dtype)


def make(rng, dtype, shape, units, activation, pattern, flavour, how):
    real = dtype in ("float16", "hybrid")
    x = random_tensor(rng, "x", "float32" if real else dtype, shape)
    layer = fully_connected(rng, x, units, activation, how == "channel")
    if not x.scale and dtype == "hybrid":
        scale = rng.uniform(0.001, 0.02, units if how == "channel" else 1)
        layer.inputs[1] = const("w", rng.integers(-127, 128, layer.inputs[1].shape, dtype=np.int8), scale, [0] * len(scale))
        layer.options["asymmetric_quantize_inputs"] = how == "asymmetric"
    weights = layer.inputs[1]
    weights.data = thinned(rng, weights.data, pattern)
    if x.scale:
        layer.outputs[0].scale = (float(x.scale[0] * max(weights.scale) * 500),)
        season(layer, flavour, 0)
    widen = []
    if dtype == "float16":
        halves, layer.inputs[1] = weights.data.astype(np.float16), tensor("wide", "float32", weights.shape)
        widen = [op("DEQUANTIZE", [const("halves", halves)], [layer.inputs[1]])]
    return model([*widen, layer], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make, template=TEMPLATE)
test_matches_litert = compare(HYBRID, make, litert=True, samples=("random", "zero", "positive", "low", "ramp"), template=TEMPLATE)
test_halves_match_litert = compare(HALVES, make, litert=True, optimized=True, template=TEMPLATE)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.6, 1.0])
def test_a_walk_is_the_matrix(dtype, share):
    rng = np.random.default_rng(int(100 * share))
    matrix = np.where(rng.random((7, 901)) < share, rng.integers(1, 128, (7, 901)), 0).astype(dtype)
    made = walk(matrix)
    assert max(1, sum(made.turns)) == len(made.data)
    turn, longest = TURN[made.steps], (1 << made.steps) - 1
    rows, again = np.split(made.data[: sum(made.turns)], np.cumsum(made.turns)[:-1]), np.zeros_like(matrix)
    for n, row in enumerate(rows):
        at = 0
        for line in row:
            word, values = int(line[:4].copy().view("<u4")[0]), line[4:].copy().view(dtype)
            for i, value in enumerate(values[:turn]):
                at += word >> (8 * (i % 4) + made.steps * (i // 4)) & longest
                assert at < 901
                again[n, at] += value
    np.testing.assert_array_equal(again, matrix)


@pytest.mark.parametrize(("dtype", "pattern", "offered"), [
    ("int8", "80", True), ("int8", "0", False), ("int8", "25", False), ("int16", "80", False), ("float32", "60", True),
])  # fmt: skip
def test_offered_where_it_is_smaller(dtype, pattern, offered):
    data = make(np.random.default_rng(1), dtype, (1, 301), 10, "NONE", pattern, "usual", "tensor")
    graph = lowered(data)
    assert (TEMPLATE in [k.template for k in graph.nodes[0].candidates]) == offered


def test_what_is_walked_is_not_unpacked_too():
    graph = lowered(make(np.random.default_rng(1), "int8", (1, 301), 10, "NONE", "80", "usual", "tensor"))
    assert [k.template for k in graph.nodes[0].candidates if k.packed] == [TEMPLATE]

"""FULLY_CONNECTED over weights of few distinct values against TFLite Micro: two and four bits, one palette and one per row."""

import numpy as np
import pytest

from modelmaker import fully_connected, model, random_tensor
from ops.flavour import season
from ops.harness import compare, lowered

TEMPLATE = "fully_connected_palette"
CASES = [  # (input shape, units, activation, values, own palettes, flavour)
    ((1, 320), 10, "NONE", 16, False, "usual"),
    ((1, 333), 10, "RELU", 16, False, "low zero"),
    ((2, 255), 17, "NONE", 4, False, "high zero"),
    ((1, 2028), 10, "NONE", 16, True, "low zero"),
    ((3, 241), 12, "RELU6", 4, True, "high zero"),
    ((2, 3, 128), 24, "NONE", 3, False, "usual"),
    ((1, 257), 16, "NONE", 5, True, "usual"),
    ((1, 304), 9, "RELU_N1_TO_1", 1, False, "usual"),
    ((1, 319), 9, "NONE", 2, False, "usual"),
]
CASES += [
    ((2, 301), 12, "NONE", 16, False, flavour) for flavour in ("no bias", "loud", "faint", "flushed", "big bias", "minus 128")
]


def make(rng, shape, units, activation, values, own, flavour):
    x = random_tensor(rng, "x", "int8", shape)
    layer = fully_connected(rng, x, units, activation, per_channel=own)
    weights = layer.inputs[1]
    palettes = np.array([rng.choice(256, values, replace=False) - 128 for _ in range(units if own else 1)])
    palettes[0, 0] = -128
    rows = [rng.choice(palettes[n % len(palettes)], weights.shape[1]) for n in range(units)]
    weights.data = np.stack(rows).astype(np.int8)
    layer.outputs[0].scale = (float(x.scale[0] * max(weights.scale) * 500),)
    return model([season(layer, flavour, 0)], [x], layer.outputs)


test_matches_tflite_micro = compare(CASES, make, template=TEMPLATE)


@pytest.mark.parametrize(("values", "own", "bits"), [
    (16, False, 4), (16, True, 4), (4, False, 2), (3, True, 2), (17, True, 0), (17, False, 0),
])  # fmt: skip
def test_offered_for_few_values(values, own, bits):
    graph = lowered(make(np.random.default_rng(1), (1, 320), 20, "NONE", values, own, "usual"))
    found = [k for k in graph.nodes[0].candidates if k.template == TEMPLATE]
    assert [k.params["bits"] for k in found] == [bits] * (bits > 0)
    assert all(k.params["own"] == own and k.packed for k in found)

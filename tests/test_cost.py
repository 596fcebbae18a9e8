"""Estimated cycles: where they come from, how near they are to what the virtual board counts, and that the C tells them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commandline import DIGITS
from mcuml import assets, board, tune
from mcuml.cost import COUNTS, counts, estimated
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.pipeline import lowered, prepare
from mcuml.render import render_model
from modelmaker import conv, model, op, random_tensor, tensor

TABLE = json.loads((assets.folder("data") / "kernel_cycles.json").read_text(encoding="utf-8"))
NEAR = 0.4  # of shapes that the fit has not seen


def test_what_is_counted() -> None:
    tensors = (
        Tensor("x", "int8", (1, 4, 4, 3)),
        Tensor("w", "int8", (8, 1), data=np.zeros((8, 1), np.int8)),
        Tensor("y", "int8", (1, 2, 2, 8)),
    )
    node = Node("OP", None, (0, 1, -1), (2,), 0)
    graph = Graph("g", tensors, (node,), (0,), (2,))
    kernel = Kernel("k", macs=960)
    assert dict(zip(COUNTS, counts(node, graph, kernel), strict=True)) == {
        "macs": 960, "copies": 120, "outputs": 32, "inputs": 48, "calls": 1,
    }  # fmt: skip
    assert estimated(node, graph, kernel) is kernel, "a kernel that was never measured has no estimate"


def test_a_kernel_s_own_estimate_stays() -> None:
    graph = lowered(DIGITS)
    node = next(node for node in graph.nodes if node.code == "FULLY_CONNECTED")
    assert node.kernel and node.kernel.cycles
    stated = replace(node.kernel, cycles=7)
    assert estimated(node, graph, stated) is stated


@pytest.mark.parametrize("key", sorted(TABLE))
def test_every_fit_says_how_good_it_is(key: str) -> None:
    held = TABLE[key]
    assert set(held) == {"cycles", "error", "layers"} and set(held["cycles"]) <= set(COUNTS)
    assert all(value >= 0 for value in held["cycles"].values()) and held["layers"] >= 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers of shapes that the fit has not seen."""
    rng = np.random.default_rng(3)
    x = random_tensor(rng, "x", "int8", (1, 14, 11, 12))
    layers = [
        conv(rng, x, 20, (3, 3), name="square"), conv(rng, x, 36, (1, 1), name="point"),
        conv(rng, x, 12, (3, 3), name="line", depthwise=True),
    ]  # fmt: skip
    for layer in layers:
        layer.outputs[0].scale = (1.0,)
    y = tensor("y", "int8", x.shape, 0.1, 3)
    layers.append(op("ADD", [x, x], [y]))
    file = tmp_path_factory.mktemp("cost") / "m.tflite"
    file.write_bytes(model(layers, [x], [layer.outputs[0] for layer in layers]))
    return file


def test_estimates_are_near_what_is_counted(path: Path) -> None:
    graph = lowered(path)
    measured, _ = tune.measure(graph, board.load("nucleo_l4r5zi"), lambda *_: None)
    for k, spent in enumerate(measured):
        for node, cycles in zip(graph.nodes, spent, strict=True):
            if k < len(node.candidates):
                said = node.candidates[k].cycles
                assert abs(said - cycles) < NEAR * cycles, f"{node.candidates[k].template}: {said} instead of {cycles}"


def test_the_c_tells_shapes_macs_and_cycles(path: Path) -> None:
    text = render_model(prepare(path))["model.c"]
    titles = sorted(re.findall(r"/\* (\d .*) \*/", text))  # the order of the nodes may be another
    assert re.fullmatch(
        r"0 CONV_2D int8 1x14x11x12 by 20x3x3x12 -> 1x14x11x20, 332,640 MACs, about \d\d0,000 cycles on a Cortex-M4", titles[0]
    ), titles
    assert re.fullmatch(r"3 ADD int8 1x14x11x12, 1x14x11x12 -> 1x14x11x12, about [\d,]+ cycles on a Cortex-M4", titles[3])

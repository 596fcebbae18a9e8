"""graph.verify: each rule, broken once, is named together with the stage that broke it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mcuml.errors import ModelError
from mcuml.graph import ABSENT, Graph, Node, Quantization, Tensor, dump, verify

TENSORS = (
    Tensor("x", "int8", (1, 4), Quantization(np.array([0.5], np.float32), np.array([3]))),
    Tensor("w", "int8", (2, 4), None, np.zeros((2, 4), np.int8)),
    Tensor("h", "int8", (1, 2)),
    Tensor("y", "int8", (1, 2)),
)
NODES = (Node("FULLY_CONNECTED", None, (0, 1, ABSENT), (2,), 0), Node("RELU", None, (2,), (3,), 1))
GOOD = Graph("g", TENSORS, NODES, (0,), (3,))


def _tensor(place: int, **fields) -> Graph:
    return replace(GOOD, tensors=tuple(replace(t, **fields) if i == place else t for i, t in enumerate(TENSORS)))


def _node(place: int, **fields) -> Graph:
    return replace(GOOD, nodes=tuple(replace(n, **fields) if i == place else n for i, n in enumerate(NODES)))


BROKEN = {
    "zero-dimension": (_tensor(0, shape=(0, 4)), "'x' has shape [0, 4]"),
    "constant-shape": (_tensor(1, shape=(4, 2)), "constant 'w' holds int8[2, 4], not int8[4, 2]"),
    "constant-dtype": (_tensor(1, dtype="uint8"), "not uint8[2, 4]"),
    "no-input": (replace(GOOD, inputs=()), "no input or no output"),
    "no-output": (replace(GOOD, outputs=()), "no input or no output"),
    "graph-output-range": (replace(GOOD, outputs=(9,)), "names tensor 9 of 4"),
    "node-input-range": (_node(0, inputs=(4,)), "FULLY_CONNECTED (operator 0) names a tensor outside 0..3"),
    "node-input-negative": (_node(0, inputs=(-2,)), "outside 0..3"),
    "absent-output": (_node(1, outputs=(ABSENT,)), "outside 0..3"),
    "order": (replace(GOOD, nodes=NODES[::-1]), "RELU (operator 1, output 'y') reads 'h' before"),
    "writes-a-constant": (_node(1, outputs=(1,)), "writes 'w'"),
    "writes-an-input": (_node(1, outputs=(0,)), "writes 'x'"),
    "writes-twice": (_node(1, outputs=(2,)), "writes 'h'"),
    "output-never-written": (replace(GOOD, nodes=NODES[:1]), "output 'y' is never written"),
}


def test_a_good_graph_passes():
    assert verify(GOOD, "a test") is GOOD
    assert "x:int8[1, 4], w:int8[2, 4], -" in dump(GOOD)


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_is_named_with_the_stage(case: str):
    graph, expected = BROKEN[case]
    with pytest.raises(ModelError) as caught:
        verify(graph, after="pass shuffle")
    assert expected in str(caught.value) and "after pass shuffle" in str(caught.value)


def test_per_tensor_quantization_is_asked_for_by_name():
    assert TENSORS[0].scale == 0.5 and TENSORS[0].zero_point == 3
    with pytest.raises(ModelError, match="Tensor 'y'"):
        _ = TENSORS[3].scale

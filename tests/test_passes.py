"""Passes: what each changes, and what it must leave alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mcuml import passes
from mcuml.errors import ModelError
from mcuml.graph import Graph, Node, Quantization, Tensor


def quant(scale: float, zero: int) -> Quantization:
    return Quantization(np.array([scale], np.float32), np.array([zero]))


HALF = np.arange(6, dtype=np.float16).reshape(2, 3)


def build(constant: Tensor, code: str, target: Tensor, *extra: Tensor) -> Graph:
    """y = ADD(x, code(constant, extra...))."""
    x, y = Tensor("x", target.dtype, target.shape), Tensor("y", target.dtype, target.shape)
    tensors = (x, constant, target, y, *extra)
    first = Node(code, None, (1, *range(4, 4 + len(extra))), (2,), 0)
    return Graph("g", tensors, (first, Node("ADD", None, (0, 2), (3,), 1)), (0,), (3,))


FOLDED = {
    "float16": (Tensor("c", "float16", (2, 3), None, HALF), "DEQUANTIZE", "float32", (2, 3), (), HALF.astype(np.float32)),
    "int8": (
        Tensor("c", "int8", (3,), quant(0.5, 2), np.array([2, -128, 127], np.int8)),
        "DEQUANTIZE", "float32", (3,), (), np.array([0, -65, 62.5], np.float32),
    ),
    "reshape": (Tensor("c", "float16", (2, 3), None, HALF), "RESHAPE", "float16", (3, 2), (), HALF.reshape(3, 2)),
    "transpose": (
        Tensor("c", "float16", (2, 3), None, HALF), "TRANSPOSE", "float16", (3, 2),
        (Tensor("order", "int32", (2,), None, np.array([1, 0], np.int32)),), HALF.T,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDED)
def test_constants_are_folded(case: str):
    constant, code, dtype, shape, extra, expected = FOLDED[case]
    graph = passes.run(build(constant, code, Tensor("t", dtype, shape), *extra))
    assert [n.code for n in graph.nodes] == ["ADD"]
    folded = graph.tensors[2].data
    assert folded is not None and folded.dtype == expected.dtype and np.array_equal(folded, expected)


def test_what_cannot_be_folded_stays():
    per_channel = Quantization(np.array([0.1, 0.2, 0.3], np.float32), np.zeros(3, np.int64))
    graph = build(Tensor("c", "int8", (3,), per_channel, np.zeros(3, np.int8)), "DEQUANTIZE", Tensor("t", "float32", (3,)))
    assert len(passes.run(graph).nodes) == 2


@pytest.mark.parametrize("scale, zero, kept", [(0.5, 3, 1), (0.5, 4, 2), (0.25, 3, 2)])
def test_a_quantize_that_changes_nothing_goes(scale: float, zero: int, kept: int):
    tensors = (Tensor("x", "int8", (4,), quant(0.5, 3)), Tensor("q", "int8", (4,), quant(scale, zero)), Tensor("y", "int8", (4,)))
    nodes = (Node("QUANTIZE", None, (0,), (1,), 0), Node("RELU", None, (1,), (2,), 1))
    graph = passes.run(Graph("g", tensors, nodes, (0,), (2,)))
    assert len(graph.nodes) == kept and (graph.nodes[-1].inputs == (0,)) == (kept == 1)


def test_dead_nodes_go():
    tensors = tuple(Tensor(n, "int8", (4,)) for n in ("x", "y", "dead", "deader"))
    nodes = (Node("RELU", None, (0,), (1,), 0), Node("RELU", None, (0,), (2,), 1), Node("RELU", None, (2,), (3,), 2))
    assert [n.index for n in passes.run(Graph("g", tensors, nodes, (0,), (1,))).nodes] == [0]


def test_the_guilty_pass_is_named(monkeypatch: pytest.MonkeyPatch):
    def run(graph: Graph) -> Graph:
        return Graph(graph.name, graph.tensors, (), graph.inputs, graph.outputs)

    monkeypatch.setattr(passes, "PIPELINE", (SimpleNamespace(run=run, __name__="mcuml.passes.shredder"),))
    tensors = (Tensor("x", "int8", (4,)), Tensor("y", "int8", (4,)))
    with pytest.raises(ModelError, match="pass shredder"):
        passes.run(Graph("g", tensors, (Node("RELU", None, (0,), (1,), 0),), (0,), (1,)))

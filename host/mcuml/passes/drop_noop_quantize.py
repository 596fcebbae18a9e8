"""Drop a QUANTIZE whose input and output have the same type, scale and zero point."""

from __future__ import annotations

from dataclasses import replace

from mcuml.graph import Graph, Tensor


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether both hold the same bytes for the same real values."""
    if a.dtype != b.dtype or a.shape != b.shape or a.quant is None or b.quant is None:
        return False
    return a.quant.per_tensor and b.quant.per_tensor and a.scale == b.scale and a.zero_point == b.zero_point


def run(graph: Graph) -> Graph:
    """`graph` in which readers of such a node's output read its input. A node that writes a graph output stays."""
    instead: dict[int, int] = {}
    kept = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(instead.get(t, t) for t in node.inputs))
        if node.code == "QUANTIZE" and node.outputs[0] not in graph.outputs:
            source, target = node.inputs[0], node.outputs[0]
            if _same(graph.tensors[source], graph.tensors[target]):
                instead[target] = source
                continue
        kept.append(node)
    return replace(graph, nodes=tuple(kept))

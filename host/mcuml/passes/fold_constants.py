"""Compute what depends on constants alone: reshaped, transposed and dequantized weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuml.graph import ABSENT, Graph, Node, Tensor


def _dequantized(source: Tensor, target: Tensor) -> np.ndarray | None:
    """DEQUANTIZE: float16 to float32 is exact; integers are scale * (q - zero_point) in double as in TFLite, then rounded."""
    assert source.data is not None
    if target.dtype != "float32":
        return None
    if source.dtype == "float16":
        return source.data.astype(np.float32)
    if source.dtype not in ("int8", "uint8", "int16") or source.quant is None or not source.quant.per_tensor:
        return None
    return (float(source.quant.scale[0]) * (source.data.astype(np.int64) - source.zero_point)).astype(np.float32)


def _value(node: Node, graph: Graph) -> np.ndarray | None:
    """The node's one output when its inputs are constants and the operator is one of the simple ones, else None."""
    inputs = [graph.tensors[t] for t in node.inputs if t != ABSENT]
    if not inputs or not all(t.is_const for t in inputs) or len(node.outputs) != 1:
        return None
    source, target = inputs[0], graph.tensors[node.outputs[0]]
    data = source.data
    assert data is not None
    if node.code == "DEQUANTIZE":
        value = _dequantized(source, target)
    elif node.code in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
        value = data.reshape(target.shape) if data.size == target.elements and data.dtype == np.dtype(target.dtype) else None
    elif node.code == "TRANSPOSE" and len(inputs) == 2 and inputs[1].data is not None:
        order = [int(a) for a in inputs[1].data.reshape(-1)]
        value = np.ascontiguousarray(data.transpose(order)) if sorted(order) == list(range(data.ndim)) else None
    else:
        return None
    return value if value is not None and value.shape == target.shape and value.dtype == np.dtype(target.dtype) else None


def run(graph: Graph) -> Graph:
    """`graph` with such nodes replaced by constants. What this pass cannot compute exactly, it leaves alone."""
    kept = []
    for node in graph.nodes:
        value = _value(node, graph) if node.outputs and node.outputs[0] not in graph.outputs else None
        if value is None:
            kept.append(node)
            continue
        tensors = list(graph.tensors)
        tensors[node.outputs[0]] = replace(tensors[node.outputs[0]], data=value)
        graph = replace(graph, tensors=tuple(tensors))
    return replace(graph, nodes=tuple(kept))

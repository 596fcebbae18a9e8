"""Join a convolution with the ADD that alone reads it, so that the map between them needs no memory."""

from __future__ import annotations

from dataclasses import replace

from mcuml.graph import Graph, Node, is_mark, read_once
from mcuml.ops.conv_add import ConvAdd, fused


def run(graph: Graph) -> Graph:
    """`graph` with such pairs as one node in the ADD's place, where the other operand is there. A map with another reader, or
    one that is an output of the graph, stays, and so does a pair with control flow between the two. Of two convolutions whose
    outputs are added the larger window's is taken: in place, a 1x1 needs no more memory by itself."""
    alone = read_once(graph)
    kept: list[Node] = []
    open_maps: dict[int, Node] = {}  # a convolution's output -> it, in the block of control flow that is read
    for node in graph.nodes:
        if node.code == "ADD":
            found = [open_maps[t] for t in node.inputs if t in open_maps]
            for conv in sorted(found, key=lambda conv: -graph.tensors[conv.inputs[1]].elements):
                if joined := _joined(conv, node, graph):
                    kept = [n for n in kept if n is not conv]
                    node = joined
                    break
        elif node.code == "CONV_2D" and len(node.outputs) == 1 and node.outputs[0] in alone:
            open_maps[node.outputs[0]] = node
        elif is_mark(node.code):
            open_maps.clear()
        kept.append(node)
    return replace(graph, nodes=tuple(kept))


def _joined(conv: Node, add: Node, graph: Graph) -> Node | None:
    """One node for both, or None where they are better apart: the convolution's input then stays until the sum is taken, which
    saves nothing if it is larger than the map. Raises ModelError where one is not legal."""
    conv.attrs.check(conv, graph)
    add.attrs.check(add, graph)
    if graph.tensors[conv.inputs[0]].bytes > graph.tensors[conv.outputs[0]].bytes or not fused(conv, add, graph):
        return None
    other = add.inputs[1 - add.inputs.index(conv.outputs[0])]
    return Node(f"{conv.code}+{add.code}", ConvAdd(conv, add), (*conv.inputs, other), add.outputs, add.index)

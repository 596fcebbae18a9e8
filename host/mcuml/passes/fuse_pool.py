"""Join a convolution with the MAX_POOL_2D that alone reads it, so that the map between them needs no memory."""

from __future__ import annotations

from dataclasses import replace

from mcuml.graph import Graph, Node, is_mark, read_once
from mcuml.ops.conv_pool import CONVOLUTIONS, POOL, ConvPool, fused


def run(graph: Graph) -> Graph:
    """`graph` with such pairs as one node in the convolution's place. A map with another reader, or one that is an output of
    the graph, stays, and so does a pair with control flow between the two."""
    alone = read_once(graph)
    kept: list[Node] = []
    open_maps: dict[int, int] = {}  # a convolution's output -> its place in `kept`, in the block of control flow that is read
    for node in graph.nodes:
        place = open_maps.get(node.inputs[0]) if node.code == POOL and node.inputs else None
        if place is not None and (joined := _joined(kept[place], node, graph)):
            kept[place] = joined
            continue
        if node.code in CONVOLUTIONS and len(node.outputs) == 1 and node.outputs[0] in alone:
            open_maps[node.outputs[0]] = len(kept)
        elif is_mark(node.code):
            open_maps.clear()
        kept.append(node)
    return replace(graph, nodes=tuple(kept))


def _joined(conv: Node, pool: Node, graph: Graph) -> Node | None:
    """One node for both, or None where they are better apart. Raises ModelError where one is not legal."""
    conv.attrs.check(conv, graph)
    pool.attrs.check(pool, graph)
    if fused(conv, pool, graph) is None:
        return None
    return Node(f"{conv.code}+{pool.code}", ConvPool(conv, pool), conv.inputs, pool.outputs, conv.index)

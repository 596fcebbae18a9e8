"""Drop the nodes whose outputs nobody reads. A node without outputs is there for its effect and stays."""

from __future__ import annotations

from dataclasses import replace

from mcuml.graph import Graph


def run(graph: Graph) -> Graph:
    """`graph` without the nodes that reach no output of the graph and no effect."""
    wanted, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if not node.outputs or wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return replace(graph, nodes=tuple(reversed(kept)))

"""Graph -> Graph rewrites, run in one fixed order; verify() follows each and names the guilty one."""

from __future__ import annotations

from types import ModuleType

from mcuml.graph import Graph, verify
from mcuml.passes import dead_nodes, drop_channels, drop_noop_quantize, fold_constants, fuse_add, fuse_pool

# Folding and dropping leave nodes that nobody reads; channels are dropped once those readers are gone. Joined nodes hold the
# nodes that they were made of, so they come last.
PIPELINE = (fold_constants, drop_noop_quantize, dead_nodes, drop_channels, fuse_pool, fuse_add)


def name_of(module: ModuleType) -> str:
    """What a pass is called in messages: its file."""
    return module.__name__.rpartition(".")[2]


NAMES = tuple(map(name_of, PIPELINE))


def run(graph: Graph, without: str = "") -> Graph:
    """`graph` after every pass of PIPELINE but the one named `without`. Raises ModelError naming the pass that broke a rule of
    graph.verify."""
    for module in PIPELINE:
        if name_of(module) != without:
            graph = verify(module.run(graph), after=f"pass {name_of(module)}")
    return graph

"""The way of a model on the host, on one screen: file -> Graph -> passes -> kernels -> Plan."""

from __future__ import annotations

from pathlib import Path

from mcuml import ops, passes, tflite
from mcuml.graph import Graph, verify
from mcuml.plan import Plan
from mcuml.schedule import BALANCED, Measured, check_objective, schedule


def prepare(path: Path, objective: str = BALANCED, measured: Measured | None = None) -> Plan:
    """The plan for the model file at `path`, with the kernels that serve `objective` best; `measured` cycles overrule the
    kernels' estimates. Raises RequestError (no such file, no such objective) and ModelError (cannot be served)."""
    check_objective(objective)
    return schedule(lowered(path), objective, measured)


def lowered(path: Path, without: str = "") -> Graph:
    """The graph of the model file at `path` after the passes (but the one named `without`), each node with its candidates.
    Raises as prepare() does."""
    graph = tflite.load(path)
    graph = passes.run(graph, without)
    return verify(ops.lower(graph), "kernel selection")

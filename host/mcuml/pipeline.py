"""The way of a model on the host, on one screen: file -> Graph -> passes -> kernels -> Plan."""

from __future__ import annotations

from pathlib import Path

from mcuml import ops, passes, tflite
from mcuml.graph import verify
from mcuml.plan import Plan
from mcuml.schedule import BALANCED, check_objective, schedule


def prepare(path: Path, objective: str = BALANCED) -> Plan:
    """The plan for the model file at `path`, with the kernels that serve `objective` best. Raises RequestError (no such file,
    no such objective) and ModelError (cannot be served)."""
    check_objective(objective)
    graph = tflite.load(path)
    graph = passes.run(graph)
    graph = verify(ops.lower(graph), "kernel selection")
    return schedule(graph, objective)

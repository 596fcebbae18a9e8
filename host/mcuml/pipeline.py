"""The way of a model on the host, on one screen: file -> Graph -> passes -> kernels -> Plan."""

from __future__ import annotations

from pathlib import Path

from mcuml import ops, passes, tflite
from mcuml.graph import verify
from mcuml.order import planned
from mcuml.plan import Plan


def prepare(path: Path) -> Plan:
    """The plan for the model file at `path`. Raises RequestError (no such file) and ModelError (cannot be served)."""
    graph = tflite.load(path)
    graph = passes.run(graph)
    graph = verify(ops.lower(graph), "kernel selection")
    return planned(graph)

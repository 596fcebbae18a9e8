"""About how many cycles a kernel takes on a Cortex-M4 with zero-wait memory, told before anything is built.

Per kernel template a sum of the counts below, each times a coefficient that tools/measure_cycles.py fitted to measured layers
(data/kernel_cycles.json, with the error of each fit). Kernels that state their cycles themselves keep them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from mcuml import assets
from mcuml.graph import ABSENT, Graph, Kernel, Node

DATA = "kernel_cycles.json"
COUNTS = ("macs", "copies", "outputs", "inputs", "calls")


def counts(node: Node, graph: Graph, kernel: Kernel) -> tuple[int, ...]:
    """What cycles follow from, in the order of COUNTS: multiply-accumulates; of those the ones of one output channel, as often
    as an element is copied for a matrix kernel; elements written and read; 1."""
    outputs = [graph.tensors[t] for t in node.outputs]
    inputs = [graph.tensors[t] for t in node.inputs if t != ABSENT and not graph.tensors[t].is_const]
    channels = outputs[0].shape[-1] if outputs and outputs[0].shape else 1
    return kernel.macs, kernel.macs // channels, sum(t.elements for t in outputs), sum(t.elements for t in inputs), 1


def keys(node: Node, graph: Graph, kernel: Kernel) -> tuple[str, str]:
    """Under which its coefficients are: those of the operator, else those of all operators that the template serves."""
    pointwise = " 1x1" if kernel.params.get("pointwise") else ""  # which copies nothing
    kind = f"{kernel.template} {graph.tensors[node.inputs[0]].dtype}{pointwise}"
    return f"{kind} {node.code}", kind


def estimated(node: Node, graph: Graph, kernel: Kernel) -> Kernel:
    """`kernel` with its cycles; as it is where it states them or nothing like it was measured."""
    if kernel.cycles or kernel.view:
        return kernel
    known = _coefficients()
    found = next((known[key] for key in keys(node, graph, kernel) if key in known), None)
    if found is None:
        return kernel
    cycles = sum(found["cycles"].get(name, 0.0) * count for name, count in zip(COUNTS, counts(node, graph, kernel), strict=True))
    return replace(kernel, cycles=max(1, round(cycles)))


@cache
def _coefficients() -> dict[str, dict[str, Any]]:
    held: dict[str, dict[str, Any]] = json.loads((assets.folder("data") / DATA).read_text(encoding="utf-8"))
    return held

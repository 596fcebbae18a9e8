"""Operators: one file per family, found by folder scan. Each resolves a node into typed attributes and a kernel.

A family module defines one or more frozen dataclasses that derive from Operator; nothing is registered by hand.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

from mcuml.errors import ModelError
from mcuml.graph import ABSENT, Graph, Kernel, Node, Tensor, describe


@dataclass(frozen=True)
class Operator:
    """Typed attributes of one TFLite operator and what they mean.

    `CODES` are TFLite's builtin names served. `parse` reads the options table (a dict of schema field names; absent
    fields have the schema's default). `check` compares the node's tensors with what the operator requires (arity,
    types, shapes: the output's shape must be the one that the inputs and attributes give) and raises ModelError.
    `lower` chooses the kernel; it is called only after `check`."""

    CODES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Operator:
        return cls()

    def check(self, node: Node, graph: Graph) -> None:
        raise NotImplementedError(type(self).__name__)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        raise NotImplementedError(type(self).__name__)


@cache
def registry() -> dict[str, type[Operator]]:
    """TFLite builtin name -> Operator class, from every module in this folder."""
    found: dict[str, type[Operator]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Operator):
                found.update(dict.fromkeys(value.CODES, value))
    return found


def lower(graph: Graph) -> Graph:
    """Check every node and give it its kernel. Raises ModelError naming the node."""
    nodes = []
    for node in graph.nodes:
        node.attrs.check(node, graph)
        nodes.append(replace(node, kernel=node.attrs.lower(node, graph)))
    return replace(graph, nodes=tuple(nodes))


def tensors(node: Node, graph: Graph) -> tuple[list[Tensor | None], list[Tensor]]:
    """The node's input tensors (None where absent) and output tensors."""
    return [None if t == ABSENT else graph.tensors[t] for t in node.inputs], [graph.tensors[t] for t in node.outputs]


def require(
    condition: bool, node: Node, graph: Graph, rule: str, try_next: str = "Convert the model again; the file may be damaged."
) -> None:
    """Raise ModelError "<node>: <rule>" unless `condition` holds."""
    if not condition:
        raise ModelError(f"{describe(node, graph)}: {rule}", dump_types(node, graph), try_next)


def dump_types(node: Node, graph: Graph) -> str:
    """The node's tensors as evidence: "in float32[1,8] int8[4,8]; out int8[1,4]"."""

    def text(t: int) -> str:
        return "absent" if t == ABSENT else f"{graph.tensors[t].dtype}{list(graph.tensors[t].shape)}"

    return f"in {' '.join(map(text, node.inputs))}; out {' '.join(map(text, node.outputs))}"

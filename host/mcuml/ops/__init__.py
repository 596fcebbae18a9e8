"""Operators: one file per family, found by folder scan. Each resolves a node into typed attributes and a kernel.

A family module defines one or more frozen dataclasses that derive from Operator; nothing is registered by hand.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from mcuml.cost import estimated
from mcuml.errors import ModelError, RequestError
from mcuml.graph import ABSENT, Graph, Kernel, Node, Tensor, describe
from mcuml.unpack import unpacked


@dataclass(frozen=True)
class Operator:
    """Typed attributes of one TFLite operator and what they mean.

    `CODES` are TFLite's builtin names served; "CUSTOM:MyOp" is the custom operator MyOp. `parse` reads the options table (a
    dict of schema field names; absent fields have the schema's default; a custom operator's is "custom_options", bytes: see
    flexbuf.py). `check` compares the node's tensors with what the operator requires (arity,
    types, shapes: the output's shape must be the one that the inputs and attributes give) and raises ModelError.
    `lower` chooses the kernel; it is called only after `check`. An operator that several kernels serve gives them all by
    `candidates`, lower's first. `state` is how many bytes the operator keeps from one
    invocation to the next beside the file's variables; model_init clears them, and `lower` finds them as the node's last
    input, an int32 variable that the kernel may write."""

    CODES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Operator:
        return cls()

    def check(self, node: Node, graph: Graph) -> None:
        raise NotImplementedError(type(self).__name__)

    def state(self, node: Node, graph: Graph) -> int:
        return 0

    def lower(self, node: Node, graph: Graph) -> Kernel:
        raise NotImplementedError(type(self).__name__)

    def candidates(self, node: Node, graph: Graph) -> tuple[Kernel, ...]:
        return (self.lower(node, graph),)


FOLDER = "MCUML_OPERATORS"  # environment variable: a folder with a user's own <operator>.py and <template>.c.j2


def registry() -> dict[str, type[Operator]]:
    """TFLite's builtin name, or "CUSTOM:" and a custom operator's name -> Operator class: from every module in this folder,
    and from the user's folder. Raises RequestError when that cannot be loaded or names another operator of ours."""
    return _registry(os.environ.get(FOLDER, ""))


@cache
def _registry(folder: str) -> dict[str, type[Operator]]:
    own = _operators(importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    theirs = _operators(_load(path) for path in sorted(Path(folder).glob("*.py"))) if folder else {}
    if folder and not theirs:
        raise RequestError(
            f"{FOLDER} names '{folder}', where no file defines an operator.", "", "See CONTRIBUTING.md, 'A custom operator'."
        )
    for code in theirs:
        if code in own or not code.startswith("CUSTOM:"):
            raise RequestError(
                f"'{folder}' defines '{code}'.",
                "mcuml has an operator of this name." if code in own else "A custom operator's code begins with 'CUSTOM:'.",
                "Give the operator the name that it has in the model file, behind 'CUSTOM:'.",
            )
    return own | theirs


def _operators(modules: Iterable[ModuleType]) -> dict[str, type[Operator]]:
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {code: value for value in classes if issubclass(value, Operator) for code in value.CODES}


def _load(path: Path) -> ModuleType:
    """A user's module. It is code that the user named, so it may do anything, and fail in any way."""
    spec = importlib.util.spec_from_file_location(f"mcuml_operators.{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RequestError(f"'{path}' cannot be loaded.", f"{type(error).__name__}: {error}", "Correct it.") from error
    return module


def lower(graph: Graph) -> Graph:
    """Check every node, give it its state, its candidates and the first of them as its kernel (schedule.py may take another).
    Raises ModelError naming the node. The nodes that a subgraph's several calls made of one operator have one state."""
    nodes, tensors, states = [], list(graph.tensors), dict[int, int]()
    for node in graph.nodes:
        node.attrs.check(node, graph)
        if size := node.attrs.state(node, graph):
            first = node.index if node.first is None else node.first
            if first not in states:
                states[first] = len(tensors)
                tensors.append(Tensor(f"state of operator {first}", "int32", (-(-size // 4),), variable=True))
            node = replace(node, inputs=(*node.inputs, states[first]))
            graph = replace(graph, tensors=tuple(tensors))
        offered = [estimated(node, graph, kernel) for kernel in node.attrs.candidates(node, graph)]
        own = any(kernel.packed for kernel in offered)  # reads packed weights as they lie, which is better
        candidates = (*offered, *(packed for kernel in offered if not own for packed in unpacked(kernel)))
        nodes.append(replace(node, kernel=candidates[0], candidates=candidates))
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

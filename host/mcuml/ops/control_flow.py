"""IF, WHILE and CALL_ONCE as the marks that subgraphs.py leaves of them, and variables' reads and writes.

A mark opens, parts or closes a C block; at a block's end the branch's results are copied to where the caller looks for
them. Semantics: tensorflow/lite/micro/kernels/{if,while,call_once,read_variable,assign_variable}.cc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml.elementwise import operand_constants
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator, require

VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")  # their output may be their input's bytes


@dataclass(frozen=True)
class ControlFlow(Operator):
    """IF (condition) -> results; IF:else and IF:end (condition, results, the branch's outputs); WHILE (first values) -> loop
    variables; WHILE:test (condition); WHILE:end (loop variables, next values); CALL_ONCE (done) and CALL_ONCE:end (done);
    READ_VARIABLE (variable) -> value; ASSIGN_VARIABLE (variable, value)."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = (
        "IF", "IF:else", "IF:end", "WHILE", "WHILE:test", "WHILE:end", "CALL_ONCE", "CALL_ONCE:end", "VAR_HANDLE",
        "READ_VARIABLE", "ASSIGN_VARIABLE",
    )  # fmt: skip

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> ControlFlow:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        if self.code in ("IF", "WHILE:test"):
            condition = graph.tensors[node.inputs[0]]
            good = condition.dtype == "bool" and condition.elements == 1
            require(good, node, graph, f"its condition is {condition.dtype}{list(condition.shape)}, not one bool.")
        for target, source in self._copies(node):
            a, b = graph.tensors[target], graph.tensors[source]
            same = (a.dtype, a.elements) == (b.dtype, b.elements)
            told = f"'{b.name}' is {b.dtype}{list(b.shape)}, but '{a.name}' is {a.dtype}{list(a.shape)}."
            require(same, node, graph, told)

    def _copies(self, node: Node) -> list[tuple[int, int]]:
        """(target, source) tensors of what this mark copies."""
        if self.code in ("WHILE", "READ_VARIABLE"):
            return list(zip(node.outputs, node.inputs, strict=True))
        if self.code == "ASSIGN_VARIABLE":
            return [(node.inputs[0], node.inputs[1])]
        if self.code not in ("IF:else", "IF:end", "WHILE:end"):
            return []
        results = node.inputs[1:] if self.code.startswith("IF") else node.inputs
        half = len(results) // 2
        return list(zip(results[:half], results[half:], strict=True))

    def lower(self, node: Node, graph: Graph) -> Kernel:
        copies = [(t, s) for t, s in self._copies(node) if t != s]
        scratch = 0
        if self.code == "WHILE:end" and len(copies) > 1 and any(_root(s, node, graph) in node.inputs for _, s in copies):
            # A next value lies in a loop variable: all are set aside before the first is overwritten.
            scratch = sum(-(-graph.tensors[s].bytes // 8) * 8 for _, s in copies)
        position = {t: ("outputs", i) for i, t in reversed(list(enumerate(node.outputs)))}
        position |= {t: ("inputs", i) for i, t in reversed(list(enumerate(node.inputs))) if t not in position}
        params = {
            "code": self.code,
            "copies": tuple((*position[t], node.inputs.index(s), graph.tensors[s].bytes) for t, s in copies),
            "scratch": scratch,
        }
        exact = tuple(Overlap(i, i, 0, exact=True) for i, t in enumerate(node.inputs) if not graph.tensors[t].is_const)
        return Kernel("control_flow", params, operand_constants(node, graph), scratch, exact if self.code == "WHILE" else ())


def _root(tensor: int, end: Node, graph: Graph) -> int:
    """The tensor whose bytes `tensor` may be: a loop variable of `end`, or the first that is no view of another."""
    writer = {t: node for node in graph.nodes for t in node.outputs}
    loop = end.inputs[: len(end.inputs) // 2]
    while tensor not in loop and tensor in writer and writer[tensor].code in VIEWS:
        tensor = writer[tensor].inputs[0]
    return tensor if tensor in loop else -2

"""A model as the file has it: operators by name with their options, before they get a meaning."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcuml.errors import ModelError
from mcuml.graph import Tensor


@dataclass(frozen=True)
class RawOperator:
    """One operator as the file has it: TFLite's builtin name, the custom name if it is a custom operator, its options with
    defaults filled in, and the tensors it reads and writes (ABSENT for an input left out). `first` is what flatten() adds:
    the first copy of the operator, whose state all copies share."""

    index: int
    code: str
    custom: str
    options: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    first: int | None = None

    @property
    def key(self) -> str:
        """What ops.registry() calls it: "CONV_2D", "CUSTOM:MyOp"."""
        return f"{self.code}:{self.custom}" if self.code == "CUSTOM" else self.code


@dataclass(frozen=True)
class RawModel:
    """One subgraph before its operators get a meaning. The first one of a file also holds the `others` that its control
    flow names by their number in the file, from 1."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    others: tuple[RawModel, ...] = ()


def place(op: RawOperator, raw: RawModel) -> str:
    """ "CUSTOM 'MyOp' (operator 3, output 'conv/Relu')"."""
    outputs = ", ".join(f"'{raw.tensors[t].name}'" for t in op.outputs)
    return f"{op.code}{f' {op.custom!r}' if op.custom else ''} (operator {op.index}, output {outputs})"


def in_order(raw: RawModel) -> list[RawOperator]:
    """The operators so that each comes after those whose outputs it reads, otherwise in the file's order.

    Raises ModelError naming the operators of a cycle."""
    writer = {t: op.index for op in raw.operators for t in op.outputs}
    waits = {op.index: {writer[t] for t in op.inputs if t in writer} for op in raw.operators}
    readers: dict[int, list[int]] = {}
    for index, before in waits.items():
        for other in before:
            readers.setdefault(other, []).append(index)
    ready = [index for index, before in waits.items() if not before]
    heapq.heapify(ready)
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(raw.operators[index])
        for reader in readers.get(index, ()):
            waits[reader].discard(index)
            if not waits[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(raw.operators):
        done = {op.index for op in order}
        left = [place(op, raw) for op in raw.operators if op.index not in done]
        raise ModelError(
            f"'{raw.name}' has a cycle: {'; '.join(left[:5])} wait for each other's outputs.",
            "",
            "The file is damaged: convert the model again.",
        )
    return order

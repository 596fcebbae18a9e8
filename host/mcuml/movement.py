"""Operators that only move elements to places known at compile time: nested copy loops, tables where no loop will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcuml.graph import Constant, Graph, Kernel, Node, Overlap
from mcuml.shapes import Offsets, Step, copy_distance, copy_steps

TYPED = ("int8", "uint8", "bool", "int16", "int32", "float32")  # others move byte by byte: they may lie at any word


@dataclass(frozen=True, eq=False)
class Copy:
    """Elements of input `input` that go to output `output`; positions count in the node's inputs and outputs."""

    dims: tuple[Offsets, ...]
    input: int = 0
    output: int = 0


def move(node: Node, graph: Graph, copies: Sequence[Copy], fill: int | None = None) -> Kernel:
    """A kernel that does `copies` one after the other; before, if `fill` is not None, each byte of the output is set to it.
    It is a view where all bytes stay where they are."""
    plans, constants, overlaps = [], [], []
    for number, copy in enumerate(copies):
        source, output = graph.tensors[node.inputs[copy.input]], graph.tensors[node.outputs[copy.output]]
        dims, size = copy.dims, np.dtype(source.dtype).itemsize
        distance = copy_distance(dims)
        whole = distance == 0 and source.elements == output.elements == _elements(dims)
        dtype = source.dtype
        if dtype not in TYPED:
            dims, dtype = (*((s * size, t * size) for s, t in dims), (np.arange(size), np.arange(size))), "uint8"
        start, steps = copy_steps(dims)
        dense = steps == (Step(_elements(dims), 1, 1),) or not steps
        alone = len(copies) == 1 and copy.input == copy.output == 0 and fill is None
        if whole and dense and alone and not source.is_const:
            return Kernel("", view=True)
        loops = []
        for place, step in enumerate(steps):
            sides: dict[str, int | str] = {"count": step.count}
            for side, offsets in (("source", step.source), ("target", step.target)):
                if isinstance(offsets, tuple):
                    role = f"{side}{number}_{place}"
                    constants.append(Constant(role, np.array(offsets, np.int16 if max(offsets) < 1 << 15 else np.int32)))
                    sides[side] = role
                else:
                    sides[side] = offsets
            loops.append(sides)
        plans.append({"input": copy.input, "output": copy.output, "dtype": dtype, "start": start, "loops": loops})
        if source.is_const or fill is not None or distance is None or len({c.input for c in copies}) > 1:
            continue
        if len(copies) == 1:
            overlaps.append(Overlap(copy.input, copy.output, distance * size))
        elif dense and start[0] * np.dtype(dtype).itemsize % 4 == 0:  # one part among several may stay where it lies
            overlaps.append(Overlap(copy.input, copy.output, -start[0] * np.dtype(dtype).itemsize, exact=True))
    for position in sorted({copy.input for copy in copies}):
        data = graph.tensors[node.inputs[position]].data
        if data is not None:
            constants.append(Constant(f"input{position}", data))
    params = {"copies": plans, "fill": fill, "bytes": graph.tensors[node.outputs[0]].bytes}
    return Kernel("move", params, tuple(constants), overlaps=tuple(overlaps))


def _elements(dims: Sequence[Offsets]) -> int:
    return int(np.prod([len(s) for s, _ in dims], dtype=np.int64))

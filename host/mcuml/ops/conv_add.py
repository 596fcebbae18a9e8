"""An int8 convolution and the ADD that alone reads it in one node, made by passes/fuse_add.py: the map between them is a
strip of a few pixels, and the sum may lie over ADD's other operand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator
from mcuml.ops.arithmetic import Arithmetic
from mcuml.ops.conv_2d import Conv2D

ADD_CYCLES = 16  # per element


@dataclass(frozen=True)
class ConvAdd(Operator):
    """The inputs of the node `conv`, then the other operand of the node `add`, which alone reads what `conv` gives."""

    conv: Node
    add: Node

    CODES: ClassVar[tuple[str, ...]] = ("CONV_2D+ADD",)

    def check(self, node: Node, graph: Graph) -> None:
        for part in (self.conv, self.add):
            part.attrs.check(part, graph)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return self.candidates(node, graph)[0]

    def candidates(self, node: Node, graph: Graph) -> tuple[Kernel, ...]:
        found = fused(self.conv, self.add, graph)
        assert found, "the pass asked before"
        return found


def fused(conv: Node, add: Node, graph: Graph) -> tuple[Kernel, ...]:
    """The kernels for both nodes, each of them legal; none where the ADD broadcasts or no kernel can add: one that can has the
    parameters "add", what is added, and "strip", how many pixels it hands on at a time."""
    assert isinstance(conv.attrs, Conv2D) and isinstance(add.attrs, Arithmetic)
    position = add.inputs.index(conv.outputs[0])
    middle, other, output = (graph.tensors[t] for t in (conv.outputs[0], add.inputs[1 - position], add.outputs[0]))
    if other.is_const or not middle.dtype == other.dtype == output.dtype == "int8" or middle.shape != other.shape:
        return ()
    adding = add.attrs.lower(add, graph)
    assert adding.template == "arithmetic" and not adding.params["counts"] and adding.params["scalar"] is None
    return tuple(
        replace(
            kernel,
            params=dict(kernel.params)
            | {"add": dict(adding.params) | {"map": position, "other": len(conv.inputs), "strip": kernel.scratch}},
            constants=(*kernel.constants, *adding.constants),
            scratch=kernel.scratch + kernel.params["strip"] * middle.shape[3],
            cycles=kernel.cycles and kernel.cycles + ADD_CYCLES * middle.elements,
            # A pixel's sum is written once the other operand's pixel is read, in any order of pixels.
            overlaps=(*kernel.overlaps, Overlap(len(conv.inputs), 0, 0, exact=True)),
        )
        for kernel in conv.attrs.candidates(conv, graph)
        if "strip" in kernel.params
    )

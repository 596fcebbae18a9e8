"""PAD and PADV2: int8, int16, int32 and float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import constant_input, operand_constants, operands, per_tensor, same_quantization, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.ops import Operator, require

RANKS = range(1, 6)  # TFLM pads up to five dimensions


@dataclass(frozen=True)
class Pad(Operator):
    """Input, constant paddings (rank, 2), and a value; without one, zero (int8: the zero point)."""

    CODES: ClassVar[tuple[str, ...]] = ("PAD", "PADV2")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Pad:
        return cls()

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2, 3)
        source = inputs[0]
        dtype = same_type(node, graph, [source, output, *inputs[2:]], ("int8", "float32", "int16", "int32"))
        rank = len(source.shape)
        require(rank in RANKS, node, graph, f"its input has {rank} dimensions; 1 to 5 are served.")
        paddings = constant_input(node, graph, 1, "paddings")
        good = len(paddings) == 2 * rank and min(paddings, default=0) >= 0
        require(good, node, graph, f"its paddings must be {rank} pairs of numbers from 0 up.")
        shaped(
            node,
            graph,
            output,
            [n + int(before) + int(after) for n, (before, after) in zip(source.shape, paddings.reshape(-1, 2), strict=True)],
        )
        if len(inputs) == 3:
            require(inputs[2].elements == 1, node, graph, f"its value has shape {list(inputs[2].shape)}; it must be one number.")
        if dtype == "int8":
            per_tensor(node, graph, [output], centered=False)
            if len(inputs) == 3:
                per_tensor(node, graph, inputs[2:], centered=False)
                same_quantization(node, graph, inputs[2], output)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        sides = _merged(source.shape, constant_input(node, graph, 1, "paddings").reshape(-1, 2).tolist())
        size = np.dtype(source.dtype).itemsize
        value = np.array(output.zero_point if source.dtype == "int8" else 0, source.dtype)
        given = graph.tensors[node.inputs[2]].data if len(node.inputs) == 3 else value
        if given is not None:
            value = given.reshape(-1)[0]
        raw = value.tobytes()
        # Levels from outermost in; a level's step is the output bytes of one of its entries.
        levels: list[dict[str, int]] = []
        step = size
        for count, before, after in reversed(sides):
            levels.insert(0, {"count": count, "before": before * step, "after": after * step})
            step *= count + before + after
        params = {
            "dtype": source.dtype, "levels": levels, "row": sides[-1][0] * size,
            "byte": raw[0] if len(set(raw)) == 1 and given is not None else None,
            "size": size if given is None else 0, "word": int.from_bytes(raw * (4 // size), "little"),
        }  # fmt: skip
        # Front to back, each row goes no further forward than what is padded before it.
        trailing = sum(side[2] * prod(sum(s) for s in sides[i + 1 :]) for i, side in enumerate(sides)) * size
        overlaps = () if source.is_const else (Overlap(0, 0, output.bytes - source.bytes - trailing),)
        return Kernel("pad", params, operand_constants(node, graph)[:1] if source.is_const else (), overlaps=overlaps)


def _merged(shape: tuple[int, ...], paddings: list[list[int]]) -> list[tuple[int, int, int]]:
    """(count, before, after) per dimension; a dimension without padding joins the one outside it."""
    sides: list[tuple[int, int, int]] = []
    inner = 1
    for n, (before, after) in reversed(list(zip(shape, paddings, strict=True))):
        if before or after:
            sides.insert(0, (n * inner, before * inner, after * inner))
            inner = 1
        else:
            inner *= n
    if inner > 1 or not sides:
        sides.insert(0, (inner, 0, 0))
    return sides

"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN and REDUCE_ALL over constant axes.

Formulas: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import (
    constant_input,
    in_place,
    operand_constants,
    operands,
    per_tensor,
    same_quantization,
    same_type,
    shaped,
)
from mcuml.graph import Graph, Kernel, Node
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.shapes import Loop, reduce_loops

SERVED = {
    **dict.fromkeys(("MEAN", "SUM"), ("int8", "float32", "int16")),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN"), ("int8", "float32")),
    "REDUCE_ALL": ("bool",),
}
REDUCED_LOOPS = 3  # what the kernel nests; TFLite's tensors of up to six dimensions need no more


@dataclass(frozen=True)
class Reduce(Operator):
    """Input and constant axes (negative: from the end; repeated ones count once)."""

    code: str
    keep_dims: bool

    CODES: ClassVar[tuple[str, ...]] = tuple(SERVED)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Reduce:
        return cls(code, bool(options["keep_dims"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        dtype = same_type(node, graph, [source, output], SERVED[self.code])
        rank = len(source.shape)
        given = constant_input(node, graph, 1, "axes")
        require(
            all(-rank <= a < rank for a in given), node, graph, f"axes {given.tolist()} are not all within its {rank} dimensions."
        )
        axes = self._axes(node, graph)
        sizes = [1 if i in axes else n for i, n in enumerate(source.shape)]
        shaped(node, graph, output, sizes if self.keep_dims else [n for i, n in enumerate(sizes) if i not in axes])
        require(len(reduce_loops(source.shape, axes)[1]) <= REDUCED_LOOPS, node, graph, f"axes {axes} lie too far apart.")
        if dtype in ("int8", "int16"):
            per_tensor(node, graph, [source, output])
            if self.code not in ("MEAN", "SUM"):
                same_quantization(node, graph, source, output)
            count = prod(source.shape[a] for a in axes)
            fits = count << (8 if dtype == "int8" else 16) < 1 << 32
            require(fits, node, graph, f"the sum of {count} {dtype} may not fit 32 bits.")

    def _axes(self, node: Node, graph: Graph) -> list[int]:
        rank = len(graph.tensors[node.inputs[0]].shape)
        return sorted({int(a) % rank for a in constant_input(node, graph, 1, "axes")})

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        kept, reduced = reduce_loops(source.shape, self._axes(node, graph))
        count = prod(loop.count for loop in reduced)
        reduced = (Loop(1, (0,)),) * (REDUCED_LOOPS - len(reduced)) + reduced
        # The innermost kept loop runs in the kernel, four neighbours at a time where they are neighbours.
        *outer, inner = kept or (Loop(1, (1, 1)),)
        params: dict[str, Any] = {
            "dtype": source.dtype, "counts": tuple(loop.count for loop in outer),
            "strides": tuple(tuple(loop.strides[i] for loop in outer) for i in (0, 1)),
            "inner": inner.count, "step": inner.strides[0], "count": count if self.code == "MEAN" else 1,
            "kind": {"MEAN": "mean", "SUM": "mean"}.get(self.code, self.code[-3:].lower()),
            "reduced": tuple((loop.count, loop.strides[0]) for loop in reduced),
        }  # fmt: skip
        if self.code in ("MEAN", "SUM") and source.dtype != "float32":
            multiplier, shift = quantize_multiplier(source.scale / output.scale)
            # Dividing by the count goes into the multiplier, with as many bits as it has.
            whole = count if self.code == "MEAN" else 1
            bits = min(whole.bit_length() - 1, 32, 31 + shift)
            params |= {
                "zero_sum": source.zero_point * count, "multiplier": (multiplier << bits) // whole, "shift": shift - bits,
                "zero_point": output.zero_point,
            }  # fmt: skip
        # An output is written when all that it needs has been read, and never in front of what the next ones need.
        return Kernel(
            "reduce", params, operand_constants(node, graph)[:1] if source.is_const else (), overlaps=in_place(node, graph)
        )

"""MEAN over constant axes: int8, int16 and float32.

Formulas: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import constant_input, in_place, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.shapes import Loop, reduce_loops

REDUCED_LOOPS = 3  # what the kernel nests; TFLite's tensors of up to six dimensions need no more


@dataclass(frozen=True)
class Mean(Operator):
    """Input and constant axes (negative: from the end; repeated ones count once)."""

    keep_dims: bool

    CODES: ClassVar[tuple[str, ...]] = ("MEAN",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Mean:
        return cls(bool(options["keep_dims"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        dtype = same_type(node, graph, [source, output], ("int8", "float32", "int16"))
        rank = len(source.shape)
        given = constant_input(node, graph, 1, "axes")
        require(
            all(-rank <= a < rank for a in given), node, graph, f"axes {given.tolist()} are not all within its {rank} dimensions."
        )
        axes = self._axes(node, graph)
        sizes = [1 if i in axes else n for i, n in enumerate(source.shape)]
        shaped(node, graph, output, sizes if self.keep_dims else [n for i, n in enumerate(sizes) if i not in axes])
        require(len(reduce_loops(source.shape, axes)[1]) <= REDUCED_LOOPS, node, graph, f"axes {axes} lie too far apart.")
        if dtype != "float32":
            per_tensor(node, graph, [source, output])

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
            "inner": inner.count, "step": inner.strides[0], "count": count,
            "reduced": tuple((loop.count, loop.strides[0]) for loop in reduced),
        }  # fmt: skip
        if source.dtype != "float32":
            multiplier, shift = quantize_multiplier(source.scale / output.scale)
            # Dividing by the count goes into the multiplier, with as many bits as it has.
            bits = min(count.bit_length() - 1, 32, 31 + shift)
            params |= {
                "zero_sum": source.zero_point * count, "multiplier": (multiplier << bits) // count, "shift": shift - bits,
                "zero_point": output.zero_point,
            }  # fmt: skip
        # An output is written when all that it needs has been read, and never in front of what the next ones need.
        return Kernel(
            "mean", params, operand_constants(node, graph)[:1] if source.is_const else (), overlaps=in_place(node, graph)
        )

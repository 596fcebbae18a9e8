"""CUMSUM along a constant axis: int8 and float32.

Formulas: tensorflow/lite/micro/kernels/cumsum.cc and internal/reference/cumsum.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from mcuml.elementwise import constant_input, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap, Tensor
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require

SCALED = 1 << 19  # an input step in the 32-bit sum, which may wrap: 2^20, halved by the input's multiplier


@dataclass(frozen=True)
class CumSum(Operator):
    """Input and one constant axis. An exclusive sum leaves out the element itself; a reverse one comes from the end."""

    exclusive: bool
    reverse: bool

    CODES: ClassVar[tuple[str, ...]] = ("CUMSUM",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> CumSum:
        return cls(bool(options["exclusive"]), bool(options["reverse"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        dtype = same_type(node, graph, [source, output], ("int8", "float32"))
        axis, rank = constant_input(node, graph, 1, "axis"), len(source.shape)
        good = len(axis) == 1 and -rank <= axis[0] < rank
        require(bool(good), node, graph, f"axis {axis.tolist()} is not one of its {rank} dimensions.")
        shaped(node, graph, output, source.shape)
        if dtype == "int8":
            per_tensor(node, graph, [source, output])
            real = self._real(source, output)
            require(0 < real < 1, node, graph, f"scales {source.scale} and {output.scale} are too far apart.")

    def _real(self, source: Tensor, output: Tensor) -> float:
        return 2 * source.scale / ((1 << 20) * output.scale)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        axis = int(constant_input(node, graph, 1, "axis")[0]) % len(source.shape)
        params: dict[str, Any] = {
            "dtype": source.dtype, "exclusive": self.exclusive, "reverse": self.reverse,
            "outer": prod(source.shape[:axis]), "count": source.shape[axis], "inner": prod(source.shape[axis + 1 :]),
        }  # fmt: skip
        if source.dtype == "int8":
            multiplier, shift = quantize_multiplier(self._real(source, output))
            params |= {
                "zero_point": source.zero_point, "scaled": SCALED, "multiplier": multiplier, "shift": shift,
                "out_zero": output.zero_point,
            }  # fmt: skip
        constant = operand_constants(node, graph)[:1] if source.is_const else ()
        return Kernel("cumsum", params, constant, overlaps=() if source.is_const else (Overlap(0, 0, 0, exact=True),))

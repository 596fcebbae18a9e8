"""L2_NORMALIZATION over the last dimension: int8 and float32.

Formulas: tensorflow/lite/kernels/internal/reference/{,integer_ops/}l2normalization.h; the scale of an int8 output is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml.elementwise import in_place, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require

MOST_DIMENSIONS = 4
MOST_INT8 = (1 << 31) // 255**2  # elements whose squares fit the sum


@dataclass(frozen=True)
class L2Normalization(Operator):
    """One input; each row of the output has length 1 (int8: 128)."""

    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("L2_NORMALIZATION",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> L2Normalization:
        return cls(options["fused_activation_function"])

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        dtype = same_type(node, graph, [source, output], ("int8", "float32"))
        rank = len(source.shape)
        served = f"its input has {rank} dimensions; 1 to {MOST_DIMENSIONS} are served."
        require(1 <= rank <= MOST_DIMENSIONS, node, graph, served)
        plain = self.activation == "NONE"
        require(plain, node, graph, f"the fused activation {self.activation} is not served.", "TFLM has none either.")
        shaped(node, graph, output, source.shape)
        if dtype == "int8":
            per_tensor(node, graph, [source])
            depth = source.shape[-1]
            require(depth <= MOST_INT8, node, graph, f"a row has {depth} elements; {MOST_INT8} at most fit its sum.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source = graph.tensors[node.inputs[0]]
        params = {
            "dtype": source.dtype, "rows": source.elements // source.shape[-1], "depth": source.shape[-1],
            "zero_point": source.zero_point if source.dtype == "int8" else 0,
        }  # fmt: skip
        return Kernel("l2_normalization", params, operand_constants(node, graph), overlaps=in_place(node, graph))

"""DEQUANTIZE: int8, uint8 or int16 to float32.

TFLite multiplies in double and rounds once; one float32 product of a float32 scale and an integer of at most 17 bits
rounds once as well, so both give the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcuml.elementwise import in_place, operand_constants, operands, per_tensor, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class Dequantize(Operator):
    """One quantized input (per tensor) and one float32 output of the same shape."""

    CODES: ClassVar[tuple[str, ...]] = ("DEQUANTIZE",)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        served = source.dtype in ("int8", "uint8", "int16") and output.dtype == "float32"
        require(served, node, graph, f"{source.dtype} to {output.dtype} is not served.", "Use int8 or float32 throughout.")
        shaped(node, graph, output, source.shape)
        per_tensor(node, graph, [source], centered=False)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        params = {"source": source.dtype, "elements": output.elements, "scale": source.scale, "zero_point": source.zero_point}
        # Written front to back: element i ends where the unread ones must not yet begin.
        distance = (4 - source.bytes // source.elements) * (output.elements - 1)
        return Kernel("dequantize", params, operand_constants(node, graph), overlaps=in_place(node, graph, distance))

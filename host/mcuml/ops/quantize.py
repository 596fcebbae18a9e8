"""QUANTIZE: float32 to int8 or int16, and from one integer scale to another.

Formulas: tensorflow/lite/kernels/internal/reference/{quantize,requantize}.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcuml.elementwise import in_place, lut8, operand_constants, operands, per_tensor, rescale, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require

SERVED = {
    "float32": ("int8", "int16"),
    "int8": ("int8", "uint8", "int16", "int32"),
    "uint8": ("int8",),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}


@dataclass(frozen=True)
class Quantize(Operator):
    """One input and one output of the same shape; integers are quantized per tensor."""

    CODES: ClassVar[tuple[str, ...]] = ("QUANTIZE",)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        served = output.dtype in SERVED.get(source.dtype, ())
        require(served, node, graph, f"{source.dtype} to {output.dtype} is not served.", "Use int8 or float32 throughout.")
        shaped(node, graph, output, source.shape)
        per_tensor(node, graph, [t for t in (source, output) if t.dtype != "float32"], centered=False)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        if source.dtype == "float32":
            limits = np.iinfo(np.dtype(output.dtype))
            params = {
                "source": "float32", "dtype": output.dtype, "elements": output.elements, "scale": output.scale,
                "zero_point": output.zero_point, "low": int(limits.min), "high": int(limits.max),
            }  # fmt: skip
            return Kernel("quantize", params, operand_constants(node, graph), overlaps=in_place(node, graph))
        return requantizing(node, graph, source.scale / output.scale)


def requantizing(node: Node, graph: Graph, real: float, low: int | None = None) -> Kernel:
    """From integers to integers: zero point + real * (value - zero point), clamped to the output's type and `low`."""
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    limits = np.iinfo(np.dtype(output.dtype))
    low = int(limits.min) if low is None else low
    if source.dtype in ("int8", "uint8") and output.dtype in ("int8", "uint8"):
        return lut8(node, graph, lambda values: rescale(values, source, output, real, low, int(limits.max)))
    multiplier, shift = quantize_multiplier(real)
    params = {
        "source": source.dtype, "dtype": output.dtype, "elements": output.elements, "multiplier": multiplier, "shift": shift,
        "in_zero_point": source.zero_point, "zero_point": output.zero_point, "low": low, "high": int(limits.max),
    }  # fmt: skip
    # Written front to back: the output may not overtake what is still to be read.
    growth = output.bytes // output.elements - source.bytes // source.elements
    overlaps = in_place(node, graph, max(0, growth) * (output.elements - 1))
    return Kernel("quantize", params, operand_constants(node, graph), overlaps=overlaps)

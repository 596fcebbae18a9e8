"""FAKE_QUANT, which quantization-aware training leaves behind: float32 rounded to the steps of a quantized range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import in_place, operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class FakeQuant(Operator):
    """One float32 input and an output of its shape. TFLite Micro lacks it; LiteRT has it.

    Formulas: NudgeQuantizationRange and FakeQuantizeArray in tensorflow/core/kernels/fake_quant_ops_functor.h."""

    low: float
    high: float
    bits: int
    narrow: bool

    CODES: ClassVar[tuple[str, ...]] = ("FAKE_QUANT",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> FakeQuant:
        return cls(options["min"], options["max"], options["num_bits"], options["narrow_range"])

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        same_type(node, graph, [source, output], ("float32",))
        shaped(node, graph, output, source.shape)
        require(not self.narrow, node, graph, "a narrow range is not served.")
        require(2 <= self.bits <= 16, node, graph, f"{self.bits} bits are not served, only 2 to 16.")
        require(self.low <= 0 <= self.high and self.low < self.high, node, graph, f"its range {self.low} to {self.high} lacks 0.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        last = np.float32((1 << self.bits) - 1)
        scale = (np.float32(self.high) - np.float32(self.low)) / last
        zero = np.float32(math.floor(min(-np.float32(self.low) / scale, last) + 0.5))
        params = {
            "elements": graph.tensors[node.outputs[0]].elements,
            "low": float(-zero * scale), "high": float((last - zero) * scale), "scale": float(scale),
            "inverse": float(np.float32(1) / scale),
        }  # fmt: skip
        return Kernel("fake_quant", params, operand_constants(node, graph), overlaps=in_place(node, graph))

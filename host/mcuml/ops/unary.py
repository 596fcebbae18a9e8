"""One tensor in, one of its shape out: ABS, NEG, roundings, roots, EXP, LOG, SIN, COS, LOGICAL_NOT, CAST, ZEROS_LIKE.

Formulas: tensorflow/lite/micro/kernels/{elementwise,cast,zeros_like}.cc, internal/reference/round.h."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import in_place, lut8, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.fixedpoint import inverse_sqrt
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier
from mcuml.ops import Operator, require

SUFFIXES = {"float32": "f32", "int16": "s16", "bool": "bool"}
CAST_FROM = ("bool", "int8", "int16", "int32", "uint32", "float32")
CAST_TO = ("int8", "int16", "int32", "uint32", "float32")


def unary(node: Node, graph: Graph, name: str, *arguments: tuple[str, str, Any], **more: Any) -> Kernel:
    """The kernel `name` of kernels/unary.c.j2; `arguments` are (C type, name, value) of the numbers that it is given."""
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    params = {
        "name": name, "source": source.dtype, "dtype": output.dtype, "elements": output.elements, "bytes": output.bytes,
        "arguments": arguments, "sigmoid": False, **more,
    }  # fmt: skip
    # Written front to back: the output may not overtake what is still to be read.
    growth = max(0, output.bytes // output.elements - source.bytes // source.elements)
    overlaps = in_place(node, graph, growth * (output.elements - 1))
    return Kernel("unary", params, operand_constants(node, graph), overlaps=overlaps)


@dataclass(frozen=True)
class Unary(Operator):
    """Input and output have one type and shape. ABS and RSQRT also take int8 and int16, each with its own scale; ABS of int16
    without quantization is plain."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = (
        "ABS", "NEG", "CEIL", "FLOOR", "ROUND", "SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "SIN", "COS", "LOGICAL_NOT",
    )  # fmt: skip
    QUANTIZED: ClassVar[tuple[str, ...]] = ("ABS", "RSQRT")

    @classmethod
    def parse(cls, code: str, options: Any) -> Unary:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        served = ("bool",) if self.code == "LOGICAL_NOT" else ("float32",)
        dtype = same_type(node, graph, [source, output], ("int8", *served, "int16") if self.code in self.QUANTIZED else served)
        shaped(node, graph, output, source.shape)
        if dtype == "int8" or (dtype == "int16" and not self._bare(source, output)):
            per_tensor(node, graph, [source, output])
            near = self.code == "ABS" or _rsqrt_real(source, output)[1] >= -31
            require(near, node, graph, "the scales of its input and its output are too far apart.", "Train or quantize again.")

    def _bare(self, source: Tensor, output: Tensor) -> bool:
        return self.code == "ABS" and source.dtype == "int16" and source.quant is None

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        if source.dtype == "int8":
            table = abs_s8 if self.code == "ABS" else rsqrt_s8
            return lut8(node, graph, lambda values: table(values, source, output))
        if source.dtype != "int16" or self._bare(source, output):
            return unary(node, graph, f"{self.code.lower()}_{SUFFIXES[source.dtype]}")
        multiplier, shift = _abs_real(source, output) if self.code == "ABS" else _rsqrt_real(source, output)
        name = "magnitude_s16" if self.code == "ABS" else "rsqrt_s16"
        return unary(node, graph, name, ("int32_t", "multiplier", multiplier), ("int", "shift", shift))


def _abs_real(source: Tensor, output: Tensor) -> tuple[int, int]:
    """ABS's rescaling; TFLite Micro divides in double."""
    return quantize_multiplier(source.scale / output.scale)


def _rsqrt_real(source: Tensor, output: Tensor) -> tuple[int, int]:
    """RSQRT's rescaling of 1 / sqrt(value) * 2**20: 1 / (sqrt(input scale) * output scale)."""
    multiplier, shift = quantize_multiplier(1 / (math.sqrt(source.scale) * output.scale))
    return multiplier, shift - 20


def abs_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """ABS of all int8 values."""
    size = multiply_by_quantized_multiplier(np.abs(values - source.zero_point), *_abs_real(source, output))
    return np.clip(size + output.zero_point, -128, 127)


def rsqrt_s8(values: np.ndarray, source: Tensor, output: Tensor) -> np.ndarray:
    """RSQRT of all int8 values: the largest output for 0, and below 0, where TFLite Micro stops with an error."""
    result = np.full(len(values), 127)
    for i, value in enumerate(values - source.zero_point):
        if value > 0:
            multiplier, right = inverse_sqrt(int(value))
            data = multiply_by_quantized_multiplier(np.asarray(1), multiplier, 20 - right)
            scaled = multiply_by_quantized_multiplier(data, *_rsqrt_real(source, output))
            result[i] = np.clip(scaled + output.zero_point, -128, 127)
    return result


@dataclass(frozen=True)
class Cast(Operator):
    """Numbers of one type as numbers of another; scales and zero points do not count."""

    CODES: ClassVar[tuple[str, ...]] = ("CAST",)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        served = source.dtype in CAST_FROM and output.dtype in CAST_TO
        require(served, node, graph, f"{source.dtype} to {output.dtype} is not served.", f"Served: {', '.join(CAST_TO)}.")
        shaped(node, graph, output, source.shape)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        names = {"bool": "u8", "int8": "s8", "int16": "s16", "int32": "s32", "uint32": "u32", "float32": "f32"}
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        return unary(node, graph, f"cast_{names[source.dtype]}_{names[output.dtype]}")


@dataclass(frozen=True)
class ZerosLike(Operator):
    """Bytes of 0 whatever the input and the zero point."""

    CODES: ClassVar[tuple[str, ...]] = ("ZEROS_LIKE",)

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        same_type(node, graph, [source, output], ("int8", "float32", "int32", "int64"))
        shaped(node, graph, output, source.shape)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return unary(node, graph, "zeros_like")

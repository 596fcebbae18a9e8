"""Two tensors that broadcast, besides ADD, SUB and MUL: DIV, FLOOR_DIV, FLOOR_MOD, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE, PRELU.

Formulas: tensorflow/lite/micro/kernels/{div,squared_difference,prelu_common}.cc, reference/{div,floor_mod,prelu}.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import Broadcast, known_activation, lut8, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.numerics import activation_range, float_activation_range, quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.shapes import broadcast_shape

INT32 = np.iinfo(np.int32)
SERVED = {
    "DIV": ("int8", "float32", "int32"),
    "FLOOR_DIV": ("float32",),
    "FLOOR_MOD": ("float32",),
    "MAXIMUM": ("int8", "float32", "int16", "int32", "int64"),
    "MINIMUM": ("int8", "float32", "int16", "int32", "int64"),
    "SQUARED_DIFFERENCE": ("int8", "float32", "int16", "int32"),
}
QUANTIZED = ("DIV", "SQUARED_DIFFERENCE")
APART = "the scales of its inputs and its output are too far apart."
Argument = tuple[str, str, Any]  # C type, name, value


def binary(node: Node, graph: Graph, kind: str, arguments: tuple[Argument, ...] = (), scaled: bool = False) -> Kernel:
    """The kernel `kind` of kernels/binary.c.j2, which is given the numbers `arguments`."""
    x, y = (graph.tensors[t].dtype for t in node.inputs)
    walk = Broadcast(node, graph)
    return walk.kernel("binary", kind=kind, x=x, y=y, scaled=scaled, arguments=arguments)


def scaling(prefix: str, real: float) -> tuple[Argument, Argument]:
    """The arguments <prefix>multiplier and <prefix>shift of a real number."""
    multiplier, shift = quantize_multiplier(real)
    return ("int32_t", f"{prefix}multiplier", multiplier), ("int", f"{prefix}shift", shift)


def zero_points(a: Tensor, b: Tensor) -> tuple[Argument, Argument]:
    return ("int32_t", "a_zero_point", a.zero_point), ("int32_t", "b_zero_point", b.zero_point)


@dataclass(frozen=True)
class Binary(Operator):
    """Two inputs and an output of one type. DIV and SQUARED_DIFFERENCE heed scales; MAXIMUM and MINIMUM compare bytes."""

    code: str
    activation: str

    CODES: ClassVar[tuple[str, ...]] = tuple(SERVED)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Binary:
        return cls(code, options.get("fused_activation_function", "NONE"))

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2)
        dtype = same_type(node, graph, [*inputs, output], SERVED[self.code])
        known_activation(node, graph, self.activation)
        shaped(node, graph, output, broadcast_shape(*(t.shape for t in inputs)))
        if self.code in QUANTIZED and dtype in ("int8", "int16"):
            per_tensor(node, graph, [*inputs, output])
            if self.code == "DIV":
                require(
                    quantize_multiplier(_quotient(inputs[0], inputs[1], output))[1] <= 23,
                    node,
                    graph,
                    APART,
                    "Train or quantize again.",
                )
        if self.code == "DIV" and dtype == "int32":
            bare = not any(t.quant for t in inputs)
            require(bare, node, graph, "its int32 tensors must not be quantized.", "Use int8 for quantized tensors.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        a, b, output = *(graph.tensors[t] for t in node.inputs), graph.tensors[node.outputs[0]]
        if self.code in ("MAXIMUM", "MINIMUM") and (found := one_number(a, b)):
            position, number = found
            pick = np.maximum if self.code == "MAXIMUM" else np.minimum
            return lut8(node, graph, lambda values: pick(values, number), position)
        arguments: tuple[Argument, ...] = ()
        if self.code == "DIV":
            low, high = self._range(output)
            kind = "float" if output.dtype == "float32" else "int32_t"
            arguments = ((kind, "low", low), (kind, "high", high))
            if output.dtype == "int8":
                numbers = scaling("", _quotient(a, b, output))
                arguments = (*zero_points(a, b), *numbers, ("int32_t", "zero_point", output.zero_point), *arguments)
        elif self.code == "SQUARED_DIFFERENCE" and output.dtype in ("int8", "int16"):
            left, twice = 7 if output.dtype == "int8" else 0, 2 * max(a.scale, b.scale)
            arguments = (
                *zero_points(a, b),
                ("int", "left", left),
                *scaling("a_", a.scale / twice),
                *scaling("b_", b.scale / twice),
                *scaling("", twice * twice / ((1 << 2 * left) * output.scale)),
                ("int32_t", "zero_point", output.zero_point),
            )
        return binary(node, graph, self.code.lower(), arguments)

    def _range(self, output: Tensor) -> tuple[Any, Any]:
        """(lowest, highest) output of DIV."""
        if output.dtype == "int8":
            return activation_range(self.activation, output)
        low, high = float_activation_range(self.activation)
        if output.dtype == "float32":
            return low, high
        return int(max(low, INT32.min)), int(min(high, INT32.max))


def one_number(a: Tensor, b: Tensor) -> tuple[int, int] | None:
    """(position of the other input, the number) where one of two int8 operands is a constant number."""
    for constant, other, position in ((b, a, 0), (a, b, 1)):
        if a.dtype == "int8" and constant.data is not None and constant.elements == 1 and not other.is_const:
            return (position, int(constant.data.reshape(-1)[0])) if constant.data.ndim <= len(other.shape) else None
    return None


def _quotient(a: Tensor, b: Tensor, output: Tensor) -> float:
    """DIV's real multiplier."""
    return a.scale / (b.scale * output.scale)


@dataclass(frozen=True)
class Prelu(Operator):
    """An input, its slopes below zero, which broadcast to it (int8 for int8 and int16), and an output of the input's type."""

    CODES: ClassVar[tuple[str, ...]] = ("PRELU",)

    def check(self, node: Node, graph: Graph) -> None:
        (source, alpha), output = operands(node, graph, 2)
        dtype = same_type(node, graph, [source, output], ("int8", "float32", "int16"))
        slopes = "float32" if dtype == "float32" else "int8"
        require(alpha.dtype == slopes, node, graph, f"its slopes must be {slopes}.", "Use int8 or float32 throughout.")
        shaped(node, graph, output, broadcast_shape(source.shape, alpha.shape))
        if dtype != "float32":
            per_tensor(node, graph, [source, alpha, output], centered=False)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        (source, alpha), output = (graph.tensors[t] for t in node.inputs), graph.tensors[node.outputs[0]]
        if output.dtype == "float32":
            return binary(node, graph, "prelu")
        arguments = (
            *zero_points(source, alpha),
            *scaling("", source.scale / output.scale),
            *scaling("alpha_", source.scale * alpha.scale / output.scale),
            ("int32_t", "zero_point", output.zero_point),
        )
        return binary(node, graph, "prelu", arguments)

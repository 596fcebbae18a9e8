"""ADD, SUB and MUL of two tensors that broadcast: int8, int16, int32 and float32, with a fused activation.

Constants: tensorflow/lite/micro/kernels/{add,sub,mul}_common.cc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import known_activation, lut8, operand_constants, operands, per_tensor, same_type, shaped
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap, Tensor
from mcuml.numerics import activation_range, float_activation_range, multiply_by_quantized_multiplier, quantize_multiplier
from mcuml.ops import Operator, require
from mcuml.shapes import Loop, broadcast_loops, broadcast_shape

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Arithmetic(Operator):
    """Two inputs of one type whose shapes broadcast to the output's; quantized ones per tensor."""

    kind: str  # "add", "sub" or "mul"
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("ADD", "SUB", "MUL")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Arithmetic:
        return cls(code.lower(), options["fused_activation_function"])

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2)
        dtype = same_type(node, graph, [*inputs, output], ("int8", "float32", "int16", "int32"))
        known_activation(node, graph, self.activation)
        shaped(node, graph, output, broadcast_shape(inputs[0].shape, inputs[1].shape))
        if dtype in ("int8", "int16"):
            per_tensor(node, graph, [*inputs, output])
            apart = self.kind != "mul" and _add_reals(inputs[0], inputs[1], output)[2] >= 1
            require(
                not apart, node, graph, "the scales of its inputs and its output are too far apart.", "Train or quantize again."
            )
        if dtype == "int32" and self.kind != "mul":
            bare = not any(t.quant for t in inputs)
            require(bare, node, graph, "its int32 tensors must not be quantized.", "Use int8 or int16 for quantized tensors.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        a, b, output = *(graph.tensors[t] for t in node.inputs), graph.tensors[node.outputs[0]]
        scalar = next((i for i, t in enumerate((a, b)) if t.is_const and t.elements == 1), None)
        if scalar is not None and output.dtype == "int8" and not (a.is_const and b.is_const):
            return self._table(node, graph, 1 - scalar)
        loops = broadcast_loops([a.shape, b.shape], output.shape)
        if output.dtype == "int8" and (kernel := self._lean_s8(node, graph, loops)):
            return kernel
        return self._kernel(node, graph, loops, False, *self._plain(a, b, output))

    def _table(self, node: Node, graph: Graph, position: int) -> Kernel:
        """One operand is a constant number: the output depends on the other's byte alone."""
        a, b, output = *(graph.tensors[t] for t in node.inputs), graph.tensors[node.outputs[0]]
        low, high = activation_range(self.activation, output)
        factors = [0 if t.data is None else int(t.data.reshape(-1)[0]) for t in (a, b)]

        def function(values: np.ndarray) -> np.ndarray:
            x, y = (values if i == position else np.full(256, f) for i, f in enumerate(factors))
            x, y = x - a.zero_point, y - b.zero_point
            if self.kind != "mul":
                reals = [quantize_multiplier(real) for real in _add_reals(a, b, output)]
                first, second = (multiply_by_quantized_multiplier(v << 20, *m) for v, m in zip((x, y), reals, strict=False))
                result = multiply_by_quantized_multiplier(first + second * self._sign, *reals[2])
            else:
                result = multiply_by_quantized_multiplier(x * y, *quantize_multiplier(_mul_real(a, b, output)))
            return np.clip(result + output.zero_point, low, high)

        return lut8(node, graph, function, position)

    def _lean_s8(self, node: Node, graph: Graph, loops: tuple[Loop, ...]) -> Kernel | None:
        """The int8 kernels that round in two instructions; None for scales that they do not cover."""
        a, b, output = *(graph.tensors[t] for t in node.inputs), graph.tensors[node.outputs[0]]
        if self.kind != "mul":
            # The input with the larger scale has a multiplier of exactly one half: a shift by 19, no rounding.
            swap = a.scale < b.scale
            exact, other = (b, a) if swap else (a, b)
            real_other, real_out = (_add_reals(exact, other, output)[i] for i in (1, 2))
            (m, shift), (m_out, shift_out) = quantize_multiplier(real_other), _at_least_tiny(*quantize_multiplier(real_out))
            same = (m, shift) == (1 << 30, 0)
            if shift_out >= 0 or m == 0:
                return None
            out = (_doubled(m_out), _power(-shift_out), output.zero_point)
            offset, offset_other = -exact.zero_point, -other.zero_point
            if same:  # and so nothing is swapped
                return self._kernel(node, graph, loops, False, "same", [(offset + self._sign * offset_other) << 19, *out])
            name = "scaled_first" if swap and self._sign < 0 else "scaled"
            return self._kernel(node, graph, loops, swap, name, [offset << 19, offset_other << 21, m, _power(-shift), *out])
        m, shift = _at_least_tiny(*quantize_multiplier(_mul_real(a, b, output)))
        if shift > 14:  # the product, 16 bits and a sign, must survive the shift
            return None
        name, scale = ("divided", _power(-shift)) if shift < 0 else ("shifted", shift)
        return self._kernel(
            node, graph, loops, False, name, [-a.zero_point, -b.zero_point, _doubled(m), scale, output.zero_point]
        )

    @property
    def _sign(self) -> int:
        return -1 if self.kind == "sub" else 1

    def _plain(self, a: Tensor, b: Tensor, output: Tensor) -> tuple[str, list[int]]:
        """The kernel that says the arithmetic as TFLite does, and its constants (none without quantization)."""
        if output.dtype not in ("int8", "int16"):
            return "plain", []
        if self.kind == "mul":
            return "plain", [-a.zero_point, -b.zero_point, *quantize_multiplier(_mul_real(a, b, output)), output.zero_point]
        first, second, out = (quantize_multiplier(real) for real in _add_reals(a, b, output))
        return "plain", [-a.zero_point, -b.zero_point, *first, *second, *out, output.zero_point]

    def _kernel(self, node: Node, graph: Graph, loops: tuple[Loop, ...], swap: bool, variant: str, numbers: list[int]) -> Kernel:
        output = graph.tensors[node.outputs[0]]
        order = (1, 0) if swap else (0, 1)
        *outer, inner = loops
        low, high = self._range(output)
        params = {
            "kind": self.kind, "dtype": output.dtype, "variant": variant, "order": order,
            "clamp": None if low is None else (low, high), "numbers": len(numbers),
            "counts": tuple(loop.count for loop in outer), "elements": inner.count,
            "strides": tuple(tuple(loop.strides[i] for loop in outer) for i in (*order, 2)),
            "scalar": next((i for i, operand in enumerate(order) if inner.strides[operand] == 0), None),
        }  # fmt: skip
        # An operand that is not broadcast is read, element by element, before the output is written there.
        overlaps = tuple(
            Overlap(i, 0)
            for i, t in enumerate(node.inputs)
            if not graph.tensors[t].is_const
            and graph.tensors[t].elements == output.elements == prod(loop.count for loop in loops)
        )
        constants = (Constant("numbers", np.array(numbers, np.int32)),) if numbers else ()
        return Kernel("arithmetic", params, (*constants, *operand_constants(node, graph)), overlaps=overlaps)

    def _range(self, output: Tensor) -> tuple[Any, Any]:
        """(lowest, highest) output, (None, None) where the type's own range is all."""
        if output.dtype == "float32":
            return (None, None) if self.activation == "NONE" else float_activation_range(self.activation)
        if output.dtype == "int32":
            # TFLM's ADD of int32 ignores the activation; its MUL takes the bounds as numbers.
            if self.kind == "add" or self.activation == "NONE":
                return None, None
            low, high = float_activation_range(self.activation)
            return int(low), int(min(high, INT32.max))
        limits = np.iinfo(np.dtype(output.dtype))
        low, high = activation_range(self.activation, output)
        return (None, None) if (low, high) == (limits.min, limits.max) else (low, high)


def _add_reals(a: Tensor, b: Tensor, output: Tensor) -> tuple[float, float, float]:
    """The real multipliers of ADD's or SUB's two inputs, shifted left by 20 (int8) or 15 (int16), and of the result."""
    twice = 2 * max(a.scale, b.scale)
    return a.scale / twice, b.scale / twice, twice / ((1 << (15 if output.dtype == "int16" else 20)) * output.scale)


def _mul_real(a: Tensor, b: Tensor, output: Tensor) -> float:
    return a.scale * b.scale / output.scale


def _at_least_tiny(multiplier: int, shift: int) -> tuple[int, int]:
    """A multiplier that was flushed to zero as one that rounds everything to zero: the kernels need its top bit."""
    return (multiplier, shift) if multiplier else (1 << 30, -31)


def _doubled(multiplier: int) -> int:
    """2 * multiplier - 2**32, so that x + (x * doubled) / 2**32 = x * multiplier / 2**31 in one instruction."""
    return 2 * multiplier - (1 << 32)


def _power(shift: int) -> int:
    """-2**(32 - shift), for a division by 2**shift, 1 to 31."""
    return -(1 << (32 - shift))

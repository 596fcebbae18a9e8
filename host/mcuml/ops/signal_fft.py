"""From samples to a spectrum and back: SignalWindow, SignalFftAutoScale, SignalRfft, SignalIrfft, SignalEnergy.

Transforms reproduce KISS FFT's arithmetic (kiss_fft.c, tools/kiss_fftr.c), which TFLite Micro calls: in fixed point
each stage is divided by its radix and every product rounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcuml.elementwise import in_place, operand_constants
from mcuml.graph import Constant, Graph, Kernel, Node, Tensor
from mcuml.ops import require
from mcuml.ops._signal import Operand, Signal

KINDS = {"int16": "s16", "int32": "s32", "float32": "f32"}
TYPES = {"int16": 7, "int32": 2, "float32": 0}  # option T: the schema's numbers
MAX_LENGTH = 1 << 15


@dataclass(frozen=True)
class Window(Signal):
    """Samples times a constant window, shifted right and saturated. Formula: ApplyWindow in signal/src/window.cc."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalWindow",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("shift",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None), ("int16", 1))
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        require(outputs[0].shape == inputs[0].shape, node, graph, "its output's shape must be its input's.")
        require(inputs[1].is_const, node, graph, "its window must be constant.")
        whole = inputs[0].elements % inputs[1].elements == 0
        require(whole, node, graph, f"its {inputs[0].elements} samples are no multiple of the window's {inputs[1].elements}.")
        require(0 <= self.options["shift"] <= 31, node, graph, f"its shift {self.options['shift']} is not in 0 to 31.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, window = (graph.tensors[t] for t in node.inputs)
        params = {"op": "window", "elements": source.elements, "window": window.elements, "shift": self.options["shift"]}
        return Kernel("signal_fft", params, operand_constants(node, graph), overlaps=in_place(node, graph), macs=source.elements)


@dataclass(frozen=True)
class AutoScale(Signal):
    """Samples shifted left as far as the largest one allows, and by how far. Formula: signal/src/fft_auto_scale.cc."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFftAutoScale",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1), ("int32", 0))

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        require(outputs[0].shape == inputs[0].shape, node, graph, "its output's shape must be its input's.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        params = {"op": "auto_scale", "elements": graph.tensors[node.inputs[0]].elements}
        return Kernel("signal_fft", params, operand_constants(node, graph), overlaps=in_place(node, graph))


@dataclass(frozen=True)
class Energy(Signal):
    """|x|^2 of the complex numbers start_index to end_index - 1. Formula: signal/src/energy.cc, which leaves the others as
    they were; here they are 0."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalEnergy",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("end_index", "start_index")
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        start, end = self.options["start_index"], self.options["end_index"]
        inside = 0 <= start <= end <= min(inputs[0].elements // 2, outputs[0].elements)
        require(inside, node, graph, f"its range {start} to {end} is not inside its input and output.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        start, end = self.options["start_index"], self.options["end_index"]
        params = {"op": "energy", "start": start, "end": end, "elements": graph.tensors[node.outputs[0]].elements}
        return Kernel("signal_fft", params, operand_constants(node, graph), macs=2 * (end - start))


@dataclass(frozen=True)
class Transform(Signal):
    """SignalRfft: rows of up to fft_length samples, zeros behind them, to fft_length/2 + 1 complex numbers; SignalIrfft: back.

    The length must be even and have no prime factor above 5: for others TFLite Micro's KISS FFT wants heap memory, which it
    does not get (kf_bfly_generic), and crashes."""

    inverse: bool

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalRfft", "CUSTOM:SignalIrfft")
    OPTIONS: ClassVar[tuple[str, ...]] = ("T", "fft_length")
    INPUTS: ClassVar[tuple[Operand, ...]] = ((tuple(KINDS), None),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = ((tuple(KINDS), None),)

    @classmethod
    def parse(cls, code: str, options: dict) -> Transform:  # type: ignore[override]
        return cls(Signal.parse(code, options).options, code.endswith("Irfft"))

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        length, (source,), (target,) = self.options["fft_length"], inputs, outputs
        require(source.dtype == target.dtype, node, graph, "its output's type must be its input's.")
        require(self.options["T"] == TYPES[source.dtype], node, graph, f"its option T is {self.options['T']}, another type's.")
        even = 4 <= length <= MAX_LENGTH and length % 2 == 0
        require(even, node, graph, f"its length {length} is not an even number from 4 to {MAX_LENGTH}.")
        most = max(_factors(length // 2))
        require(most <= 5, node, graph, f"its length {length} has the factor {most}; TFLite Micro transforms 2, 3, 4 and 5.")
        require(source.shape[:-1] == target.shape[:-1], node, graph, "its output must have its input's rows.")
        if self.inverse:
            right = source.shape[-1] == length + 2 and target.shape[-1] == length
        else:
            right = source.shape[-1] <= length and target.shape[-1] == length + 2
        require(right, node, graph, f"its rows do not go with a length of {length}.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, points = graph.tensors[node.inputs[0]], self.options["fft_length"] // 2
        sign = 1.0 if self.inverse else -1.0
        factors = _factors(points)
        turns = _turns(source.dtype, points if max(factors) != 4 else points * 3 // 4, lambda i: sign * 2 * math.pi * i / points)
        halves = _turns(source.dtype, points // 2, lambda i: sign * math.pi * ((i + 1) / points + 0.5))
        rows = math.prod(source.shape[:-1])
        params = {
            "op": "irfft" if self.inverse else "rfft", "kind": KINDS[source.dtype], "rows": rows, "length": source.shape[-1],
            "points": points, "radices": tuple(sorted(set(factors))),
        }  # fmt: skip
        constants = (
            *operand_constants(node, graph),
            Constant("turns", turns),
            Constant("halves", halves),
            Constant("factors", np.array(factors, np.uint16)),
        )
        macs = rows * points * (2 * points.bit_length() + 2)
        return Kernel("signal_fft", params, constants, macs=macs)


def _factors(points: int) -> list[int]:
    """The radices of the stages, in the order of KISS FFT's kf_factor: fours, then twos, threes, fives, ..."""
    found, p = [], 4
    while points > 1:
        while points % p:
            p = {4: 2, 2: 3}.get(p, p + 2)
        found.append(p)
        points //= p
    return found


def _turns(dtype: str, count: int, phase: Callable[[int], float]) -> np.ndarray:
    """`count` complex numbers on the unit circle, real and imaginary in turn, as KISS FFT rounds them."""
    plain = [part(phase(i)) for i in range(count) for part in (math.cos, math.sin)]
    if dtype == "float32":
        return np.array(plain, np.float32)
    most = np.iinfo(dtype).max
    return np.array([math.floor(0.5 + most * x) for x in plain], dtype)

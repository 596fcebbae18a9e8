"""From energies to features: SignalFilterBank, SignalFilterBankSquareRoot, SignalFilterBankSpectralSubtraction, SignalPCAN,
SignalFilterBankLog. Formulas: signal/src/filter_bank*.cc, square_root_*.cc, pcan_argc_fixed.cc and log.cc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import in_place, operand_constants
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap, Tensor
from mcuml.ops import require
from mcuml.ops._signal import Operand, Signal

GAINS = 125  # SignalPCAN's table: three for 0, 1 and 2, then three coefficients and a gap for each number of bits
LOG_SEGMENTS = 128


@dataclass(frozen=True)
class FilterBank(Signal):
    """uint64 sums of energies under overlapping triangles: an energy counts with its weight for one channel and with its
    unweight for the next."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFilterBank",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("num_channels",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1), *(("int16", 1),) * 5)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("uint64", 1),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        channels = self.options["num_channels"]
        require(outputs[0].elements == channels, node, graph, f"its output must have its {channels} channels.")
        weights, unweights, *tables = (t.data for t in inputs[1:])
        for table in tables:
            right = table is not None and len(table) == channels + 1 and table.min() >= 0
            require(right, node, graph, f"each of its three tables must be {channels + 1} constants from 0 on.")
        require(weights is not None and unweights is not None, node, graph, "its weights must be constant.")
        assert weights is not None and unweights is not None
        starts, weight_starts, widths = (np.asarray(table, np.int64) for table in tables)
        used = widths > 0
        inside = np.all((starts + widths)[used] <= inputs[0].elements)
        inside &= np.all((weight_starts + widths)[used] <= min(len(weights), len(unweights)))
        require(bool(inside), node, graph, "a channel reaches behind its energies or its weights.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        constants = operand_constants(node, graph)
        widths = graph.tensors[node.inputs[5]].data
        assert widths is not None
        return Kernel("signal_filter_bank", {"op": "bank", **self.options}, constants, macs=2 * int(widths.sum(dtype=np.int64)))


@dataclass(frozen=True)
class SquareRoot(Signal):
    """Rounded square roots, shifted right by as many bits as the second input says."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFilterBankSquareRoot",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("uint64", 1), ("int32", 0))
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        _same(node, graph, inputs[0], outputs[0])

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return _elementwise("root", node, graph)


@dataclass(frozen=True)
class SpectralSubtraction(Signal):
    """Subtracts a noise estimate that follows the signal slowly from one invocation to the next, and gives both."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFilterBankSpectralSubtraction",)
    OPTIONS: ClassVar[tuple[str, ...]] = (
        "alternate_one_minus_smoothing", "alternate_smoothing", "clamping", "min_signal_remaining", "num_channels",
        "one_minus_smoothing", "smoothing", "smoothing_bits", "spectral_subtraction_bits",
    )  # fmt: skip
    INPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1), ("uint32", 1))

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        channels = self.options["num_channels"]
        same = all(t.elements == channels for t in (*inputs, *outputs))
        require(same, node, graph, f"its input and outputs must have its {channels} channels.")
        for name in ("smoothing_bits", "spectral_subtraction_bits"):
            require(0 <= self.options[name] <= 31, node, graph, f"its {name} {self.options[name]} is not in 0 to 31.")

    def state(self, node: Node, graph: Graph) -> int:
        return 4 * self.options["num_channels"]

    def lower(self, node: Node, graph: Graph) -> Kernel:
        words = {name: value % (1 << 32) for name, value in self.options.items()}  # negative ones wrap around in TFLite Micro
        return _elementwise("subtraction", node, graph, **words)


@dataclass(frozen=True)
class Pcan(Signal):
    """Automatic gain control: energies divided by a power of the noise, from a table, and compressed."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalPCAN",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("snr_shift",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1), ("uint32", 1), ("int16", 1))
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        _same(node, graph, inputs[0], outputs[0])
        _same(node, graph, inputs[1], outputs[0])
        right = inputs[2].is_const and inputs[2].elements >= GAINS
        require(right, node, graph, f"its table must be constant and have at least {GAINS} entries.")
        require(0 <= self.options["snr_shift"] <= 63, node, graph, f"its shift {self.options['snr_shift']} is not in 0 to 63.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return _elementwise("pcan", node, graph, shift=self.options["snr_shift"])


@dataclass(frozen=True)
class Log(Signal):
    """Natural logarithms in units of 1 / output_scale, up to 32767, from a table of the logarithm's distance to a line."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFilterBankLog",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("input_correction_bits", "output_scale")
    INPUTS: ClassVar[tuple[Operand, ...]] = (("uint32", 1),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        _same(node, graph, inputs[0], outputs[0])
        bits = self.options["input_correction_bits"]
        require(0 <= bits <= 31, node, graph, f"its correction of {bits} bits is not in 0 to 31.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        parts = (i / LOG_SEGMENTS for i in range(LOG_SEGMENTS + 1))
        table = np.array([round(65536 * (math.log2(1 + part) - part)) for part in parts], np.uint16)
        scale = self.options["output_scale"] % (1 << 32)
        return _elementwise(
            "log", node, graph, Constant("table", table), shift=self.options["input_correction_bits"], scale=scale
        )


def _same(node: Node, graph: Graph, source: Tensor, target: Tensor) -> None:
    require(source.shape == target.shape, node, graph, "its output must have its input's shape.")


def _elementwise(op: str, node: Node, graph: Graph, *constants: Constant, **params: Any) -> Kernel:
    params |= {"op": op, "elements": graph.tensors[node.outputs[0]].elements}
    overlaps: tuple[Overlap, ...] = in_place(node, graph)
    return Kernel("signal_filter_bank", params, (*operand_constants(node, graph), *constants), overlaps=overlaps)

"""UNIDIRECTIONAL_SEQUENCE_LSTM: float32, and int8 or int16 with int8 weights and an int16 cell; its states are variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.fixedpoint import sigmoid_u16
from mcuml.graph import ABSENT, Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require

GATES = 4  # input, forget, cell, output, in the order of the operator's inputs
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = slice(1, 5), slice(5, 9), slice(12, 16)
HIDDEN, CELL = 18, 19
KINDS: dict[tuple[str, ...], str] = {  # types of input, weights, biases, hidden state, cell state, output
    ("float32",) * 6: "f32",
    ("int8", "int8", "int32", "int8", "int16", "int8"): "s8",
    ("int16", "int8", "int64", "int16", "int16", "int16"): "s16",
}
GATE_SCALE = 2.0**-12  # of a gate before its curve
UNIT_SCALE = 2.0**-15  # of a gate after it


@dataclass(frozen=True)
class SequenceLstm(Operator):
    """Input (B, T, K), or (T, B, K) if time-major; for each gate weights (U, K) and (U, U) and a bias (U,); hidden and cell state
    of B x U elements; output (B, T, U) or (T, B, U). No peepholes, no projection, no layer normalization.

    Formulas: tensorflow/lite/micro/kernels/lstm_eval{.h,_common.cc}."""

    activation: str
    cell_clip: float
    time_major: bool

    CODES: ClassVar[tuple[str, ...]] = ("UNIDIRECTIONAL_SEQUENCE_LSTM",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> SequenceLstm:
        return cls(options["fused_activation_function"], options["cell_clip"], options["time_major"])

    def check(self, node: Node, graph: Graph) -> None:
        require(len(node.inputs) == 24 and len(node.outputs) == 1, node, graph, "it needs 24 inputs and one output.")
        given = [i for i, t in enumerate(node.inputs) if t != ABSENT]
        plain = [*range(9), *range(12, 16), HIDDEN, CELL]
        rule = "its input, weights, biases and states must be there, and no peepholes, projection or layer normalization."
        require(given == plain, node, graph, rule)
        source, hidden, cell, output = self._activations(node, graph)
        weights, recurrent, biases = (self._group(node, graph, part) for part in (INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES))
        for w in (*weights, *recurrent):
            kinds = (source.dtype, w.dtype, biases[0].dtype, hidden.dtype, cell.dtype, output.dtype)
            require(kinds in KINDS, node, graph, f"types {kinds} are not served.")
        require(len({b.dtype for b in biases}) == 1, node, graph, "its biases differ in type.")
        require(all(t.is_const for t in (*weights, *recurrent, *biases)), node, graph, "its weights and biases must be constant.")
        require(hidden.variable and cell.variable, node, graph, "its states must be variables.")
        require(len(source.shape) == 3 and len(hidden.shape) == 2, node, graph, "its input or hidden state has wrong dimensions.")
        units, batch = hidden.shape[1], source.shape[1 if self.time_major else 0]
        require(
            all(w.shape == (units, source.shape[2]) for w in weights)
            and all(w.shape == (units, units) for w in recurrent)
            and all(b.shape == (units,) for b in biases)
            and hidden.elements == cell.elements == batch * units
            and output.shape == (*source.shape[:2], units),
            node,
            graph,
            "its tensors' shapes do not go together.",
        )
        require(self.activation == "TANH", node, graph, f"activation {self.activation} is not served, only TANH.")
        if source.dtype == "float32":
            return
        require(all(t.scale > 0 for t in (source, hidden, cell)), node, graph, "its input and states need a scale.")
        symmetric = all(w.zero_point == 0 for w in (*weights, *recurrent)) and cell.zero_point == 0
        require(symmetric, node, graph, "its weights and its cell state must have zero point 0.")
        centered = source.dtype == "int8" or source.zero_point == hidden.zero_point == 0
        require(centered, node, graph, "its int16 input and hidden state must have zero point 0.")
        shifts = [shift for pair in self._gate_scales(node, graph) for _, shift in pair]
        fits = max(shifts) < (31 if source.dtype == "int8" else 8) and -26 <= self._cell_power(cell) <= 2
        require(fits, node, graph, "its scales are out of range.")
        sums = [np.abs(b).max() for b in self._biases(node, graph).reshape(2, -1)]
        require(max(sums) < (1 << 30 if source.dtype == "int8" else 1 << 46), node, graph, "its biases are out of range.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, hidden, cell, _ = self._activations(node, graph)
        weights, recurrent = (
            np.stack([t.data for t in self._group(node, graph, part) if t.data is not None])
            for part in (INPUT_WEIGHTS, RECURRENT_WEIGHTS)
        )
        units = hidden.shape[1]
        batch, steps = source.shape[:2][:: -1 if self.time_major else 1]
        kind = "f32" if source.dtype == "float32" else "s8" if source.dtype == "int8" else "s16"
        if kind == "s16" and max(np.abs(w.astype(np.int64)).sum(-1).max() for w in (weights, recurrent)) >= 1 << 16:
            kind = "s16x64"  # sums need not fit 32 bits
        params: dict[str, Any] = {
            "kind": kind, "batch": batch, "steps": steps, "inputs": source.shape[2], "units": units,
            "batch_step": 1 if self.time_major else steps, "time_step": batch if self.time_major else 1, "clip": self.cell_clip,
        }  # fmt: skip
        constants = [Constant("weights", weights), Constant("recurrent", recurrent), Constant("bias", self._biases(node, graph))]
        if kind != "f32":
            params |= self._fixed_point(node, graph, hidden, cell)
            constants.append(Constant("sigmoid", sigmoid_u16()))
        macs = batch * steps * GATES * units * (source.shape[2] + units)
        return Kernel("unidirectional_sequence_lstm", params, tuple(constants), macs=macs)

    def _fixed_point(self, node: Node, graph: Graph, hidden: Tensor, cell: Tensor) -> dict[str, Any]:
        """Multipliers, shifts and ranges of the integer kernels."""
        gates = self._gate_scales(node, graph)
        if hidden.dtype == "int16":  # MultiplyByQuantizedMultiplier for int64 takes 15 bits
            gates = [[(min((m + (1 << 15)) >> 16, 0x7FFF), s) for m, s in pair] for pair in gates]
        power = self._cell_power(cell) + 12
        info = np.iinfo(hidden.dtype)
        return {
            "gates": gates,
            "forget": quantize_multiplier(UNIT_SCALE * cell.scale / cell.scale),
            "fresh": quantize_multiplier(UNIT_SCALE * UNIT_SCALE / cell.scale),
            "shown": quantize_multiplier(UNIT_SCALE * UNIT_SCALE / hidden.scale),
            "curve": (3 << power, 0) if power >= 0 else (3, -power),
            "clip": int(min(self.cell_clip / cell.scale, 32767)) if self.cell_clip > 0 else 0,
            "out_zero": hidden.zero_point, "low": int(info.min), "high": int(info.max),
        }  # fmt: skip

    def _gate_scales(self, node: Node, graph: Graph) -> list[list[tuple[int, int]]]:
        """For each gate (multiplier, shift) of the input's and of the hidden state's products; products of scales are floats."""
        source, hidden, _, _ = self._activations(node, graph)
        return [
            [
                quantize_multiplier(float(np.float32(x.scale) * np.float32(w.scale)) / GATE_SCALE)
                for x, w in ((source, weights), (hidden, recurrent))
            ]
            for weights, recurrent in zip(
                self._group(node, graph, INPUT_WEIGHTS), self._group(node, graph, RECURRENT_WEIGHTS), strict=True
            )
        ]

    def _biases(self, node: Node, graph: Graph) -> np.ndarray:
        """(2, 4, U): the biases, and zeros for the hidden state's; int8's zero points are folded in."""
        source, hidden, _, _ = self._activations(node, graph)
        given = np.stack([t.data for t in self._group(node, graph, BIASES) if t.data is not None])
        both = np.stack([given, np.zeros_like(given)])
        if source.dtype != "int8":
            return both
        offsets = [
            x.zero_point
            * np.stack([t.data for t in self._group(node, graph, part) if t.data is not None]).astype(np.int64).sum(-1)
            for x, part in ((source, INPUT_WEIGHTS), (hidden, RECURRENT_WEIGHTS))
        ]
        return (both.astype(np.int64) - np.stack(offsets)).astype(np.int32)

    @staticmethod
    def _cell_power(cell: Tensor) -> int:
        """log2 of the cell state's scale, rounded (CheckedLog2, whose verdict TFLite Micro ignores)."""
        return math.floor(math.log2(cell.scale) + 0.5)

    @staticmethod
    def _activations(node: Node, graph: Graph) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        source, hidden, cell, output = (
            graph.tensors[t] for t in (node.inputs[0], node.inputs[HIDDEN], node.inputs[CELL], node.outputs[0])
        )
        return source, hidden, cell, output

    @staticmethod
    def _group(node: Node, graph: Graph, part: slice) -> list[Tensor]:
        return [graph.tensors[t] for t in node.inputs[part]]

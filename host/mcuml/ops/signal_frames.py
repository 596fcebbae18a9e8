"""Samples that wait for the next invocation: SignalFramer, SignalStacker, SignalDelay, SignalOverlapAdd.

Formulas: signal/micro/kernels/{framer,stacker,delay,overlap_add}.cc. Where TFLite Micro has no valid output yet, it leaves
the memory as it was; here it is 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml.elementwise import operand_constants
from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.ops import require
from mcuml.ops._signal import Operand, Signal
from mcuml.ops.signal_fft import TYPES

LONGEST_DELAY = 1 << 24  # more than any board's memory


@dataclass(frozen=True)
class Framer(Signal):
    """Rows of samples as frames of frame_size, each frame_step behind the one before; and whether all were full."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalFramer",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("frame_size", "frame_step", "prefill")
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None), ("bool", 0))

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        size, step, *rows = self.options["frame_size"], self.options["frame_step"], *inputs[0].shape
        require(size >= 1 and step >= 1, node, graph, f"its frames of {size} every {step} samples are none.")
        require(size >= step or not self.options["prefill"], node, graph, "there is nothing to prefill: its frames are apart.")
        require(rows[-1] % step == 0, node, graph, f"its rows of {rows[-1]} samples are no multiple of {step}.")
        wanted = (*rows[:-1], rows[-1] // step, size)
        require(outputs[0].shape == wanted, node, graph, f"its output must have shape {list(wanted)}.")

    @property
    def _capacity(self) -> int:
        return -(-self.options["frame_size"] // self.options["frame_step"]) * self.options["frame_step"]

    def state(self, node: Node, graph: Graph) -> int:
        return 4 + 2 * self._capacity * math.prod(graph.tensors[node.inputs[0]].shape[:-1])

    def lower(self, node: Node, graph: Graph) -> Kernel:
        *rows, length = graph.tensors[node.inputs[0]].shape
        size, step = self.options["frame_size"], self.options["frame_step"]
        held = size - step if self.options["prefill"] else 0
        counts = {"rows": math.prod(rows), "frames": length // step, "size": size, "step": step, "capacity": self._capacity}
        return _kernel("framer", node, graph, **counts, held=held)


@dataclass(frozen=True)
class Stacker(Signal):
    """The last stacker_left_context + 1 + stacker_right_context inputs, every stacker_step invocations; the first input
    stands for those before it."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalStacker",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("num_channels", "stacker_left_context", "stacker_right_context", "stacker_step")
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", 1), ("bool", 0))

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        channels, left, right, step = (self.options[name] for name in self.OPTIONS)
        require(left >= 0 and right >= 0 and step >= 1, node, graph, "its contexts must be 0 or more, its step 1 or more.")
        require(step <= left + 1 + right, node, graph, f"its step {step} skips more inputs than it holds.")
        require(inputs[0].elements == channels, node, graph, f"its input must have its {channels} channels.")
        wanted = channels * (left + 1 + right)
        require(outputs[0].elements == wanted, node, graph, f"its output must have {wanted} elements.")

    def state(self, node: Node, graph: Graph) -> int:
        return 4 + 2 * graph.tensors[node.outputs[0]].elements

    def lower(self, node: Node, graph: Graph) -> Kernel:
        channels, left, _, step = (self.options[name] for name in self.OPTIONS)
        size = graph.tensors[node.outputs[0]].elements
        return _kernel("stacker", node, graph, channels=channels, left=left, size=size, step=channels * step)


@dataclass(frozen=True)
class Delay(Signal):
    """Rows of samples, each delay_length later, behind zeros."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalDelay",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("delay_length",)
    INPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = (("int16", None),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        require(outputs[0].shape == inputs[0].shape, node, graph, "its output must have its input's shape.")
        delay = self.options["delay_length"]
        require(1 <= delay <= LONGEST_DELAY, node, graph, f"its delay is {delay} samples.")

    def state(self, node: Node, graph: Graph) -> int:
        return 2 * self.options["delay_length"] * math.prod(graph.tensors[node.inputs[0]].shape[:-1])

    def lower(self, node: Node, graph: Graph) -> Kernel:
        *rows, length = graph.tensors[node.inputs[0]].shape
        return _kernel("delay", node, graph, rows=math.prod(rows), length=length, delay=self.options["delay_length"])


@dataclass(frozen=True)
class OverlapAdd(Signal):
    """The inverse of SignalFramer: frames added up, each frame_step behind the one before."""

    CODES: ClassVar[tuple[str, ...]] = ("CUSTOM:SignalOverlapAdd",)
    OPTIONS: ClassVar[tuple[str, ...]] = ("T", "frame_step")
    INPUTS: ClassVar[tuple[Operand, ...]] = ((("int16", "float32"), None),)
    OUTPUTS: ClassVar[tuple[Operand, ...]] = ((("int16", "float32"), None),)

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        (source,), (target,), step = inputs, outputs, self.options["frame_step"]
        require(source.dtype == target.dtype, node, graph, "its output's type must be its input's.")
        require(self.options["T"] == TYPES[source.dtype], node, graph, f"its option T is {self.options['T']}, another type's.")
        require(len(source.shape) >= 2, node, graph, "its input must have frames in its last two dimensions.")
        *rows, frames, size = source.shape
        require(1 <= step <= size, node, graph, f"its step {step} is not in 1 to its frames' {size} samples.")
        wanted = (*rows, frames * step)
        require(target.shape == wanted, node, graph, f"its output must have shape {list(wanted)}.")

    def state(self, node: Node, graph: Graph) -> int:
        source = graph.tensors[node.inputs[0]]
        return source.bytes // source.shape[-2]

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source = graph.tensors[node.inputs[0]]
        *rows, frames, size = source.shape
        counts = {"rows": math.prod(rows), "frames": frames, "size": size, "step": self.options["frame_step"]}
        return _kernel("overlap_add", node, graph, dtype=source.dtype, **counts)


def _kernel(op: str, node: Node, graph: Graph, **params: Any) -> Kernel:
    return Kernel("signal_frames", {"op": op, **params}, operand_constants(node, graph))

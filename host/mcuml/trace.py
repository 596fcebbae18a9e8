"""Every layer's output, copied out right after the layer ran: later layers write over it. On the host build and on the
virtual board, with the layer marks of the profiled C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuml import __version__
from mcuml.build import Image
from mcuml.errors import LinkError
from mcuml.graph import ABSENT, OPENERS, Node
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.link.virtual import VirtualBoard
from mcuml.plan import Plan
from mcuml.render import render_file
from mcuml.run.session import Session

ENDS = tuple(f"{code}:end" for code in OPENERS)
Values = dict[int, bytes]  # tensor -> its bytes
Oracle = Mapping[int, np.ndarray]  # tensor -> the values that it should have


@dataclass(frozen=True)
class Layer:
    """One layer of the generated C: its node, and the tensors that can be read when it is done, each with the node that
    gives it: the layer's own outputs, and what the views behind it call them."""

    node: Node
    tensors: tuple[tuple[Node, int], ...]


def layers(plan: Plan) -> list[Layer]:
    """The layers in the order of their marks. What an IF or a WHILE writes can be read at its end."""
    found: list[tuple[Node, list[tuple[Node, int]]]] = []
    opened: list[Node] = []
    for node in plan.graph.nodes:
        if node.kernel is None or (node.kernel.view and not found):
            continue
        if not node.kernel.view:
            found.append((node, []))
        if node.code in OPENERS:
            opened.append(node)
            continue
        writer = opened.pop() if node.code in ENDS else node
        found[-1][1].extend((writer, t) for t in writer.outputs if plan.offsets[t] is not None)
    return [Layer(node, tuple(tensors)) for node, tensors in found]


class Recorder:
    """Called with a layer's index when it is done: keeps what it wrote, and, where `feed` holds values, puts the next
    layer's inputs there, unless the model has control flow. `read` and `write` take offsets in the arena."""

    def __init__(self, plan: Plan, read: Callable[[int, int], bytes], write: Callable[[int, bytes], object]):
        self._plan, self._read, self._write = plan, read, write
        self._layers = layers(plan)
        # In blocks the next layer in the text need not be the next to run: what it reads may be another's memory by then.
        self._straight = all(node.code not in OPENERS for node in plan.graph.nodes)
        self.values: Values = {}
        self.feed: Oracle = {}

    def start(self, feed: Oracle | None) -> None:
        self.values, self.feed = {}, feed or {}

    def __call__(self, index: int) -> None:
        for _, t in self._layers[index].tensors:
            self.values[t] = self._read(self._offset(t), self._plan.graph.tensors[t].bytes)
        if self.feed and self._straight and index + 1 < len(self._layers):
            for t in self._layers[index + 1].node.inputs:
                self._put(t)

    def _put(self, t: int) -> None:
        if t == ABSENT or self._plan.offsets[t] is None or t not in self.feed:
            return
        data = np.ascontiguousarray(self.feed[t]).tobytes()
        if len(data) == self._plan.graph.tensors[t].bytes:
            self._write(self._offset(t), data)

    def _offset(self, t: int) -> int:
        offset = self._plan.offsets[t]
        assert offset is not None
        return offset


class HostTrace(HostModel):
    """The host build of the generated `files` (of prefix "model"), with its layer marks."""

    def __init__(self, files: Mapping[str, str], plan: Plan):
        hook = render_file("layer_hook.c.j2", prefix="model", version=__version__)
        marked = {name: f"#define MODEL_PROFILE\n{text}" if name == "model.c" else text for name, text in files.items()}
        marked["model_layer_hook.c"] = "#define MODEL_PROFILE\n" + hook
        super().__init__(host_library(marked), plan)
        self._recorder = Recorder(
            plan,
            lambda offset, size: ctypes.string_at(self._arena + offset, size),
            lambda offset, data: ctypes.memmove(self._arena + offset, data, len(data)),
        )
        self._mark = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._recorder)  # kept: C has its address
        self._library.model_on_layer(self._mark)

    def trace(self, inputs: Sequence[bytes], feed: Oracle | None = None) -> Values:
        """What every layer wrote in one inference; with `feed`, each layer is given its inputs from there."""
        self._recorder.start(feed)
        self.run(inputs)
        return self._recorder.values


class BoardTrace:
    """The same on the virtual board; `image` is the profiled build. A context manager."""

    def __init__(self, image: Image, plan: Plan):
        self._link = link = VirtualBoard(image.elf, image.board, count=False)
        if "arena" not in link.program.symbols:
            raise LinkError(f"The firmware {image.elf} does not say where its arena is.", "", "Build it again.")
        arena = link.program.symbols["arena"]
        self._recorder = Recorder(
            plan, lambda offset, size: link.peek(arena + offset, size), lambda offset, data: link.poke(arena + offset, data)
        )
        link.on_call("model_layer_done", self._recorder)
        self._session = Session(link)
        self._session.identify(plan.graph.sha256)

    def trace(self, inputs: Sequence[bytes], feed: Oracle | None = None) -> Values:
        """As HostTrace.trace."""
        self._recorder.start(feed)
        self._session.load_input(*inputs)
        self._session.infer(1)
        return self._recorder.values

    def close(self) -> None:
        self._link.close()

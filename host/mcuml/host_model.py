"""The generated C in a shared library of this computer, called in this process: thousands of samples in seconds."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from mcuml.errors import LinkError
from mcuml.plan import Plan
from mcuml.render import ARENA_ALIGN


class HostModel:
    """model_init, model_input, model_invoke and model_output of the library at `path`, with an arena of its own."""

    def __init__(self, path: Path, plan: Plan):
        graph = plan.graph
        self._inputs = [graph.tensors[t].bytes for t in graph.inputs]
        self._outputs = [graph.tensors[t].bytes for t in graph.outputs]
        self._library = ctypes.CDLL(str(path))
        for name in ("model_input", "model_output"):
            function = getattr(self._library, name)
            function.restype, function.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int)
        for name in ("model_init", "model_invoke"):
            getattr(self._library, name).argtypes = (ctypes.c_void_p,)
        self._memory = ctypes.create_string_buffer(plan.arena_bytes + ARENA_ALIGN)
        self._arena = -(-ctypes.addressof(self._memory) // ARENA_ALIGN) * ARENA_ALIGN

    def run(self, inputs: Sequence[bytes]) -> list[bytes]:
        """The outputs' bytes for one sample, from cleared state. Raises LinkError when model_invoke reports an error."""
        self._library.model_init(self._arena)
        for index, (size, data) in enumerate(zip(self._inputs, inputs, strict=True)):
            if len(data) != size:
                raise LinkError(f"Input {index} takes {size} bytes; given were {len(data)}.")
            ctypes.memmove(self._library.model_input(self._arena, index), data, size)
        status = self._library.model_invoke(self._arena)
        if status:
            raise LinkError(f"The host build's model_invoke returned {status}.", "", "Please report this with the model.")
        return [ctypes.string_at(self._library.model_output(self._arena, n), size) for n, size in enumerate(self._outputs)]

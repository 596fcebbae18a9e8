"""TFLite Micro's values of every tensor, asked in a process of its own that serves many models and is replaced when it dies."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

ARENA_BYTES = 1 << 21
SECONDS = 20
Values = list[dict[int, np.ndarray]]  # of each sample: tensor number in the file -> values


class Refused(Exception):
    """TFLite Micro does not take the model, or dies on it; the text is its own."""


class Oracle:
    """One worker. `ask` may be called any number of times; use as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mcuml-fuzz-")
        self._log = Path(self._folder.name) / "log"
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(self._log)), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()
        self._folder.cleanup()

    def ask(self, model: bytes, samples: Sequence[Sequence[np.ndarray]], tensors: Sequence[int]) -> Values:
        """The values of `tensors` after each sample. Raises Refused."""
        try:
            self._pipe.send((model, samples, tensors))
            if not self._pipe.poll(SECONDS):
                raise EOFError
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.terminate()
            self._process.join()
            code = self._process.exitcode
            self._start()
            raise Refused(f"its process died ({code})") from None
        if isinstance(answer, str):
            raise Refused(answer)
        return answer


def _serve(pipe: Connection, log: str) -> None:
    chatter = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(chatter, 2)
    sys.stdout = sys.stderr
    from tflite_micro.python.tflite_micro import runtime

    while True:
        try:
            model, samples, tensors = pipe.recv()
        except EOFError:
            return
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        try:
            pipe.send(_values(runtime, model, samples, tensors))
        except RuntimeError as error:
            said = Path(log).read_text("utf-8", "replace").strip().splitlines()
            pipe.send(" / ".join(said[-2:]) or str(error))


def _values(runtime: object, model: bytes, samples: Sequence[Sequence[np.ndarray]], tensors: Sequence[int]) -> Values:
    config = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES, intrepreter_config=config)
    found = []
    for sample in samples:
        for i, value in enumerate(sample):
            interpreter.set_input(value, i)
        interpreter.invoke()
        found.append({t: np.array(interpreter.GetTensor(t, 0)["tensor_data"]) for t in tensors})
    return found

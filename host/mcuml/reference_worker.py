"""The oracle's own process: an npz request on stdin, an npz reply on stdout, chatter to a log file. reference.py runs it."""

from __future__ import annotations

import io
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_ARENAS = tuple(1 << bits for bits in (22, 25, 28, 30))  # 4 MB to 1 GB


class Refused(Exception):
    """The interpreter does not take this model; the text is its own."""


class Log:
    """The file that this process's stderr goes to: C++ code writes there, and its last words are passed on."""

    def __init__(self, path: Path):
        self._path = path

    def text(self) -> str:
        """Everything written so far."""
        return self._path.read_bytes().decode("utf-8", "replace")

    def last(self) -> str:
        """The last three lines, as one."""
        return " / ".join(self.text().strip().splitlines()[-3:])


def _tflm(model: bytes, keep: bool, log: Log) -> Any:
    """TFLM's interpreter with an arena that is big enough. Raises Refused."""
    from tflite_micro import runtime

    config = runtime.InterpreterConfig.kPreserveAllTensors if keep else runtime.InterpreterConfig.kAllocationRecording
    for arena in _ARENAS:
        before = len(log.text())
        try:
            return runtime.Interpreter.from_bytes(model, arena_size=arena, intrepreter_config=config)
        except RuntimeError as error:
            said = log.text()[before:]
            if "allocate" not in said.lower() and "too small" not in said.lower():
                raise Refused(log.last() or str(error)) from None
    raise Refused(f"it needs an arena of more than {_ARENAS[-1]} bytes. {log.last()}")


def ask_tflm(request: dict[str, np.ndarray], log: Log) -> dict[str, np.ndarray]:
    """The reply of TFLite Micro."""
    wanted = request.get("tensors")
    interpreter = _tflm(request["model"].tobytes(), wanted is not None, log)
    if "arena" in request:
        return _arena(interpreter, log)
    inputs = [request[f"input_{i}"] for i in range(sum(k.startswith("input_") for k in request))]
    outputs: list[list[np.ndarray]] = []
    kept: list[list[np.ndarray]] = []
    for n in range(len(inputs[0])):
        if "anew" not in request:
            interpreter.reset()  # of variable tensors
        elif n:
            interpreter = _tflm(request["model"].tobytes(), wanted is not None, log)
        for i, stack in enumerate(inputs):
            interpreter.set_input(stack[n], i)
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise Refused(log.last() or str(error)) from None
        if wanted is None:
            outputs.append([np.array(interpreter.get_output(i)) for i in range(int(request["outputs"]))])
        else:
            kept.append([np.array(interpreter.GetTensor(int(t), 0)["tensor_data"]) for t in wanted])
    reply = {"oracle": np.array(f"TFLite Micro {metadata.version('tflite-micro')}")}
    if wanted is not None:
        return reply | _stacked(wanted, kept)
    return reply | {f"output_{i}": np.stack([row[i] for row in outputs]) for i in range(len(outputs[0]))}


def _arena(interpreter: Any, log: Log) -> dict[str, np.ndarray]:
    """How many bytes of its arena the interpreter took: it prints that."""
    interpreter.print_allocations()
    told = re.findall(r"Arena allocation total (\d+) bytes", log.text())
    if not told:
        raise Refused("it does not tell what it took of its arena.")
    return {"arena": np.array(int(told[-1]))}


def ask_litert(request: dict[str, np.ndarray], log: Log) -> dict[str, np.ndarray]:
    """The reply of LiteRT's interpreter with its reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    wanted = request.get("tensors")

    def anew() -> Any:
        made = Interpreter(
            model_content=request["model"].tobytes(),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=wanted is not None,
        )
        made.allocate_tensors()
        return made

    try:
        interpreter = anew()
        places = [d["index"] for d in interpreter.get_input_details()]
        results = [d["index"] for d in interpreter.get_output_details()]
        outputs, kept = [], []
        for n in range(len(request["input_0"])):
            if "anew" not in request:
                interpreter.reset_all_variables()
            elif n:
                interpreter = anew()
            for i, place in enumerate(places):
                interpreter.set_tensor(place, request[f"input_{i}"][n])
            interpreter.invoke()
            if wanted is None:
                outputs.append([interpreter.get_tensor(place) for place in results])
            else:
                kept.append([interpreter.get_tensor(int(t)) for t in wanted])
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from None
    reply = {"oracle": np.array(f"LiteRT {metadata.version('ai-edge-litert')}, reference kernels")}
    if wanted is not None:
        return reply | _stacked(wanted, kept)
    return reply | {f"output_{i}": np.stack([row[i] for row in outputs]) for i in range(len(results))}


def _stacked(wanted: np.ndarray, kept: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Every tensor over all samples: (samples, *shape)."""
    return {f"tensor_{t}": np.stack([row[i] for row in kept]) for i, t in enumerate(wanted)}


def main(engine: str, log: Log, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer one request. An interpreter that is missing or refuses becomes an "error" entry, never a traceback."""
    with np.load(io.BytesIO(stdin.read()), allow_pickle=False) as loaded:
        request = dict(loaded)
    try:
        reply = {"tflm": ask_tflm, "litert": ask_litert}[engine](request, log)
    except ImportError as error:
        reply = {"error": np.array(str(error)), "missing": np.array(True)}
    except Refused as error:
        reply = {"error": np.array(str(error))}
    packed = io.BytesIO()
    arrays: dict[str, Any] = reply  # some NumPy's type of savez has no room for keywords of arrays
    np.savez(packed, **arrays)
    stdout.write(packed.getvalue())
    stdout.flush()


if __name__ == "__main__":
    # Libraries print what they like to stdout: keep the pipe for the reply alone.
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.argv[1], Log(Path(sys.argv[2])), sys.stdin.buffer, pipe)

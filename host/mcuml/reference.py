"""The oracle: what TensorFlow's own interpreters answer, asked in a process of its own.

TFLite Micro's host interpreter is asked first; models that it refuses (hybrid ones: float activations, int8 weights), or whose
outputs it leaves to chance, go to LiteRT's interpreter with its reference kernels. Either may kill its process on a bad model,
so neither is loaded into this one.
"""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcuml import tflite
from mcuml.errors import CheckError, ModelError, RequestError
from mcuml.ops.signal_fft import Energy

_ENGINES = {"tflm": "TFLite Micro", "litert": "LiteRT reference kernels"}
_INSTALL = 'Install it: pip install "mcuml[verify]"'


@dataclass(frozen=True)
class Answer:
    """What the oracle said: `oracle` is its name and version; `samples` holds, per sample, the model's outputs in order."""

    oracle: str
    samples: list[list[np.ndarray]]


def oracle() -> Callable[[Path, list[list[np.ndarray]]], tuple[str, list[list[np.ndarray]]]] | None:
    """The oracle as bench.bench() takes it; None where neither of its interpreters is installed."""
    return asked if any(importlib.util.find_spec(name) for name in ("tflite_micro", "ai_edge_litert")) else None


def asked(model: Path, inputs: list[list[np.ndarray]]) -> tuple[str, list[list[np.ndarray]]]:
    """(name and version of the oracle, its outputs) of ask(): at the module's top, so that worker processes can be given it."""
    answer = ask(model, inputs)
    return answer.oracle, answer.samples


def run(model: Path | bytes, inputs: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    """The model's outputs for each sample; see `ask`."""
    return ask(model, inputs).samples


def ask(
    model: Path | bytes, inputs: Sequence[Sequence[np.ndarray]], timeout_s: float | None = None, engine: str = "auto"
) -> Answer:
    """Run `model` (a path or a file's bytes) on every sample of `inputs`, each a list with one array per model input.

    `engine` is "tflm", "litert" or "auto" (TFLM, and LiteRT where TFLM is missing, refuses or is not defined). `timeout_s`
    limits each engine; None means a minute plus a tenth of a second per sample. Raises RequestError for inputs of the wrong
    number, shape or dtype and when no interpreter is installed; ModelError when the model is refused; CheckError when the time
    is up."""
    data, raw = _model(model)
    if not inputs:
        return Answer("", [])
    for number, sample in enumerate(inputs):
        _check(raw, sample, number)
    request = {f"input_{i}": np.stack([sample[i] for sample in inputs]) for i in range(len(raw.inputs))}
    request |= {"outputs": np.array(len(raw.outputs)), **_anew(raw)}
    limit = timeout_s if timeout_s is not None else 60 + 0.1 * len(inputs)
    reply = _ask(raw, data, request, limit, engine)
    stacks = [reply[f"output_{i}"] for i in range(len(raw.outputs))]
    return Answer(str(reply["oracle"]), [[stack[n] for stack in stacks] for n in range(len(inputs))])


def all_tensors(
    model: Path | bytes, sample: Sequence[np.ndarray], timeout_s: float = 60, engine: str = "auto"
) -> dict[int, np.ndarray]:
    """Every tensor that an operator writes, and the inputs, after one run on `sample`: tensor number in the file -> values.

    Raises as `ask` does."""
    return traces(model, [sample], timeout_s, engine)[1][0]


def traces(
    model: Path | bytes, inputs: Sequence[Sequence[np.ndarray]], timeout_s: float | None = None, engine: str = "auto"
) -> tuple[str, list[dict[int, np.ndarray]]]:
    """The oracle's name and version, and what `all_tensors` tells of each sample, each from the state that the model starts
    with. Where no interpreter can keep all tensors, only the outputs are told. Raises as `ask` does."""
    data, raw = _model(model)
    for number, sample in enumerate(inputs):
        _check(raw, sample, number)
    written = {t for op in raw.operators for t in op.outputs if raw.tensors[t].dtype != "resource"}
    wanted = sorted({*raw.inputs, *written})
    request = {f"input_{i}": np.stack([sample[i] for sample in inputs]) for i in range(len(raw.inputs))}
    request |= {"tensors": np.array(wanted, np.int64), **_anew(raw)}
    try:
        reply = _ask(raw, data, request, timeout_s if timeout_s is not None else 60 + len(inputs), engine)
    except ModelError:  # TFLM's interpreter that keeps all tensors dies of models with variables
        answer = ask(data, inputs, timeout_s, engine)
        return answer.oracle, [dict(zip(raw.outputs, outputs, strict=True)) for outputs in answer.samples]
    shapes = {t: raw.tensors[t].shape for t in wanted}
    told = [{t: reply[f"tensor_{t}"][n].reshape(shapes[t]) for t in wanted} for n in range(len(inputs))]
    return str(reply["oracle"]), [_written(raw, values) for values in told]


def arena_bytes(model: Path | bytes) -> int | None:
    """The bytes that this computer's TFLite Micro takes of its arena for `model`; None where it is not installed, refuses the
    model or takes over a minute. A board takes less for pointers of 32 bits, and more where its kernels want scratch memory."""
    data, raw = _model(model)
    try:
        reply = _spawn(raw.name, "tflm", {"arena": np.array(True), "model": np.frombuffer(data, np.uint8)}, 60)
    except CheckError:
        return None
    return int(reply["arena"]) if "arena" in reply else None


def _written(raw: tflite.RawModel, values: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """`values` without what TFLite Micro did not write but found in its memory: frames that are not full yet are left out, and
    energies outside of SignalEnergy's range are 0, as in mcuml."""
    for op in raw.operators:
        if op.custom in ("SignalFramer", "SignalStacker") and not values[op.outputs[1]]:
            del values[op.outputs[0]]
        if op.custom == "SignalEnergy":
            ends, energy = Energy.parse(op.key, op.options).options, values[op.outputs[0]]
            at = np.arange(energy.size)
            values[op.outputs[0]] = energy * ((ends.get("start_index", 0) <= at) & (at < ends.get("end_index", 0)))
    return values


def _anew(raw: tflite.RawModel) -> dict[str, np.ndarray]:
    """Each sample starts from the state that the model starts with. No interpreter's reset brings a CALL_ONCE again, nor
    LiteRT's the variables that have a handle: such models get a fresh interpreter each time."""
    stateful = any(op.code in ("CALL_ONCE", "VAR_HANDLE") for op in raw.operators)
    return {"anew": np.array(True)} if stateful else {}


def _model(model: Path | bytes) -> tuple[bytes, tflite.RawModel]:
    """The model's bytes, checked by the importer: a malformed file must not reach an interpreter that trusts it."""
    data = model if isinstance(model, bytes) else tflite.file_bytes(Path(model))
    return data, tflite.read(data, "model" if isinstance(model, bytes) else str(model))


def _check(raw: tflite.RawModel, sample: Sequence[np.ndarray], number: int) -> None:
    """Raise RequestError unless `sample` has one array of the right dtype and shape for each of the model's inputs."""
    if len(sample) != len(raw.inputs):
        raise RequestError(f"Sample {number} has {len(sample)} arrays, but '{raw.name}' has {len(raw.inputs)} inputs.")
    for t, array in zip(raw.inputs, sample, strict=True):
        tensor, found = raw.tensors[t], np.asarray(array)
        if found.shape != tensor.shape or found.dtype != np.dtype(tensor.dtype):
            raise RequestError(
                f"Sample {number} does not fit input '{tensor.name}' of '{raw.name}'.",
                f"The model takes {tensor.dtype}{list(tensor.shape)}, the sample is {found.dtype}{list(found.shape)}.",
            )


def _ask(raw: tflite.RawModel, data: bytes, request: dict[str, np.ndarray], limit: float, engine: str) -> dict[str, np.ndarray]:
    """The first engine's reply that is not a refusal."""
    refusals, missing = [], 0
    for name in (engine,) if engine != "auto" else ("litert",) if _chance(raw) else _ENGINES:
        reply = _spawn(raw.name, name, {**request, "model": np.frombuffer(data, np.uint8)}, limit)
        if "error" not in reply:
            return reply
        missing += "missing" in reply
        refusals.append(f"{_ENGINES[name]}: {reply['error']}")
    if missing == len(refusals):
        raise RequestError(
            "The reference interpreter is not installed, so nothing can be verified.", "\n".join(refusals), _INSTALL
        )
    raise ModelError(f"No reference interpreter runs '{raw.name}'.", "\n".join(refusals), _INSTALL if missing else "")


def _chance(raw: tflite.RawModel) -> bool:
    """SPACE_TO_BATCH_ND with paddings: TFLM's kernel fills them with a field of its parameters that it never sets."""
    padded = [
        raw.tensors[op.inputs[2]].data
        for op in raw.operators
        if op.code == "SPACE_TO_BATCH_ND" and min(op.inputs[2:], default=-1) >= 0
    ]
    return any(np.any(data) for data in padded if data is not None) or any(map(_chance, raw.others))


def _spawn(model: str, engine: str, request: dict[str, np.ndarray], limit: float) -> dict[str, np.ndarray]:
    """One request to a fresh process. A process that dies becomes an "error" reply; raises CheckError when the time is up."""
    packed = io.BytesIO()
    arrays: dict[str, Any] = dict(request)  # some NumPy's type of savez has no room for keywords of arrays
    np.savez(packed, **arrays)
    package = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="mcuml-oracle-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as chatter:
            command = [sys.executable, "-m", "mcuml.reference_worker", engine, str(log)]
            environment = {**os.environ, "PYTHONPATH": path}
            try:
                done = subprocess.run(
                    command, input=packed.getvalue(), stdout=subprocess.PIPE, stderr=chatter, timeout=limit, env=environment
                )
            except subprocess.TimeoutExpired:
                raise CheckError(
                    f"{_ENGINES[engine]} did not finish '{model}' within {limit:g} s.", "", "Ask for fewer samples."
                ) from None
        try:
            with np.load(io.BytesIO(done.stdout), allow_pickle=False) as reply:
                return dict(reply)
        except Exception:  # whatever a dying process left on the pipe is not a reply
            last = " / ".join(log.read_text("utf-8", "replace").strip().splitlines()[-3:])
            return {"error": np.array(f"its process ended with status {done.returncode}. {last}")}

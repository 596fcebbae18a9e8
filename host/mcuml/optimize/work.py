"""What a worker process does: one step of a recipe, or the account of one exported model, from files to files."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mcuml.bench import Oracle
from mcuml.errors import CheckError, ModelError, RequestError, UserError
from mcuml.optimize import accounting, data, frameworks, sources
from mcuml.optimize.accounting import Account
from mcuml.optimize.data import Data
from mcuml.optimize.steps import EXPORTED, Context, Step


@dataclass(frozen=True)
class Shared:
    """What all work of a run has in common. `data`, `pixels`: as data.load() takes them. `shape`: of one input sample.
    `boards`: hash of the boards' files."""

    data: str
    pixels: str
    shape: tuple[int, ...]
    classes: int
    data_sha256: str
    batch: int
    boards: str = ""


@dataclass(frozen=True)
class Stage:
    """One step on one model. `source`: the file it takes; `target`: the file it writes, .keras, .h5 or .tflite; `teacher`: the
    baseline's file. `traits`: what the steps before it left in the model. `label`: for people."""

    key: str
    label: str
    step: Step
    seed: int
    source: Path
    target: Path
    teacher: Path
    traits: frozenset[str]


@dataclass(frozen=True)
class Accounting:
    """The account of one exported file: on `boards`, which may be none: then sizes and accuracy alone. `oracle`: a function of
    a module's top, None where it is not installed."""

    key: str
    label: str
    source: Path
    boards: tuple[str, ...]
    objective: str
    oracle: Oracle | None


@dataclass(frozen=True)
class Opened:
    """A model file, read. `root`: where recipes start from. `shape`: of one input sample. `classes`: outputs."""

    root: Path
    sha256: str
    shape: tuple[int, ...]
    classes: int


_threads = 1
_report: Callable[[tuple[str, str, float]], None] = lambda _: None  # noqa: E731


def begin(report: Any, threads: int, log: Path) -> None:
    """Runs once in each worker. `report`: a queue that takes (key, sentence, share done). What TensorFlow says goes to the file
    `log`. Ctrl-C is the parent's to handle."""
    global _report, _threads
    words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(words, 1)
    os.dup2(words, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # a second device would not give the same bytes
    _report = report.put
    _threads = threads
    with contextlib.suppress(UserError):  # what is missing is told by the first work that needs it
        frameworks.limit_threads(threads)


def open_model(path: Path, folder: Path, versions: str) -> Opened:
    """Read the model at `path` and write it into `folder`, under a name made of its content and `versions`."""
    sha = sources.sha256(path)
    root = folder / f"{sha[:20]}-{versions}.keras"
    model = sources.load(path)
    if not root.is_file():
        save(model, root)
    return Opened(root, sha, tuple(model.input_shape[1:]), int(model.output_shape[-1]))


def do(work: Stage | Accounting, shared: Shared) -> Account | None:
    """Do it. Raises UserError, which names the step; never another error: those are told as one."""
    _report((work.key, work.label, 0.0))
    try:
        if isinstance(work, Accounting):
            return _account(work, shared)
        _step(work, shared)
        return None
    except UserError:
        raise
    except MemoryError as error:
        raise RequestError(f"{work.label}: out of memory.", "", "Take fewer samples, a smaller batch or --jobs 1.") from error
    except Exception as error:
        words = " ".join(str(error).split())
        raise CheckError(
            f"{work.label} failed.", f"{type(error).__name__}: {words[:300]}", "Leave this step out, or report it."
        ) from error


def _step(work: Stage, shared: Shared) -> None:
    context = Context(
        data=_data(shared), seed=work.seed, traits=work.traits, batch=shared.batch,
        teacher=lambda: read(work.teacher), progress=lambda text, share: _report((work.key, text, share)),
    )  # fmt: skip
    frameworks.keras().backend.clear_session()
    frameworks.seed_everything(work.seed)
    model = read(work.source)
    if EXPORTED in work.step.gives:
        content = work.step.convert(model, context)
        _write(work.target, lambda path: path.write_bytes(content))
    else:
        save(work.step.apply(model, context), work.target)


def _account(work: Accounting, shared: Shared) -> Account:
    name, _, _ = work.label.rpartition(":")
    content = work.source.read_bytes()
    try:
        return accounting.account(content, name, _data(shared), work.boards, work.objective, work.oracle, threads=_threads)
    except ModelError as error:
        where = f"The file is {work.source}; if something damaged it, remove it: it is made anew."
        raise ModelError(error.what, "\n".join(filter(None, (error.evidence, where))), error.try_next) from error


@lru_cache(maxsize=1)
def _data(shared: Shared) -> Data:
    found = data.load(shared.data, shared.shape, shared.classes, shared.pixels)
    if found.sha256 != shared.data_sha256:
        raise CheckError(
            f"{shared.data} gave other data the second time.", "", "Make it the same on every call: seed what is random."
        )
    return found


def paper_bytes(source: Path) -> int:
    """Bytes of the model at `source` as an .h5 file with Adam's state, as the paper's baseline was saved."""
    keras = frameworks.keras()
    model = read(source)
    optimizer = keras.optimizers.legacy.Adam()
    model.compile(optimizer=optimizer, loss="mse")
    optimizer._create_all_weights(model.trainable_variables)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        model.save(path)
        return path.stat().st_size


def read(path: Path) -> Any:
    """The tf_keras model in a file that save() wrote. Raises RequestError for one that is damaged."""
    try:
        with frameworks.tfmot().quantization.keras.quantize_scope():
            return frameworks.keras().models.load_model(path, compile=False)
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{path} is damaged.", f"{type(error).__name__}: {error}", "Remove it and run again: it is made anew."
        ) from error


def save(model: Any, path: Path) -> None:
    """Write `model` whole or not at all, without an optimizer's state. Raises RequestError naming path and cause."""
    with frameworks.tfmot().quantization.keras.quantize_scope():
        bare = frameworks.keras().models.clone_model(model)
    bare.set_weights(model.get_weights())
    form = "h5" if path.suffix == ".h5" else "keras"
    _write(path, lambda temporary: bare.save(temporary, save_format=form))


def temporaries(folder: Path, pid: int | None) -> list[Path]:
    """Files that the process `pid` was writing in `folder`."""
    return list(folder.glob(f".{pid}-*"))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        raise RequestError(
            f"Cannot write {path}.", error.strerror or str(error), "Free some space, or choose another -o."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)

"""The Result of a run: the JSON that `mcuml bench --json` writes, as frozen values with fixed keys.

Keys may be added, never renamed. What was not asked for or not known is absent from the JSON, never null or zero.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcuml.errors import RequestError

SCHEMA = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")  # JSON has no NaN, and null means absent


class ModelPart(_Part):
    """The model file. `macs` multiply-accumulates per inference."""

    name: str
    sha256: str
    bytes: int
    macs: int
    scheme: str


class BoardPart(_Part):
    name: str
    core: str
    clock_hz: int


class Wall(_Part):
    """The same inferences by the device's own time and by the host's clock, in seconds; discrepancy = device / host - 1."""

    device_s: float
    host_s: float
    discrepancy: float


class Latency(_Part):
    """`cycles` of one model_invoke (median over `runs`), `ms` at the board's clock. `kind` says whether a board's own
    counter gave them or a simulator's cycle model. `board_cycles` are with the flash's wait states, where they are modelled;
    `ms` then follows from them. `error`: how far an estimate was from what boards need (docs/CYCLES.md). Of a device on a serial
    port: `p99_cycles` by nearest rank, `spread` = (slowest - fastest) / median, `warmups` that are not among the runs."""

    kind: Literal["measured", "estimated"]
    cycles: int
    ms: float
    runs: list[int]
    method: str
    board_cycles: int | None = None
    error: str | None = None
    p99_cycles: int | None = None
    spread: float | None = None
    warmups: int | None = None
    wall: Wall | None = None


class DevicePart(_Part):
    """A device on a serial port, by what it says of itself: the folder of `firmware`/ports, its `build`, the `mcuml` that made
    it, what counts its cycles; `simulated` is there where it is no board."""

    port: str
    usb: str | None = None
    firmware: str
    build: str
    mcuml: str
    counter: str
    simulated: bool | None = None


class Instructions(_Part):
    """Instructions of one model_invoke (median over `runs`) from a simulator that counts these; they are no latency."""

    count: int
    runs: list[int]
    method: str


class Memory(_Part):
    """Bytes: sizes from the linked ELF, arena from the plan, stack from a high-water mark. flash = code + weights, which
    are absent where nothing in the ELF tells them apart."""

    flash_bytes: int
    code_bytes: int | None = None
    weights_bytes: int | None = None
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int | None = None


class Layer(_Part):
    """One layer of the generated code; `index` counts those, `operator` is the place in the model file."""

    index: int
    name: str
    op: str
    macs: int
    cycles: int | None = None
    share: float | None = None
    shape: list[int] | None = None
    operator: int | None = None


class Difference(_Part):
    """Where a board's output first departs from the oracle's."""

    sample: int
    output: int
    element: int
    got: float
    expected: float


class Verify(_Part):
    """Outputs on the board against `oracle`'s: `matching` of `samples` agree, bit for bit or (floats) within `tolerance`
    relative to max(1, |expected|). `max_abs_diff` is in the outputs' own units, quantized steps for integers. `host_*`
    count the samples that ran only on the host build of the same C."""

    oracle: str
    samples: int
    max_abs_diff: float
    identical: bool
    matching: int
    tolerance: float | None = None
    host_samples: int | None = None
    host_matching: int | None = None
    first_difference: Difference | None = None

    @property
    def passed(self) -> bool:
        return self.matching == self.samples and self.host_matching == self.host_samples


class Accuracy(_Part):
    """`samples` in all, of which `board_samples` ran on the board and the rest on a host build of the same C."""

    dataset: str
    samples: int
    metric: str
    value: float
    host_samples: int | None = None
    board_samples: int | None = None
    oracle_value: float | None = None


class Energy(_Part):
    kind: Literal["measured", "estimated"]
    uj: float
    source: str


class AnchorPart(_Part):
    """What another system needs for this model. `ratio` = this result's cycles / the anchor's: below 1 is faster;
    with the flash's waits, where they are known, beside an anchor that was measured."""

    system: str
    cycles_per_mac: float
    ratio: float
    kind: Literal["measured", "estimated"] | None = None
    cycles: int | None = None
    arena_bytes: int | None = None
    source: str | None = None


class Result(_Part):
    """`optimize`: what the kernels were chosen by: balanced, speed, size or ram. `warnings`: sentences about figures that are
    not to be trusted."""

    schema_: int = Field(SCHEMA, alias="schema")
    mcuml: str
    when: str
    command: list[str]
    model: ModelPart
    board: BoardPart
    runtime: Literal["aot", "tflm"] = "aot"
    optimize: str | None = None
    link: Literal["virtual", "qemu", "renode", "serial"]
    device: DevicePart | None = None
    latency: Latency | None = None
    instructions: Instructions | None = None
    memory: Memory | None = None
    layers: list[Layer] | None = None
    verify: Verify | None = None
    accuracy: Accuracy | None = None
    energy: Energy | None = None
    toolchain: dict[str, Any] | None = None
    anchors: list[AnchorPart] | None = None
    warnings: list[str] | None = None

    @property
    def cycles_per_mac(self) -> float | None:
        return self.latency.cycles / self.model.macs if self.latency and self.model.macs else None


def to_json(result: Result) -> str:
    """The result as JSON text with DESIGN's keys; what is None is left out."""
    return result.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n"


def from_json(text: str, name: str = "the result") -> Result:
    """The inverse of to_json. Raises RequestError naming the key that is missing, unknown or of the wrong type."""
    try:
        return Result.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RequestError(
            f"{name} is not a mcuml result.", f"{where}: {first['msg']}.", "Write one with: mcuml bench MODEL --json FILE"
        ) from error


def load(path: Path) -> Result:
    """The Result in the file at `path`. Raises RequestError: it cannot be read, or is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"Cannot read {path}.", f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}",
            "Write one with: mcuml bench MODEL --json FILE",
        ) from error  # fmt: skip
    return from_json(text, str(path))


def check_place(path: Path) -> None:
    """Raise RequestError where save() could not write `path`, before the work whose result it would be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "It is a folder")
        if _is_device(path):
            return
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _unwritable(path, error) from error


def save(text: str, path: Path) -> None:
    """Write `text` to `path` whole or not at all; to what is no regular file (a pipe, a device) as it comes.
    Raises RequestError naming path and cause."""
    temporary: str | None = None
    try:
        if _is_device(path):
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _is_device(path: Path) -> bool:
    """Whether it is there and is neither file nor folder: replacing it by a file would not do."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _unwritable(path: Path, error: OSError) -> RequestError:
    cause = f"{type(error).__name__}: {error.strerror or error}"
    return RequestError(f"Cannot write {path}.", cause, "Choose another place, or free some space.")

"""Frozen Board, read from boards/<name>.toml by a strict loader: an unknown key is an error that names file and key."""

from __future__ import annotations

import difflib
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcuml import assets
from mcuml.cores import CORES, Core
from mcuml.errors import RequestError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Bytes = Annotated[int, Field(ge=0)]
LARGEST_BYTES = 1 << 20  # of a board's file; ours have 3 KB


def _plain(text: str) -> str:
    if not text.isprintable() or "*/" in text:  # it is written into comments of C and of PlatformIO's files
        raise ValueError("it is one line of printable characters, without */")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_plain)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Cache(_Strict):
    """A cache in front of the flash. bytes, line_bytes: its size and its line; ways: associativity, the number of lines where
    a line may lie anywhere."""

    bytes: Annotated[int, Field(gt=0)]
    line_bytes: Annotated[int, Field(gt=0)]
    ways: Annotated[int, Field(gt=0)] = 1


class Memory(_Strict):
    """One memory region. origin: first address; size: bytes there; reserved: bytes at its front that are not the
    application's (a bootloader, a radio stack, a vector copy) for the reason in `reserved_for`."""

    origin: Bytes
    size: Annotated[int, Field(gt=0)]
    reserved: Bytes = 0
    reserved_for: str = ""

    @model_validator(mode="after")
    def _sane(self) -> Memory:
        if self.reserved >= self.size:
            raise ValueError(f"reserved ({self.reserved}) leaves nothing of {self.size} bytes")
        if self.reserved and not self.reserved_for:
            raise ValueError("reserved needs reserved_for: what takes these bytes")
        if self.origin + self.size > 1 << 32:
            raise ValueError("origin + size is beyond 32 bits")
        return self

    @property
    def app_origin(self) -> int:
        """First address of the application's share."""
        return self.origin + self.reserved

    @property
    def available(self) -> int:
        """Bytes of the application's share."""
        return self.size - self.reserved


class Flash(Memory):
    """Flash as the core sees it. wait_states: extra cycles of a read that misses the cache or prefetch buffer, at the
    board's clock; width_bits: what one read brings; prefetch: whether straight-line fetches hide the wait states; cache: that
    of instructions; data_cache: that of loads, none where each load goes to the flash."""

    wait_states: Annotated[int, Field(ge=0, le=64)] = 0
    width_bits: Literal[32, 64, 128, 256] = 32
    prefetch: bool = False
    cache: Cache | None = None
    data_cache: Cache | None = None


class PlatformIO(_Strict):
    """How PlatformIO knows the board; empty where it does not. platform: with the version that was looked at, or the address
    of its repository; frameworks: those with which mcuml makes firmware for it, the recommended first; each is also the
    name of the firmware's port."""

    platform: str = ""
    board: str = ""
    frameworks: tuple[Literal["arduino", "espidf", "stm32cube"], ...] = ()
    upload_protocol: str = ""
    flags: tuple[str, ...] = ()
    options: dict[str, str] = {}

    @model_validator(mode="after")
    def _whole(self) -> PlatformIO:
        if bool(self.frameworks) != bool(self.platform and self.board):
            raise ValueError("platform, board and frameworks go together")
        return self


class Usb(_Strict):
    """One USB identity of the board. role: what answers under it."""

    vid: Annotated[int, Field(ge=0, le=0xFFFF)]
    pid: Annotated[int, Field(ge=0, le=0xFFFF)]
    role: Literal["application", "bootloader", "probe", "bridge"] = "application"


class Serial(_Strict):
    """The port that the firmware talks on. reset: how the host resets the board; reappears: whether the port vanishes
    and comes back (perhaps under another name) on reset or upload."""

    baud: Annotated[int, Field(gt=0)] = 115200
    reset: Literal["none", "dtr", "dtr-rts", "touch-1200", "probe"] = "none"
    reappears: bool = False


class Uf2(_Strict):
    """A bootloader that shows itself as a drive, to which a .uf2 file is copied. volume: the drive's label, empty where it was
    not looked up; family: what the file must say it is for; enter: what a person does to get there."""

    volume: str = ""
    family: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
    enter: Text


class Energy(_Strict):
    """Supply voltage and current of the running core, from `source`."""

    volts: Annotated[float, Field(gt=0)]
    milliamps_active: Annotated[float, Field(gt=0)]
    source: Text


class Virtual(_Strict):
    """Served by mcuml's own virtual board, with the firmware's port of that name."""

    port: Text


class Qemu(_Strict):
    """Served by QEMU's `-machine <machine>` with further `options`, and by the firmware's port of that name."""

    machine: Text
    port: Text
    options: tuple[Text, ...] = ()


class Renode(_Strict):
    """Served by Renode with its platform description of that path, changed by `description` (in Renode's own language), and by
    the firmware's port of that name, which talks on the peripheral `uart`."""

    platform: Text
    port: Text
    uart: Text
    description: str = ""


class Simulators(_Strict):
    virtual: Virtual | None = None
    qemu: Qemu | None = None
    renode: Renode | None = None


def _speakable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):  # it is part of file names and of PlatformIO's section names
        raise ValueError("a board's name is made of letters, digits, _, . and -")
    return name


def _known_core(name: str) -> str:
    if name not in CORES:
        raise ValueError(f"core '{name}' is not one of {', '.join(CORES)}")
    return name


class Board(_Strict):
    """All that mcuml knows about a board. `verified` is the furthest that this file was tried: "rendered" (its
    PlatformIO project renders), "compiled" (firmware linked for it), "simulated" (ran on a simulator with the
    outputs of the oracle), "hardware" (ran on the board itself). `cycle_error`: how far latencies estimated for it were from
    measured ones (docs/CYCLES.md). `bare`: the firmware's port for the real board without any framework. `ports`: what the
    firmware's port of that name has to know about this board, as definitions (NAME=value) of the preprocessor."""

    name: Annotated[str, AfterValidator(_speakable)]
    title: Text
    vendor: Text
    mcu: Text
    core: Annotated[str, AfterValidator(_known_core)]
    clock_hz: Annotated[int, Field(gt=0)]
    flash: Flash
    ram: Memory
    platformio: PlatformIO = PlatformIO()
    usb: tuple[Usb, ...] = ()
    serial: Serial = Serial()
    uf2: Uf2 | None = None
    energy: Energy | None = None
    simulators: Simulators = Simulators()
    bare: str = ""
    ports: dict[str, tuple[Text, ...]] = {}
    verified: Literal["rendered", "compiled", "simulated", "hardware"] = "rendered"
    notes: str = ""
    cycle_error: Text = "never compared with a board of this kind"
    sources: Annotated[tuple[Text, ...], Field(min_length=1)]

    @property
    def cpu(self) -> Core:
        """The core's compiler flags and features."""
        return CORES[self.core]

    @property
    def flash_available(self) -> int:
        """Flash bytes for the application."""
        return self.flash.available

    @property
    def ram_available(self) -> int:
        """RAM bytes for the application: data, arena and stack."""
        return self.ram.available


def load(name_or_path: str | Path) -> Board:
    """The board of that name, or in that .toml file. Raises RequestError: no such board (with the nearest names), an
    unreadable file, an unknown or missing key, a value out of range."""
    text = str(name_or_path)
    if text.endswith(".toml"):
        return _read(Path(text))
    files = _files()
    if text not in files:
        near = difflib.get_close_matches(text.lower(), files, n=3, cutoff=0.5)
        raise RequestError(
            f"There is no board '{text}'.",
            f"Did you mean {' or '.join(near)}?" if near else f"The boards are {', '.join(files)}.",
            "List them with: mcuml boards",
        )
    return _read(files[text])


def names() -> list[str]:
    """The names of the boards that mcuml ships."""
    return list(_files())


def load_all() -> list[Board]:
    """Every board that mcuml ships, by name."""
    return [_read(path) for path in _files().values()]


def _files() -> dict[str, Path]:
    return {path.stem: path for path in sorted(assets.folder("boards").glob("*.toml"))}


@cache
def _read(path: Path) -> Board:
    try:
        # TOML arrays become tuples: the models are frozen all the way down.
        if path.stat().st_size > LARGEST_BYTES:
            raise RequestError(
                f"{path} is no board file.", f"It has {path.stat().st_size:,} bytes; one of {LARGEST_BYTES:,} would be large."
            )
        data = _tuples(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RequestError(f"Cannot read the board file {path}.", f"{type(error).__name__}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(
            f"The board file {path} is not TOML.", str(error), "Compare it with a board that `mcuml boards` lists."
        ) from error
    try:
        board = Board.model_validate(data)
    except ValidationError as error:
        raise RequestError(
            f"The board file {path} is not right.",
            "\n".join(f"{'.'.join(map(str, e['loc'])) or 'board'}: {_say(e)}" for e in error.errors()),
            "CONTRIBUTING.md tells what each key means.",
        ) from error
    if board.name != path.stem:
        raise RequestError(
            f"The board file {path} says name = '{board.name}'.",
            "A board's file bears its name.",
            f"Rename it to {board.name}.toml.",
        )
    return board


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _say(error: Any) -> str:
    return {"extra_forbidden": "no such key", "missing": "this key is missing"}.get(error["type"], error["msg"])

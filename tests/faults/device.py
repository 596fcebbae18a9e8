"""The real firmware with a real model, compiled for this computer and called in this process, on a serial line with a clock
of its own: limits of minutes pass at once and are the same on a busy computer."""

from __future__ import annotations

import _ctypes
import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from mcuml import bench, board, build, hostbuild, pipeline
from mcuml.build import Image
from mcuml.link.base import Clock, Link
from mcuml.link.virtual import VirtualBoard
from mcuml.plan import Plan
from mcuml.render import render_file

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DIGITS = ROOT / "examples" / "digits" / "digits_int8.tflite"
BOARD = "nano33ble"
BAUD = 115200
PACKET = 64  # bytes that one read brings at most, as of USB


class LineClock(Clock):
    """Seconds since the line's beginning; they pass when bytes do, or when someone waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += max(0.0, seconds)


@cache
def prepared(model: Path) -> Plan:
    return pipeline.prepare(model)


@cache
def library(model: Path = DIGITS) -> Path:
    """The firmware, profiled, with `model`, as a shared library."""
    chosen = board.load(ROOT / "boards" / f"{BOARD}.toml")
    files = bench.firmware_files(prepared(model), chosen)
    files["model.h"] = "#define MODEL_PROFILE\n" + files["model.h"]
    files["mcuml_build.h"] = render_file("mcuml_build.h.j2", version="0", port="host", build="0" * 16)
    firmware = ROOT / "firmware"
    sources = {p.name: p.read_text(encoding="utf-8") for p in sorted(firmware.glob("*.[ch]")) if p.name != "main.c"}
    port = (HERE / "port.c").read_text(encoding="utf-8")
    return hostbuild.host_library({**sources, **files, "port.c": port})


def image() -> Image:
    """The same firmware for the virtual board."""
    chosen = board.load(ROOT / "boards" / f"{BOARD}.toml")
    return build.build_firmware(bench.firmware_files(prepared(DIGITS), chosen), chosen, profile=True)


def sample(model: Path = DIGITS) -> tuple[bytes, ...]:
    """Inputs of the model, drawn."""
    rng, graph = np.random.default_rng(1), prepared(model).graph
    return tuple(rng.integers(0, 256, graph.tensors[t].bytes, dtype=np.uint8).tobytes() for t in graph.inputs)


class Hurried(Link):
    """A virtual board whose clock passes only while it waits: whatever it computes takes no time, and no wait takes any either.
    Opening it again resets the board."""

    kind = "estimated"

    def __init__(self, board: VirtualBoard):
        self._board, self.name, self.clock = board, board.name, LineClock()
        board.reset()

    def write(self, data: bytes) -> None:
        self._board.write(data)

    def read(self, timeout_s: float) -> bytes:
        data = self._board.read(60)
        if not data:
            self.clock.sleep(timeout_s)
        return data

    def reset(self) -> None:
        self._board.reset()

    def close(self) -> None:
        pass


class FirmwareDevice(Link):
    """The firmware in the library at `path`, started; its greeting is on the line. One at a time: the library's variables are
    the device's memory."""

    name = "host"
    kind = "estimated"

    def __init__(self, path: Path):
        self._path, self.clock = path, LineClock()
        self._library: ctypes.CDLL | None = None
        self._out = b""
        self.reset()

    def write(self, data: bytes) -> None:
        assert self._library is not None
        self.clock.sleep(len(data) * 10 / BAUD)
        restart = self._library.walk_feed(data, len(data))
        self._take()
        if restart:
            self.reset()

    def read(self, timeout_s: float) -> bytes:
        data, self._out = self._out[:PACKET], self._out[PACKET:]
        self.clock.sleep(len(data) * 10 / BAUD if data else timeout_s)
        return data

    def reset(self) -> None:
        self.close()
        self._out = b""
        self._library = ctypes.CDLL(str(self._path))
        self._library.walk_out.restype = ctypes.c_void_p
        self._library.walk_boot()
        self._take()

    def close(self) -> None:
        if self._library is not None:
            _ctypes.dlclose(self._library._handle)  # the next one begins with fresh variables, as after power-up
            self._library = None

    def _take(self) -> None:
        assert self._library is not None
        count = ctypes.c_uint32()
        at = self._library.walk_out(ctypes.byref(count))
        self._out += ctypes.string_at(at, count.value)

"""The firmware with the stub model, built for the host and for the virtual board, and links to both."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mcuml.cores import CORES
from mcuml.link.base import Link
from mcuml.render import render_file
from mcuml.run.firmware import config_header
from mcuml.run.suites import Suite

STUB = Path(__file__).parent / "stub_model"
FIRMWARE = Path(__file__).parents[1] / "firmware"
SHA256 = "5" * 64
BOARD: Any = SimpleNamespace(
    name="nano33ble", core="cortex-m4f", cpu=CORES["cortex-m4f"],
    flash=SimpleNamespace(origin=0, size=256 << 10), ram=SimpleNamespace(origin=0x20000000, size=64 << 10),
)  # fmt: skip
ZIG = (sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all")
STRICT = ("-std=c99", "-Os", "-Wall", "-Wextra", "-Werror", "-g")
TARGET = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4")


@cache
def build(
    port: str,
    fault: int = 0,
    profile: bool = True,
    compiler: tuple[str, ...] = (),
    suite: Suite | None = None,
    energy: bool = False,
) -> Path:
    """The firmware for `port` ("host" or "virtual"); `fault` as in stub_model/model.c. `compiler` instead of zig's. `suite`,
    `energy`: as config_header's."""
    folder = Path(tempfile.mkdtemp(prefix="mcuml-test-"))
    about = {"board": "stub", "vendor": "mcuml", "clock_hz": 64_000_000, "model_id": "stub01", "input_bytes": 16}
    header = config_header(**about, model_sha256=SHA256, suite=suite, energy=energy)  # type: ignore[arg-type]
    (folder / "mcuml_config.h").write_text(header)
    (folder / "mcuml_build.h").write_text(render_file("mcuml_build.h.j2", version="0", port=port, build="b" * 16))
    sources = [*sorted(FIRMWARE.glob("*.c")), FIRMWARE / "ports" / port / "port.c", STUB / "model.c"]
    flags: list[str] = []
    if port == "virtual":
        sources += [FIRMWARE / "freestanding" / "libc.c", STUB / "startup.c"]
        flags = [*TARGET, "-isystem", str(FIRMWARE / "freestanding"), "-nodefaultlibs", "-T", str(STUB / "link.ld")]
    defines = [f"-DSTUB_FAULT={fault}", *(["-DMODEL_PROFILE"] if profile else [])]
    out = folder / "firmware"
    done = subprocess.run(
        [*(compiler or ZIG), *STRICT, *flags, *defines, f"-I{folder}", f"-I{STUB}",
         *map(str, sources), "-o", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


class HostDevice(Link):
    """The host build of the firmware, as a process behind pipes."""

    name = "host"
    kind = "estimated"

    def __init__(self, program: Path):
        self._program = program
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen([str(self._program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        self._process.stdin.write(data)  # type: ignore[union-attr]

    def read(self, timeout_s: float) -> bytes:
        return os.read(self._process.stdout.fileno(), 65536) if self._selector.select(timeout_s) else b""  # type: ignore[union-attr]

    def reset(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()  # type: ignore[union-attr]
        self._process.wait(5)


def device(port: str, fault: int = 0, profile: bool = True, suite: Suite | None = None, energy: bool = False) -> Link:
    """A started device with its greeting read."""
    firmware = build(port, fault, profile, (), suite, energy)
    if port == "host":
        link: Link = HostDevice(firmware)
    else:
        from mcuml.link.virtual import VirtualBoard

        link = VirtualBoard(firmware, BOARD)
    greeting = replies(link, b"")
    assert greeting.endswith(b"m-init-done\r\nm-ready\r\n"), greeting
    return link


def replies(link: Link, request: bytes, count: int = 1, limit_s: float = 60) -> bytes:
    """All bytes that answer `request`, through the count-th m-ready."""
    link.write(request)
    heard, deadline = b"", time.monotonic() + limit_s
    while heard.count(b"m-ready\r\n") < count and time.monotonic() < deadline:
        heard += link.read(0.5)
    return heard

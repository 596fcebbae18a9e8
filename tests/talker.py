"""A board of Python behind a pseudo-terminal: it speaks the protocol, and restarts, babbles, vanishes or re-enumerates as told.

What is replaced is the board and its cable alone; pyserial, the link, the session and the command line are the real ones."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
import tty
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from mcuml.run import protocol

CLOCK_HZ = 64_000_000
GREETING = "m-timestamp-mode-performance\r\nm-lap-us-9\r\nm-init-done\r\nm-ready\r\n"

BABBLES = 120  # after about 8 s it is quiet, so that a test of an endless wait ends


@dataclass
class Talker:
    """identity: fields of `mcuml id` that differ from the usual; seconds: of one inference; drift: the counter's time by the
    wall's; stopped: it counts nothing; deaf: it answers nothing, but says `babble` all the time; on: command -> what then
    happens ("restart", "forget", "vanish", "still", "babble"); flash: the file that an upload writes the next identity to;
    alias: another name for its port, under which the bootloader is; usb: (vid, pid) of application and bootloader;
    stays: an upload leaves its port alone, which a probe or a bridge serves."""

    identity: dict = field(default_factory=dict)
    seconds: float = 0.001
    drift: float = 1.0
    stopped: bool = False
    deaf: bool = False
    babble: bytes = b""
    on: dict = field(default_factory=dict)
    flash: Path | None = None
    alias: Path | None = None
    usb: tuple[tuple[int, int], tuple[int, int]] | None = None
    stays: bool = False

    def __enter__(self) -> Talker:
        self._buffer, self._done, self._key, self._uploaded, self._babbled = b"", 0, 0, self._stamp(), 0
        self._input, self._bootloader, self.listed = bytearray(64), False, True
        self._stop = threading.Event()
        self._open()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._close()

    def comports(self) -> list:
        """What serial.tools.list_ports.comports() tells of it."""
        if not self.listed or self.usb is None:
            return []
        vid, pid = self.usb[self._bootloader]
        device = str(self.alias) if self._bootloader and self.alias else self.path
        return [
            SimpleNamespace(device=device, vid=vid, pid=pid, serial_number="77", location="1-2", product="talker", description="")
        ]

    def _open(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)

    def _close(self) -> None:
        for end in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                os.close(end)

    def _stamp(self) -> int:
        return self.flash.stat().st_mtime_ns if self.flash and self.flash.exists() else 0

    def _say(self, text: str | bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._ours, text.encode() if isinstance(text, str) else text)

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._stamp() != self._uploaded:
                self._reflash()
            try:
                readable, _, _ = select.select([self._ours], [], [], 0.02)
                if self.babble and self._babbled < BABBLES:
                    self._babbled += 1
                    self._say(self.babble)
                    self._stop.wait(0.05)
                self._buffer += os.read(self._ours, 4096) if readable else b""
            except OSError:
                return
            while b"%" in self._buffer:
                line, self._buffer = self._buffer.split(b"%", 1)
                if not self.deaf and not self._react(line.decode()):
                    return

    def _reflash(self) -> None:
        """Gone for a moment, in the bootloader for another, then back under a new name with what was uploaded."""
        self._uploaded = self._stamp()
        if not self.stays:
            self.listed = False
            self._close()
            time.sleep(0.05)
            self._open()
            self._bootloader, self.listed = True, True
            time.sleep(0.05)
        self.identity = {"port": self.identity.get("port", "arduino")} | json.loads(self.flash.read_text())  # type: ignore[union-attr]
        self._bootloader, self._buffer, self._done, self._key = False, b"", 0, 0

    def _react(self, words: str) -> bool:
        """Answer, or do what `on` says; False when the board is gone."""
        event = next((self.on.pop(key) for key in list(self.on) if words.startswith(key)), "")
        if event == "vanish":
            self.listed = False
            self._close()
            return False
        if event in ("restart", "forget"):
            self._input, self._done, self._key = bytearray(64), 0, 0
            if event == "restart":
                self._say(GREETING)
                return True
        if event == "babble":
            self.deaf, self.babble = True, b"I (312) heap: 201 kB free\r\n"
        self.deaf = self.deaf or event == "still"
        if not self.deaf:
            self._reply(words)
        return True

    def _reply(self, request: str) -> None:
        """The answer, and where the last word is a tag, the check of both."""
        words = request.split()
        tagged = bool(words) and words[-1].startswith("#")
        words = words[:-1] if tagged else words
        said: list[str] = []
        for line in self._answer(words):
            said.append(line)
            self._say(f"{line}\r\n")
        if tagged:
            self._say(f"{protocol.CHECK}[{protocol.check(request, said, self._key if words else 0):08x}]\r\n")
        self._say("m-ready\r\n")

    def _answer(self, words: list[str]) -> Iterable[str]:
        match words:
            case []:
                return []
            case ["name"]:
                return ["m-name-dut-[talker]"]
            case ["mcuml", "id"]:
                usual = {"protocol": protocol.VERSION, "mcuml": "0", "board": "talker", "model": "m", "sha256": "5" * 64,
                         "clock_hz": CLOCK_HZ, "inputs": [64], "outputs": [10], "chunk": 256, "port": "arduino",
                         "build": "b" * 16, "counter": "DWT", "step": 1, "interrupts": 1, "simulated": 0}  # fmt: skip
                return [f"m-id-[{json.dumps(usual | self.identity)}]"]
            case ["mcuml", "key", key]:
                self._key = int(key, 16)
                return [f"m-key-[{key}]"]
            case ["mcuml", "mem"]:
                return ['m-mem-[{"arena":512,"buffer":64,"stack":2048,"stack_used":300}]']
            case ["mcuml", "put", offset, data, _]:
                raw = bytes.fromhex(data)
                self._input[int(offset) : int(offset) + len(raw)] = raw
                return [f"m-put-[{offset},{len(raw)}]"]
            case ["mcuml", "get", offset, count]:
                raw = bytes(self._input[int(offset) : int(offset) + int(count)])
                return [f"m-get-[{offset},{raw.hex()},{protocol.crc(int(offset), raw):08x}]"]
            case ["mcuml", "crc"]:
                return [f"m-crc-[{protocol.crc(0, bytes(self._input)):08x},{self._done}]"]
            case ["mcuml", "run", count]:
                self._done += int(count)
                cycles = 0 if self.stopped else round(self.seconds * CLOCK_HZ)
                return [f"m-cycles-[{cycles and cycles + n}]" for n in range(int(count))]
            case ["infer", count, warmups]:
                return self._infer(int(count), warmups)
        return [f"e-[Unknown command: {words[0]}]"]

    def _infer(self, count: int, warmups: str) -> Iterator[str]:
        yield from (f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{count}", "m-lap-us-1000")
        began = time.monotonic()
        time.sleep(count * self.seconds)
        took = time.monotonic() - began  # on a busy computer a sleep is longer
        yield from (f"m-lap-us-{1000 + round(1e6 * took * self.drift)}", "m-infer-done", "m-results-[0.5]")

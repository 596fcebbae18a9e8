"""ST's LPM01A on a pseudo-terminal: speaks its text protocol, as its help text and the official runner have it.

What a real one sends of its own accord (a prompt before each answer, the echo of nothing) is taken from the runner's parser."""

from __future__ import annotations

import os
import threading
import time
import tty
from types import TracebackType

PROMPT = b"PowerShield > "


class Lpm01a:
    """A context manager; `path` is its port. joules: the energy of every millisecond; edges: after which of them the trigger pin
    falls; refuse: a command that it answers with an error; mute: one that it does not answer; lose: samples that never arrive."""

    def __init__(self, joules: list[float], edges: tuple[int, ...], refuse: str = "", mute: str = "", lose: tuple[int, ...] = ()):
        self._joules, self._edges, self._refuse, self._mute, self._lose = joules, edges, refuse, mute, lose
        self.commands: list[str] = []
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Lpm01a:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(5)
        os.close(self._ours)
        os.close(self._theirs)

    def _serve(self) -> None:
        os.set_blocking(self._ours, False)
        pending = b""
        while not self._over.is_set():
            try:
                pending += os.read(self._ours, 4096)
            except BlockingIOError:
                time.sleep(0.002)
            while b"\r\n" in pending:
                line, pending = pending.split(b"\r\n", 1)
                self._answer(line.decode())

    def _answer(self, command: str) -> None:
        self.commands.append(command)
        if self._mute and command.startswith(self._mute):
            return
        if self._refuse and command.startswith(self._refuse):
            self._send(PROMPT + f"error {command}\r\n".encode() + b"Error detail: Wrong parameter value\r\n")
            return
        if command == "stop":
            self._send(b"\r\nAcquisition completed\r\n" + PROMPT)
            return
        self._send(PROMPT + f"ack {command}\r\n".encode())
        if command == "start":
            self._record()

    def _record(self) -> None:
        out = [b"\r\n"]
        events = 0
        for n, joule in enumerate([*self._joules, None]):
            if n % 1000 == 0:
                out.append(f"TimeStamp: {n // 1000:03}s {n % 1000:03}ms, buff 00%\r\n".encode())
            for _ in range(self._edges.count(n)):
                out.append(f"event {events} ris\r\n".encode())
                events += 1
            if joule is not None and n not in self._lose:
                out.append(_four_digits(joule) + b"\r\n")
        self._send(b"".join(out))

    def _send(self, data: bytes) -> None:
        while data and not self._over.is_set():
            try:
                data = data[os.write(self._ours, data) :]
            except BlockingIOError:
                time.sleep(0.002)


def _four_digits(value: float) -> bytes:
    """6409-07 is 6409e-7."""
    digits, exponent = f"{value:.3e}".split("e")
    return f"{int(digits.replace('.', '')):04}{int(exponent) - 3:+03}".encode()

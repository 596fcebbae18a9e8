"""A simulator that is a program of its own, its serial port on a local socket or a terminal; it ends with us, and says why."""

from __future__ import annotations

import select
import socket
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from mcuml import processes
from mcuml.board import Board, load_all
from mcuml.errors import LinkError, RequestError
from mcuml.link.base import Kind, Link

HERE = "127.0.0.1"
WRITE_S = 10.0  # a simulator that takes no byte for so long is stuck
TAIL = 1200  # characters of what it said last, in an error


def described(board: Board, simulator: str, lacks: str) -> Any:
    """What the file of `board` says under simulators.`simulator`. Raises RequestError where it says nothing: `lacks`, such as
    "QEMU has no machine", and the boards whose files do."""
    held = getattr(board.simulators, simulator)
    if held is None:
        served = ", ".join(b.name for b in load_all() if getattr(b.simulators, simulator))
        raise RequestError(f"{lacks} for {board.name}.", f"It serves: {served}.", "Take one of these, or --link virtual.")
    return held


class Wire(Protocol):
    """The simulator's serial port: a socket, or what is used like one. Its methods raise OSError."""

    def fileno(self) -> int: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def tuned(port: socket.socket) -> socket.socket:
    """`port` with a limit for each write, and without waiting for more bytes before it sends."""
    port.settimeout(WRITE_S)
    port.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return port


class ChildLink(Link):
    """Bytes to and from a simulator's process. A subclass names it, says which command starts it and gets its serial port."""

    kind: Kind = "instructions"
    title: str
    connect_s = 20.0

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._wire: Wire | None = None
        self._log: IO[bytes] | None = None
        self._open()

    @abstractmethod
    def _connect(self, deadline: float) -> Wire:
        """Start the simulator with launch() and return its serial port, before `deadline` (time.monotonic)."""

    # -- Link ----------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        try:
            self._port().sendall(data)
        except OSError as error:
            raise self.stopped(f"It took no byte: {error}.") from error

    def read(self, timeout_s: float) -> bytes:
        port = self._port()
        try:
            if not select.select([port], [], [], max(0.0, timeout_s))[0]:
                return b""
            data = port.recv(1 << 16)
        except OSError as error:
            raise self.stopped(str(error)) from error
        if not data:
            raise self.stopped("It closed its serial port.")
        return data

    def reset(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        if self._wire:
            self._wire.close()
            self._wire = None
        if self._process:
            processes.kill(self._process)
            self._process = None
        if self._log:
            self._log.close()
            self._log = None

    def describe(self) -> str:
        said = self.said()
        return f"{self.title} runs; it said:\n{said}" if said else f"{self.title} runs, and has said nothing itself."

    # -- the process ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._wire = self._connect(time.monotonic() + self.connect_s)
        except BaseException:
            self.close()
            raise

    def launch(self, command: Sequence[str], folder: Path | None = None, **how: Any) -> None:
        """Start the simulator in `folder`; what it prints is kept for errors. `how`: as processes.start takes it."""
        self._log = tempfile.TemporaryFile(prefix="mcuml-simulator-")  # noqa: SIM115  # a pipe that nobody reads stops it
        try:
            self._process = processes.start(list(command), folder, stdout=self._log, stderr=subprocess.STDOUT, **how)
        except OSError as error:
            raise LinkError(f"{self.title} does not start: {command[0]}.", error.strerror or str(error)) from error

    def ended(self) -> bool:
        """Whether the process is no longer there."""
        return self._process is None or self._process.poll() is not None

    def stopped(self, how: str) -> LinkError:
        """The error for a simulator that went away or that does not do what it should."""
        status = self._process.poll() if self._process else None
        what = f"{self.title} ended with status {status}." if status is not None else f"{self.title} does not answer any more."
        said = self.said()
        return LinkError(what, "\n".join(part for part in (how, said and f"It said: {said}") if part), self.advice(said))

    def advice(self, said: str) -> str:
        """What to try, by what the simulator said."""
        return "Run the command again; if it stays so, try --link virtual."

    def _port(self) -> Wire:
        if self._wire is None:
            raise LinkError(f"The link to {self.title} is closed.")
        return self._wire

    def said(self) -> str:
        """The end of what the simulator printed."""
        if self._log is None:
            return ""
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - TAIL))
        return self._log.read().decode("utf-8", "replace").strip()

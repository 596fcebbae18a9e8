"""Pseudo-terminals: a link shown as one, as which any serial program takes a simulated board, and one of another. POSIX only."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

from mcuml.errors import RequestError
from mcuml.link.base import Link

SLICE_S = 0.05  # how long the device runs before the terminal is looked at again
REST_S = 0.02  # between two looks at a device that waits for input
UNREAD = 1 << 16  # bytes kept for a program that does not read; like a UART's, older ones are lost


class Terminal:
    """The terminal at `path`, which another program serves, used like a socket. Raises OSError, as do its methods; sendall also
    where no byte is taken for `write_s` seconds."""

    def __init__(self, path: Path, write_s: float):
        import termios

        self._write_s = write_s
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            # Renode leaves some flags to chance; raw means here that no byte is changed, repeated or held back.
            flags = termios.tcgetattr(self._file)
            flags[0] = flags[1] = flags[3] = 0
            flags[2] |= termios.CS8 | termios.CREAD
            termios.tcsetattr(self._file, termios.TCSANOW, flags)
        except termios.error as error:
            os.close(self._file)
            raise OSError(str(error)) from error

    def fileno(self) -> int:
        return self._file

    def recv(self, size: int) -> bytes:
        return os.read(self._file, size)

    def sendall(self, data: bytes) -> None:
        while data:
            if not select.select([], [self._file], [], self._write_s)[1]:
                raise TimeoutError("timed out")
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        os.close(self._file)


def serve(link: Link, ready: Callable[[str], None]) -> None:
    """Pass bytes between `link` and a new pseudo-terminal, whose path is given to `ready`, until interrupted.

    Raises RequestError where the system has no pseudo-terminals, LinkError when the device faults."""
    try:
        import tty
    except ImportError:
        raise RequestError(
            "This system has no pseudo-terminals.", "", "Leave --pty out: the device is then on stdin and stdout."
        ) from None
    # The program's end stays open here as well: otherwise the first one that closes it would end the line.
    ours, theirs = os.openpty()
    try:
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        ready(os.ttyname(theirs))
        _pass(link, ours)
    finally:
        os.close(ours)
        os.close(theirs)


def _pass(link: Link, terminal: int) -> None:
    unread, rest = b"", 0.0
    while True:
        readable, writable, _ = select.select([terminal], [terminal] if unread else [], [], rest)
        if readable:
            link.write(os.read(terminal, 4096))
        if writable:
            unread = unread[os.write(terminal, unread) :]
        began = time.monotonic()
        heard = link.read(SLICE_S)
        unread = (unread + heard)[-UNREAD:]
        idle = not heard and time.monotonic() - began < SLICE_S / 2
        rest = REST_S if idle else 0.0

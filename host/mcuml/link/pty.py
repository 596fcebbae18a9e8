"""A link shown as a pseudo-terminal, so that any serial program talks to a simulated board as to a real one. POSIX only."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from mcuml.errors import RequestError
from mcuml.link.base import Link

SLICE_S = 0.05  # how long the device runs before the terminal is looked at again
REST_S = 0.02  # between two looks at a device that waits for input
UNREAD = 1 << 16  # bytes kept for a program that does not read; like a UART's, older ones are lost


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

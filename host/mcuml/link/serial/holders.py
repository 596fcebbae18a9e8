"""Who has a serial port: the lock file that mcuml keeps per port, and other programs that have it open."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mcuml.assets import cache_folder
from mcuml.errors import LinkError

PSEUDO = "/dev/pts/"
CLOSE_IT = "Close that program, or end it: kill {pid}"


def _lock_file(device: str) -> Path:
    return cache_folder() / "ports" / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', device).strip('_')}.lock"


@contextmanager
def held(device: str) -> Iterator[None]:
    """Keep other mcuml commands off the port while this lasts. Raises LinkError, at once, naming the command that has it."""
    path = _lock_file(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = path.with_suffix(".by")
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        try:
            number, _, words = owner.read_text(encoding="utf-8").partition(" ")
        except OSError:
            number, words = "", ""
        raise in_use(device, [(int(number) if number.isdecimal() else 0, words or "another mcuml command")]) from None
    try:
        owner.write_text(f"{os.getpid()} {' '.join(['mcuml', *sys.argv[1:]])}", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def in_use(device: str, by: list[tuple[int, str]]) -> LinkError:
    """The error for a port that processes `by` (their numbers and command lines) have open; [] where they are not known."""
    told = [f"{words} (process {number})" if number else words for number, words in by]
    pids = " ".join(str(number) for number, _ in by if number)
    return LinkError(
        f"The port {device} is in use.",
        f"By: {', '.join(told)}." if told else "By a program that this system does not let us see, perhaps another user's.",
        CLOSE_IT.format(pid=pids)
        if pids
        else f"Close serial monitors, IDEs and ModemManager; on Linux this tells who has it: sudo fuser -v {device}",
    )


def users(device: str) -> list[tuple[int, str]]:
    """(number, command line) of the other processes that have the terminal `device` open; on Linux those of this user, elsewhere
    [], and of what is no terminal as well: the whole machine may have that open.

    The program that serves a pseudo-terminal has both ends open, and is not its user."""
    real = os.path.realpath(device)
    if not real.startswith(PSEUDO) and not Path("/sys/class/tty", Path(real).name).exists():
        return []
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            opened = {str(fd.readlink()) for fd in (process / "fd").iterdir()}
            serves = real.startswith(PSEUDO) and any(name.endswith("/ptmx") for name in opened)
            if real in opened and not serves:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append((int(process.name), words or (process / "comm").read_text().strip()))
    return sorted(found)

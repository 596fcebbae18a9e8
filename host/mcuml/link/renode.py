"""Renode as a board: a script and a platform description rendered from the board's file, the UART on a pseudo-terminal.

Renode gives every instruction the same time, so its cycle counter counts instructions and nothing here is a latency. Its socket
terminal listens on all of the computer's addresses, whatever one asks: it is taken on Windows alone, where there is no other."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mcuml import __version__
from mcuml.board import Board
from mcuml.board import Renode as PlatformOf
from mcuml.errors import LinkError
from mcuml.link.child import HERE, WRITE_S, ChildLink, Wire, described, tuned
from mcuml.link.pty import Terminal
from mcuml.render import render_file

VARIABLE = "MCUML_RENODE"
SCRIPT, DESCRIPTION, ELF, UART = "mcuml.resc", "board.repl", "firmware.elf", "uart"
GET = f"unpack a release of https://github.com/renode/renode and put it on PATH, or name its program in {VARIABLE}"
FAILED = "There was an error executing command"  # what Renode's monitor says when a command of a script went wrong


def platform(board: Board) -> PlatformOf:
    """What the file of `board` says of Renode. Raises RequestError where it says nothing."""
    held: PlatformOf = described(board, "renode", "Renode has no platform")
    return held


def program() -> str:
    """The path of Renode: $MCUML_RENODE, else `renode` on PATH. Raises LinkError where there is neither."""
    named = os.environ.get(VARIABLE, "")
    found = shutil.which(named or "renode")
    if found:
        return found
    raise LinkError(
        f"{VARIABLE} is '{named}', which is no program." if named else "Renode is not installed: renode is not on PATH.",
        "",
        GET[0].upper() + GET[1:] + ".",
    )


def check(board: Board) -> None:
    """Raise RequestError where Renode has no platform for `board`, LinkError where it is not installed."""
    platform(board)
    program()


def scripts(board: Board, uart: Path | int | None = None, start: bool = True) -> dict[str, str]:
    """File name -> text: the script and the platform description that it loads, beside firmware.elf in one folder. uart: where
    the UART is served, a link to a pseudo-terminal or a TCP port, None: nowhere (a Robot test has its own terminal); start:
    whether the script starts the machine."""
    held = platform(board)
    names = {"description": DESCRIPTION, "elf": ELF}
    return {
        SCRIPT: render_file(
            "renode.resc.j2", board=board, renode=held, version=__version__, uart=uart, start=start, **names
        ),
        DESCRIPTION: render_file("renode.repl.j2", board=board, renode=held, version=__version__),
    }  # fmt: skip


class Renode(ChildLink):
    """The firmware at `elf` on the platform that `board` names. Raises LinkError: not installed, a command that failed, no
    answer in time."""

    name = "renode"
    title = "Renode"
    patience = 10.0
    connect_s = 60.0  # .NET takes seconds to start where the processor is shared

    def __init__(self, elf: Path, board: Board):
        check(board)
        self._elf, self._board = elf, board
        self._folder: tempfile.TemporaryDirectory | None = None
        super().__init__()

    def close(self) -> None:
        super().close()
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _connect(self, deadline: float) -> Wire:
        self._folder = tempfile.TemporaryDirectory(prefix="mcuml-renode-")
        folder = Path(self._folder.name)
        uart = _free_port() if sys.platform == "win32" else folder / UART
        for name, text in scripts(self._board, uart).items():
            (folder / name).write_text(text, encoding="utf-8")
        shutil.copyfile(self._elf, folder / ELF)
        # With --console its monitor's words come to us; it reads commands as well, hence the pipe that stays silent.
        self.launch([program(), "--disable-gui", "--console", "--plain", SCRIPT], folder, stdin=subprocess.PIPE)
        while time.monotonic() < deadline and not self.ended():
            with contextlib.suppress(OSError):
                if isinstance(uart, Path):
                    return Terminal(uart, WRITE_S)
                return tuned(socket.create_connection((HERE, uart), timeout=1))
            if FAILED in self.said():
                raise self.stopped("A command of its script failed.")
            time.sleep(0.1)
        raise self.stopped("It did not open its serial port.")

    def advice(self, said: str) -> str:
        if FAILED in said:
            return f"Does this Renode have {platform(self._board).platform}? The scripts are for 1.16."
        return super().advice(said)


def _free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((HERE, 0)) as probe:
        return probe.getsockname()[1]

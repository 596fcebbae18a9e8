"""QEMU's machines as boards: the linked firmware, its UART on a local socket, and a clock that counts instructions.

QEMU runs each instruction in no particular time, so nothing here is a latency. With -icount its clock advances by 2^SHIFT
nanoseconds per instruction, whatever the computer's load, and the firmware's counter then tells instructions."""

from __future__ import annotations

import re
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from mcuml.board import Board
from mcuml.board import Qemu as MachineOf
from mcuml.errors import LinkError
from mcuml.link.child import HERE, ChildLink, Wire, described, tuned

# 128 ns per instruction are several ticks of every machine's counter (40 ns at 25 MHz), so that none is lost to rounding.
SHIFT = 7
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Program:
    """One of QEMU's programs and the Debian package that has it."""

    name: str
    package: str

    @property
    def missing(self) -> str:
        """The command that brings it where it is not on PATH; "" where it is."""
        return "" if shutil.which(self.name) else f"On Debian and Ubuntu: apt install {self.package}"


PROGRAMS = {
    "arm": Program("qemu-system-arm", "qemu-system-arm"),
    "riscv": Program("qemu-system-riscv32", "qemu-system-misc"),
    "aarch64": Program("qemu-aarch64", "qemu-user"),
}


def machine(board: Board) -> MachineOf:
    """What the file of `board` says of QEMU. Raises RequestError where it says nothing."""
    held: MachineOf = described(board, "qemu", "QEMU has no machine")
    return held


def check(board: Board) -> None:
    """Raise RequestError where no machine of QEMU is named for `board`, LinkError where QEMU is not installed."""
    machine(board)
    program = PROGRAMS[board.cpu.arch]
    if program.missing:
        raise LinkError(f"QEMU is not installed: {program.name} is not on PATH.", "", program.missing)


class Qemu(ChildLink):
    """The firmware at `elf` on the machine that `board` names. Raises LinkError: not installed, a machine that this QEMU does
    not know, an image that it does not load."""

    name = "qemu"
    title = "QEMU"
    patience = 10.0  # as the virtual board's, where the processor is shared

    def __init__(self, elf: Path, board: Board):
        check(board)
        self._elf, self._board = elf, board
        super().__init__()

    def instructions(self, ticks: int) -> int:
        """The counter's ticks last 1 / clock_hz seconds of QEMU's clock."""
        return round(ticks * NANOSECONDS / self._board.clock_hz / (1 << SHIFT))

    def _connect(self, deadline: float) -> Wire:
        with socket.create_server((HERE, 0)) as listening:
            listening.settimeout(0.1)
            self.launch(self._command(listening.getsockname()[1]))
            while time.monotonic() < deadline:
                try:
                    return tuned(listening.accept()[0])
                except TimeoutError:
                    if self.ended():
                        break
        raise self.stopped("It did not connect its serial port.")

    def _command(self, port: int) -> list[str]:
        held = machine(self._board)
        return [
            PROGRAMS[self._board.cpu.arch].name, "-machine", held.machine, *held.options, "-icount", f"shift={SHIFT}",
            "-nodefaults", "-display", "none", "-monitor", "none", "-chardev", f"socket,id=uart,host={HERE},port={port}",
            "-serial", "chardev:uart", "-kernel", str(self._elf),
        ]  # fmt: skip

    def advice(self, said: str) -> str:
        if re.search("unsupported machine", said):
            return f"This QEMU does not know the machine {machine(self._board).machine}; install a newer one."
        if "Lockup" in said:
            return "The firmware faulted where no handler could run; --link virtual names the line."
        return super().advice(said)

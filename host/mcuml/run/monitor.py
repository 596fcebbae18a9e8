"""Listening to a board: which port, its bytes as they come, and these as lines that are safe to show."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from mcuml.board import Board, load, load_all
from mcuml.errors import LinkError
from mcuml.link.serial import ports
from mcuml.link.serial.line import SerialLink
from mcuml.link.serial.ports import Port
from mcuml.run import protocol

LOOK_S = 0.2  # how long a read waits: how late Ctrl-C may be


def which(device: str, name: str, otherwise: Board) -> tuple[Port, Board]:
    """The port to listen to and the board on it: those asked for, else the one port that bears a known USB id. A port without
    one, which was named, is listened to as `otherwise` would be. Raises LinkError, RequestError."""
    if name:
        board = load(name)
        return ports.find(board, device), board
    known = load_all()
    if device:
        port = ports.named(device)
        return port, next((found.board for found in ports.recognized(port, known)), otherwise)
    fitting = [(port, found[0].board) for port in ports.all_ports() if (found := ports.recognized(port, known))]
    if len(fitting) == 1:
        return fitting[0]
    raise LinkError(
        "Several ports are boards." if fitting else "No port bears a board's USB id.",
        f"Ports: {', '.join(port.device for port in ports.all_ports()) or 'none'}.",
        "Name one: --port PORT" if ports.all_ports() else ports.NO_PORT,
    )


def listened(port: Port, board: Board, commands: Sequence[str], seconds: float) -> Iterator[bytes]:
    """What the board says after `commands` were sent, piece by piece, for so many seconds (0: for ever). Raises LinkError where
    the port cannot be opened, and line.Vanished, one of these, when it vanishes."""
    deadline = time.monotonic() + seconds
    with SerialLink(port.device, board) as link:
        for words in commands:
            link.write(protocol.command(words.rstrip(protocol.TERMINATOR)))
        while not seconds or time.monotonic() < deadline:
            if data := link.read(LOOK_S):
                yield data


class Lines:
    """Bytes as text: what is not printable ASCII becomes a dot, so that no garbage reaches the terminal's own commands."""

    def __init__(self, timestamps: bool):
        self._timestamps, self._began = timestamps, time.monotonic()
        self._fresh = True

    def add(self, data: bytes) -> str:
        """What to show of `data`."""
        text = ""
        for byte in data.replace(b"\r\n", b"\n").replace(b"\r", b""):
            if self._fresh and self._timestamps:
                text += f"{time.monotonic() - self._began:10.3f}  "
            self._fresh = byte == 10
            text += chr(byte) if 32 <= byte < 127 or byte in (9, 10) else "."
        return text

    def rest(self) -> str:
        """What ends a line that the board left open."""
        return "" if self._fresh else "\n"

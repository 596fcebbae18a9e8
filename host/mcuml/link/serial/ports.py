"""The serial ports of this machine: which there are, whose USB ids they bear, and how one is found again after it vanished."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mcuml.board import Board, load_all
from mcuml.errors import LinkError

POLL_S = 0.1  # between two looks at the list of ports
REAPPEAR_S = 15.0  # a bootloader's self-test and the system's drivers take up to about five
CONTAINER = "In a container or in WSL the port must be handed in first: --device, or usbipd attach."


@dataclass(frozen=True)
class Port:
    """A serial port. device: what opens it; usb: (vendor, product) id, None where it is no USB device; number: the USB serial
    number, location: the place on the bus, both "" where unknown; title: what the device calls itself."""

    device: str
    usb: tuple[int, int] | None = None
    number: str = ""
    location: str = ""
    title: str = ""

    @property
    def usb_id(self) -> str:
        """As lsusb writes it, "2341:805a"; "" where it is no USB device."""
        return f"{self.usb[0]:04x}:{self.usb[1]:04x}" if self.usb else ""

    def is_device_of(self, other: Port) -> bool:
        """Whether both are the same piece of hardware, perhaps under other names and ids: a bootloader keeps the board's USB
        serial number, or at least its place on the bus."""
        if self.usb is None or other.usb is None:
            return self.device == other.device
        if self.number and other.number:
            return self.number == other.number
        return bool(self.location) and _plug(self.location) == _plug(other.location)


def _plug(location: str) -> str:
    """The place on the bus without the interface: "1-2:1.0" is 1-2."""
    return location.partition(":")[0]


def all_ports() -> list[Port]:
    """Every serial port that the system lists, by name."""
    from serial.tools import list_ports

    found = []
    for told in list_ports.comports():
        usb = (told.vid, told.pid) if told.vid is not None and told.pid is not None else None
        title = told.product or (told.description if told.description != "n/a" else "") or ""
        found.append(Port(told.device, usb, told.serial_number or "", told.location or "", title))
    return sorted(found, key=lambda port: port.device)


def named(device: str) -> Port:
    """The port of that name; what the system does not list (a pseudo-terminal) is told by its name alone. A link such as
    those in /dev/serial/by-id is followed. Raises LinkError: it is not there, with the ports that are."""
    there = all_ports()
    real = os.path.realpath(device) if Path(device).is_symlink() else device
    for port in there:
        if port.device in (device, real):
            return port
    if os.name == "posix" and Path(real).exists():
        return Port(real)
    raise LinkError(
        f"There is no port {device}.",
        _listed(there),
        "Plug the board in, or name one of these: mcuml ports shows what they are." if there else NO_PORT,
    )


NO_PORT = (
    "Plug the board in with a cable that carries data (many only charge), look whether its power LED is on, and try another "
    f"socket. {CONTAINER}"
)


def _listed(ports: Iterable[Port]) -> str:
    told = [f"{port.device} ({' '.join(filter(None, (port.usb_id, port.title))) or 'no USB device'})" for port in ports]
    return f"Ports: {', '.join(told)}." if told else "This machine has no serial port at all."


@dataclass(frozen=True)
class Recognized:
    """A board that a port's USB id stands for; role: what answers under it (board.Usb)."""

    board: Board
    role: str


def recognized(port: Port, boards: Iterable[Board] | None = None) -> list[Recognized]:
    """The boards (of all that mcuml knows, or of `boards`) that bear the port's USB id. A bridge or a probe is built into
    many boards, so that there may be several."""
    known = load_all() if boards is None else boards
    return [Recognized(b, usb.role) for b in known for usb in b.usb if port.usb == (usb.vid, usb.pid)]


def find(board: Board, device: str = "") -> Port:
    """The port on which `board` is: `device` if given, else the one that bears its USB id. Raises LinkError: no port at all,
    none of this board, several, or one that is another board's beyond doubt."""
    if device:
        return _not_anothers(named(device), board)
    there = all_ports()
    ids = ", ".join(f"{usb.vid:04x}:{usb.pid:04x} ({usb.role})" for usb in board.usb)
    fitting = [port for port in there if recognized(port, [board])]
    if len(fitting) == 1:
        return fitting[0]
    if not there:
        raise LinkError("There is no serial port.", _listed(there), NO_PORT)
    if not board.usb:
        raise LinkError(f"{board.name} has no USB id, so its port cannot be told.", _listed(there), "Name it: --port PORT")
    if not fitting:
        raise LinkError(
            f"No port belongs to {board.title}: none has its USB id, {ids}.",
            _listed(there),
            "Plug it in with a cable that carries data; if it is one of these all the same, name it: --port PORT",
        )
    raise LinkError(f"Several ports could be the {board.title}.", _listed(fitting), "Name one: --port PORT")


def _not_anothers(port: Port, board: Board) -> Port:
    """`port`, unless its USB id is another board's own. That of a bridge or a probe tells nothing, for many boards have one."""
    others = [found.board for found in recognized(port) if found.role in ("application", "bootloader")]
    if others and board.usb and not recognized(port, [board]):
        names = " or ".join(other.name for other in others)
        raise LinkError(
            f"The port {port.device} is not a {board.title}: its USB id {port.usb_id} is that of {names}.",
            _listed(all_ports()),
            f"Give --board {others[0].name}, or the port of the {board.title}: mcuml ports",
        )
    return port


def wait_for(was: Port, board: Board, limit_s: float = REAPPEAR_S, ready: Callable[[Port], bool] = lambda _: True) -> Port:
    """The port under which the device at `was` is back with its application, under whatever name and USB id; `ready` says
    of a candidate whether it can be used. Raises LinkError after `limit_s` seconds, with what is there instead."""
    deadline = time.monotonic() + limit_s
    while True:
        there = all_ports()
        same = [port for port in there if port.is_device_of(was)]
        if was.usb is None and Path(was.device).exists():
            same = [was]
        for port in same:
            if not _in_bootloader(port, board) and ready(port):
                return port
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_S)
    stuck = next((port for port in same if _in_bootloader(port, board)), None)
    if stuck:
        raise LinkError(
            f"The {board.title} stays in its bootloader, on {stuck.device} ({stuck.usb_id}).",
            f"Waited {limit_s:g} s for the application.",
            "Press its reset button once; if it comes back to the bootloader, the upload was not whole: mcuml flash MODEL "
            f"--board {board.name} --port {stuck.device}",
        )
    raise LinkError(
        f"The port {was.device} did not come back within {limit_s:g} s.",
        _listed(there),
        "Press the board's reset button, or unplug it and plug it in again; then look with: mcuml ports",
    )


def wait_until_gone(port: Port, limit_s: float) -> bool:
    """Whether `port` vanished within `limit_s` seconds, as a USB device does when its firmware restarts."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if port.usb is None:
            return False
        if port.device not in [p.device for p in all_ports()]:
            return True
        time.sleep(POLL_S / 2)
    return False


def _in_bootloader(port: Port, board: Board) -> bool:
    roles = {found.role for found in recognized(port, [board])}
    return roles == {"bootloader"}

"""Which boards are on this machine's serial ports: recognized by USB id, asked for what they run, and who has them open."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mcuml.board import Board, load_all
from mcuml.errors import LinkError
from mcuml.link.serial import holders, ports
from mcuml.link.serial.ports import Port, Recognized
from mcuml.run.flash import Told, ask

ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Seen:
    """A port. boards: what its USB id stands for; told: what the device on it answered, None where it was not asked (it bears
    no board's USB id, or somebody has it open); users: numbers and command lines of those who have."""

    port: Port
    boards: tuple[Recognized, ...]
    told: Told | None
    users: tuple[tuple[int, str], ...]


def survey(named: Sequence[str], otherwise: Board, asking: bool = True) -> list[Seen]:
    """Every port of this machine, and those of the names in `named` that the system does not list. With `asking`, devices on
    ports of a known USB id and on those named are asked who they are; `otherwise`: whose baud rate an unknown one is asked at.
    Opening a port resets some boards. Raises LinkError: a port of `named` is not there."""
    extra = [ports.named(device) for device in named]
    there = ports.all_ports()
    there += [port for port in extra if port.device not in [p.device for p in there]]
    chosen = {port.device for port in extra}
    known = load_all()

    def look(port: Port) -> Seen:
        boards = tuple(ports.recognized(port, known))
        users = tuple(holders.users(port.device))
        wanted = asking and not users and (boards or port.device in chosen)
        return Seen(port, boards, _ask(port, boards[0].board if boards else otherwise) if wanted else None, users)

    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return list(pool.map(look, there))


def _ask(port: Port, board: Board) -> Told:
    try:
        with holders.held(port.device):
            return ask(port, board)
    except LinkError as error:
        return Told(None, error)

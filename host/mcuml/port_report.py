"""Serial ports as a table for a terminal and as JSON. Builds them; prints nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape

from mcuml.run.survey import Seen
from mcuml.tables import Grid

SHOWN_BOARDS = 3  # names of boards that share a bridge's USB id


def table(seen: Sequence[Seen]) -> Grid:
    """One row per port: its name and USB id, the board, what is on it, who has it open."""
    grid = Grid("port", "usb", "board", "on it", "in use by", drop=("usb",))
    for one in seen:
        users = ", ".join(f"{words} ({number})" for number, words in one.users)
        grid.add_row(one.port.device, one.port.usb_id, escape(_board(one)), escape(_on_it(one)), escape(users))
    return grid


def _board(one: Seen) -> str:
    names = list(dict.fromkeys(found.board.name for found in one.boards))
    role = next((found.role for found in one.boards if found.role != "application"), "")
    if not names:
        return one.port.title or "unknown"
    if len(names) == 1:
        return names[0] + (f" ({role})" if role else "")
    more = f" and {len(names) - SHOWN_BOARDS} more" if len(names) > SHOWN_BOARDS else ""
    return f"{' or '.join(names[:SHOWN_BOARDS])}{more} ({role or 'one USB id'})"


def _on_it(one: Seen) -> str:
    if one.told is None:
        return "not asked"
    told = one.told.identity
    if told is None:
        return one.told.trouble.what if one.told.trouble else "silent"
    simulated = ", simulated" if told.simulated else ""
    return f"{told.model} for {told.board} by mcuml {told.mcuml}{simulated}"


def to_json(seen: Sequence[Seen]) -> str:
    """A list with one object per port; what is not known is left out."""
    return json.dumps([_plain(one) for one in seen], indent=1) + "\n"


def _plain(one: Seen) -> dict[str, object]:
    held: dict[str, object] = {
        "port": one.port.device,
        "usb": one.port.usb_id,
        "serial_number": one.port.number,
        "title": one.port.title,
        "boards": [{"name": found.board.name, "role": found.role} for found in one.boards],
        "in_use_by": [{"process": number, "command": words} for number, words in one.users],
    }
    if one.told and one.told.identity:
        held["device"] = asdict(one.told.identity)
    elif one.told and one.told.trouble:
        held["trouble"] = str(one.told.trouble)
    return {key: value for key, value in held.items() if value not in ("", [])}

"""Turns what a failed build printed into one error: the first error first, and an overflow into the bytes too many."""

from __future__ import annotations

import re
from pathlib import Path

from mcuml.board import Board
from mcuml.errors import BuildError, FitError, UserError

LINES = 20  # of the output, from the first error on
_ERROR = re.compile(r"(^|[\s:])(fatal )?error:|undefined (symbol|reference)|Error:|No such file", re.IGNORECASE)
_OVERFLOWS = (
    re.compile(r"region [`'\"]?(?P<region>FLASH|RAM)'? overflowed by (?P<bytes>\d+) bytes"),  # GNU ld
    re.compile(r"will not fit in region '(?P<region>FLASH|RAM)': overflowed by (?P<bytes>\d+) bytes"),  # lld
)


def explain(output: str, board: Board, folder: Path) -> UserError:
    """The error to raise for a build that failed with `output` in `folder`."""
    over: dict[str, int] = {}
    for pattern in _OVERFLOWS:
        for match in pattern.finditer(output):
            over[match["region"]] = max(over.get(match["region"], 0), int(match["bytes"]))
    if over:
        has = {"FLASH": board.flash_available, "RAM": board.ram_available}
        parts = [f"{'flash' if r == 'FLASH' else r} {has[r]:,} bytes, {n:,} too few" for r, n in over.items()]
        return FitError(f"The firmware does not fit {board.name}: " + " and ".join(parts) + ".", "The linker said so.",
                        "Take a board with more, or a smaller model: `mcuml inspect MODEL` lists where it fits.")  # fmt: skip
    if "are left for the stack" in output:
        return FitError(
            f"The firmware leaves {board.name} no room for its stack.",
            first_error(output),
            "Take a board with more RAM, or a smaller model.",
        )
    return BuildError(
        f"The firmware for {board.name} does not build.",
        first_error(output),
        f"The project is in {folder}; build it again with: pio run",
    )


def first_error(output: str) -> str:
    """The first error in a compiler's output and the lines after it; without one, the last lines."""
    lines = [line for line in output.splitlines() if line.strip()]
    at = next((n for n, line in enumerate(lines) if _ERROR.search(line)), max(0, len(lines) - LINES))
    return "\n".join(lines[at : at + LINES])

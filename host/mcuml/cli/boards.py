"""`mcuml boards [NAME]`: the boards mcuml knows, those with a core or with room for a model, or all about one."""

from pathlib import Path
from typing import Annotated

import typer


def boards(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A board's name; leave it out for the list.")] = None,
    core: Annotated[str, typer.Option(metavar="NAME", help="Only boards with this core, such as cortex-m4f.")] = "",
    fits: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Only boards with room for this .tflite file. Exit 4 if there is none.")
    ] = None,
) -> None:
    """List the boards, or show all about one. `verified` tells how far a board's file was tried: rendered (PlatformIO takes its
    projects), compiled, simulated, or hardware (the board itself)."""
    from mcuml import board, report
    from mcuml.cli._console import show
    from mcuml.cli._defaults import default_board
    from mcuml.errors import RequestError

    if name is not None:
        if core or fits:
            raise RequestError("NAME shows one board; --core and --fits choose from the list.", try_next="Leave one of them out.")
        show(report.board(board.load(name)))
        return
    found = board.load_all()
    if core:
        found = _with_core(found, core)
    if fits:
        found = _with_room(found, fits)
    show(report.boards(found, default_board()), "* taken where --board is not given")


def _with_core(found: list, core: str) -> list:
    from mcuml.errors import RequestError

    there = sorted({b.core for b in found})
    if core not in there:
        raise RequestError(f"No board has the core '{core}'.", f"The boards' cores are {', '.join(there)}.")
    return [b for b in found if b.core == core]


def _with_room(found: list, model: Path) -> list:
    """By the bytes that mcuml knows before a compiler runs; what is close is kept, for the linker to tell."""
    from mcuml.cli._options import prepare
    from mcuml.errors import FitError
    from mcuml.fit import fit

    plan = prepare(model, "balanced", None)
    needs = [fit(plan, b) for b in found]
    kept = [n.board for n in needs if n.fits or (n.close and not n.ram_over)]
    if kept:
        return kept
    least = min(needs, key=lambda n: n.flash_over + n.ram_over)
    raise FitError(
        f"None of these {len(found)} boards has room for {model.name}.",
        f"Nearest is {least.board.name}: flash {least.flash_over:,} and RAM {least.ram_over:,} bytes too few.",
        "mcuml inspect MODEL tells where the bytes are.",
    )

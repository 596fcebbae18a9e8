"""`mcuml boards [NAME]`: the boards mcuml knows, or all about one."""

from typing import Annotated

import typer


def boards(name: Annotated[str | None, typer.Argument(help="A board's name; leave it out for the list.")] = None) -> None:
    """List the boards, or show what mcuml knows about one: memory, clock, simulators, how far it was tried."""
    from mcuml import board, report
    from mcuml.cli._console import out

    out().print(report.boards(board.load_all()) if name is None else report.board(board.load(name)))

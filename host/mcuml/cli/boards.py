"""`mcuml boards [NAME]`: the boards mcuml knows, or all about one."""

from typing import Annotated

import typer


def boards(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A board's name; leave it out for the list.")] = None,
) -> None:
    """List the boards, or show all about one."""
    from mcuml import board, report
    from mcuml.cli._console import show
    from mcuml.cli._defaults import default_board

    if name is not None:
        show(report.board(board.load(name)))
        return
    show(report.boards(board.load_all(), default_board()), "* taken where --board is not given")

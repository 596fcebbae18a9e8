"""`mcuml doctor`: what is installed, what is missing, and the command that brings it; or whether a board's file is good."""

from typing import Annotated

import typer


def doctor(
    board: Annotated[
        str, typer.Option(metavar="NAME", help="Check this board's file instead: a name, or path/to/NAME.toml.")
    ] = "",
) -> None:
    """Show what is installed, and the commands that bring the rest. Exit 5 if mcuml cannot build. With --board: the file's keys
    and values (exit 2), its PlatformIO projects, and whether an image links and fits (exit 5)."""
    from mcuml import build, report
    from mcuml import doctor as checks
    from mcuml.cli._console import show, stages
    from mcuml.errors import BuildError

    if board:
        from mcuml import board_check
        from mcuml.board import load

        with stages() as progress:
            progress("render and link")
            rows = board_check.check(load(board))
    else:
        rows = checks.check(build.cache_folder())
    show(report.doctor(rows))
    if any(row.needed and not row.ok for row in rows):
        raise typer.Exit(BuildError.exit_code)

"""`mcuml ports`: the serial ports, which board is on each, what it runs, and who has it open."""

from typing import Annotated

import typer


def ports(
    port: Annotated[
        list[str] | None, typer.Option(metavar="PORT", help="Look at this one too: one that the system does not list.")
    ] = None,
    ask: Annotated[bool, typer.Option(help="Ask boards what they run; opening a port resets some.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """List the serial ports: board by USB id, what is on it, in use by whom."""
    from mcuml import port_report
    from mcuml.board import load
    from mcuml.cli._console import show, tell
    from mcuml.cli._defaults import default_board
    from mcuml.link.serial.ports import NO_PORT
    from mcuml.run.survey import survey

    seen = survey(port or [], load(default_board()), ask)
    if json:
        print(port_report.to_json(seen), end="")
    elif seen:
        show(port_report.table(seen))
    else:
        tell(f"This machine has no serial port. {NO_PORT}")

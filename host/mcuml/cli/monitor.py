"""`mcuml monitor`: what a board says on its serial port, until Ctrl-C."""

from typing import Annotated

import typer


def monitor(
    port: Annotated[str, typer.Option(metavar="PORT", help="The serial port; found by USB id by default.")] = "",
    board: Annotated[str, typer.Option(metavar="NAME", help="Whose port and baud rate; by default told by USB id.")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Seconds since the start before each line.")] = False,
    send: Annotated[list[str] | None, typer.Option(metavar="COMMAND", help="Send this first: 'name', 'mcuml id'.")] = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=0, help="End after so long; 0: at Ctrl-C.")] = 0,
) -> None:
    """Print a board's lines, until Ctrl-C; a port that vanishes is waited for."""
    from mcuml.board import load
    from mcuml.cli._console import tell
    from mcuml.cli._defaults import default_board
    from mcuml.link.serial import ports
    from mcuml.link.serial.line import Vanished
    from mcuml.run.monitor import Lines, listened, which

    at, target = which(port, board, load(default_board()))
    tell(f"{at.device} at {target.serial.baud} baud, {target.title}. Ctrl-C ends it.")
    lines, commands = Lines(timestamps), send or []
    try:
        while True:
            try:
                for data in listened(at, target, commands, seconds):
                    print(lines.add(data), end="", flush=True)
                break
            except Vanished as error:
                if not at.usb:
                    raise
                tell(f"{error.what} Waiting {ports.REAPPEAR_S:g} s for it.")
                at, commands = ports.wait_for(at, target), []
    except KeyboardInterrupt:
        pass
    print(lines.rest(), end="", flush=True)

"""`mcuml simulate MODEL`: the virtual board alone, for any program that speaks its serial protocol."""

from typing import Annotated

import typer

from mcuml.cli._options import BoardName, EnergyMode, ModelFile, Optimize, RuntimeName, SuiteName, TunedFile


def simulate(
    model: ModelFile,
    board: BoardName = "",
    pty: Annotated[bool, typer.Option("--pty", help="Serve a pseudo-terminal and print its path; Ctrl-C ends it.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but the path, or the device's own bytes.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
    suite: SuiteName = "",
    energy: EnergyMode = False,
    runtime: RuntimeName = "aot",
) -> None:
    """Run the virtual board alone, as a device on a serial line. The line is stdin and stdout, or with --pty a
    pseudo-terminal that any serial program can open."""
    import os
    import sys

    from mcuml.cli._console import tell
    from mcuml.cli._firmware import firmware
    from mcuml.link.pty import serve
    from mcuml.link.repeats import RepeatingBoard
    from mcuml.link.virtual import counts_cycles

    plan, image = firmware(model, board, quiet, None, True, optimize, tuned, suite, energy, runtime=runtime)

    counted = counts_cycles(image.board)
    times = "times are estimated" if counted else f"its clock stands still: there is no cycle model of a {image.board.core}"

    def ready(path: str) -> None:
        print(path, flush=True)
        if not quiet:
            name = f"{plan.graph.name} on virtual {image.board.name}"
            tell(f"{name}; {times}. Try: python -m serial.tools.miniterm {path}")

    with RepeatingBoard(image.elf, image.board) as link:
        if pty:
            serve(link, ready)
        received = b""  # the first round brings the greeting
        while True:
            link.write(received)
            while said := link.read(60):
                sys.stdout.buffer.write(said)
            sys.stdout.buffer.flush()
            if not (received := os.read(sys.stdin.fileno(), 4096)):
                return

"""`mcuml flash MODEL`: firmware onto a real board, and the proof that it runs there."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import EnergyMode, Optimize, RuntimeName, SuiteName, TunedFile


def flash(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)],
    board: Annotated[str, typer.Option(metavar="NAME", help="A board's name or file; mcuml boards marks the default.")] = "",
    port: Annotated[str, typer.Option(metavar="PORT", help="Its serial port; found by the board's USB id by default.")] = "",
    flash: Annotated[
        bool | None, typer.Option(help="Upload in any case, or only ask what is there; by default unless it is there already.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
    suite: SuiteName = "",
    energy: EnergyMode = False,
    runtime: RuntimeName = "aot",
) -> None:
    """Build for the real board, upload through PlatformIO, and ask the board who it is. Exit 6 if it does not say so."""
    from mcuml import reference, runtimes
    from mcuml.board import load
    from mcuml.cli._console import stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.cli._options import prepare
    from mcuml.run import flash as procedure
    from mcuml.run import suites
    from mcuml.run.device import way

    test = suites.find(suite) if suite else None
    target = suites.at_rate(load(board or default_board()), test, energy)
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        plan = prepare(model, optimize, tuned, target.core)
        firmware = way("serial").firmware_port(target)
        wanted = runtimes.check(runtime)
        job = runtimes.Job(wanted, model, target, firmware, test, energy, host_arena=reference.arena_bytes)
        plan, files = runtimes.prepared(plan, job, progress)
        with procedure.on_port(files, target, plan.graph.sha256, port, flash, firmware, progress) as (session, image, at):
            told = session.identify()
    if not quiet:
        simulated = " It is a simulated board." if told.simulated else ""
        tell(f"{at.device}: {target.title} runs {told.model}, build {told.build}, {image.flash_bytes:,} bytes.{simulated}")

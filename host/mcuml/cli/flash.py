"""`mcuml flash MODEL`: firmware onto a real board, and the proof that it runs there."""

from typing import Annotated

import typer

from mcuml.cli._options import BoardName, EnergyMode, ModelFile, Optimize, RuntimeName, SuiteName, TunedFile


def flash(
    model: ModelFile,
    board: BoardName = "",
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
    from mcuml.board import load
    from mcuml.cli._console import stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.cli._firmware import sources
    from mcuml.run import flash as procedure
    from mcuml.run import suites
    from mcuml.run.device import way

    test = suites.find(suite) if suite else None
    target = suites.at_rate(load(board or default_board()), test, energy)
    with stages(quiet) as progress:
        firmware = way("serial").firmware_port(target, runtime == "tflm")
        plan, files = sources(model, target, firmware, progress, optimize, tuned, suite, energy, runtime)
        with procedure.on_port(files, target, plan.graph.sha256, port, flash, firmware, progress) as (session, image, at):
            told = session.identify()
    if not quiet:
        simulated = " It is a simulated board." if told.simulated else ""
        tell(f"{at.device}: {target.title} runs {told.model}, build {told.build}, {image.flash_bytes:,} bytes.{simulated}")

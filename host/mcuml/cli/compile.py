"""mcuml compile: a .tflite file to C files that stand alone."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import ModelFile, Optimize, TunedFile, prepare


def compile(
    model: ModelFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the C files; made if missing.")],
    board: Annotated[str, typer.Option(metavar="NAME", help="Check that the model fits this board (see mcuml boards).")] = "",
    core: Annotated[
        str, typer.Option(metavar="NAME", help="Core, such as cortex-m4f, whose compiler flags <prefix>.json tells.")
    ] = "",
    prefix: Annotated[str, typer.Option(metavar="NAME", help="Name of the files and beginning of every symbol.")] = "model",
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
) -> None:
    """Write a model as C99 for your own project. Files: <prefix>.h, <prefix>.c, <prefix>_weights.c, <prefix>.json."""
    import re

    from mcuml import render
    from mcuml.board import load
    from mcuml.cores import CORES
    from mcuml.errors import RequestError
    from mcuml.fit import check_fit

    if not re.fullmatch("[a-z][a-z0-9_]*", prefix):
        raise RequestError(
            f"The prefix '{prefix}' cannot begin a C name.", "", "Use lower-case letters, digits and underscores, a letter first."
        )
    if board and core:
        raise RequestError("Both --board and --core were given.", "", "Give one: a board has a core.")
    if core and core not in CORES:
        raise RequestError(f"There is no core '{core}'.", f"Cores: {', '.join(CORES)}.", "Name one of them.")
    held = load(board) if board else None
    target = held.cpu if held else CORES.get(core)
    plan = prepare(model, optimize, tuned, target.name if target else "")
    if held:
        check_fit(plan, held)
    words = ["mcuml", "compile", model.name, *(["--prefix", prefix] if prefix != "model" else [])]
    words += ["--optimize", optimize] if optimize != "balanced" else []
    command = " ".join([*words, *(["--tuned", tuned.name] if tuned else [])])
    files = render.render_model(plan, prefix, command, target)
    render.write(files, output)
    typer.echo(f"{output}: {', '.join(files)}; arena {plan.arena_bytes:,} bytes, {plan.graph.macs:,} MACs", err=True)

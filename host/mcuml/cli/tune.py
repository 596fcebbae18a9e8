"""`mcuml tune MODEL`: try every kernel that a layer could have, and keep what was measured in a file."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import BoardName, ModelFile, Optimize


def tune(
    model: ModelFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Keep the cycles there, for --tuned; adds to a file.")
    ] = None,
    board: BoardName = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table.")] = False,
    optimize: Optimize = "balanced",
) -> None:
    """Measure each kernel of the layers that several could serve. The file goes to compile, build and bench by --tuned."""
    from mcuml import report, results, tuned
    from mcuml import tune as procedure
    from mcuml.board import load
    from mcuml.cli._console import show, stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.schedule import check_objective

    check_objective(optimize)
    target = load(board or default_board())
    old = None
    if output:
        results.check_place(output)
        old = tuned.load(output, target.core) if output.exists() else None
    with stages(quiet) as progress:
        done = procedure.tune(model, target, optimize, progress)
    if not quiet:
        if done.tried:
            show(report.tried(done.tried))
        else:
            tell(f"No layer of {model.name} has more than one kernel to choose from.")
    if output:
        results.save(tuned.to_json(tuned.merged(old, done.tuned)), output)
        if not quiet:
            tell(f"{output}: use it with --tuned {output}")

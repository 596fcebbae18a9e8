"""`mcuml inspect MODEL`: what is in a model, what memory it takes over time, and on which boards it fits."""

from typing import Annotated

import typer

from mcuml.cli._options import ModelFile, Optimize, TunedFile, prepare


def inspect(
    model: ModelFile,
    board: Annotated[
        str, typer.Option(metavar="NAME", help="Tell all about this board instead. Exit 4 if it does not fit.")
    ] = "",
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
) -> None:
    """Show operators, memory over time, and the boards that have room; with --board flash and RAM in detail, from an image
    that is linked for their sake (a second or two; the first time for a core the compiler may need some more)."""
    from mcuml import fit_report, report
    from mcuml.bench import firmware_files
    from mcuml.board import load, load_all
    from mcuml.cli._console import show, stages, tell
    from mcuml.errors import BuildError, RequestError
    from mcuml.fit import fit, fit_linked, require_fit

    plan = prepare(model, optimize, tuned, load(board).core if board else "")
    if not board:
        show(report.inspection(plan, [fit(plan, b) for b in load_all()]))
        return
    target = load(board)
    try:
        with stages() as progress:
            progress(f"link it for {target.name}")
            needs = fit_linked(firmware_files(plan, target), target)
    except (BuildError, RequestError) as error:
        tell(f"The sizes are estimates: {error.what}")
        needs = fit(plan, target)
    show(report.operators(plan), fit_report.needs(plan, needs))
    require_fit(plan, needs)

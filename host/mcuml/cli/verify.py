"""`mcuml verify MODEL`: every layer's output against the oracle, and the first layer that differs."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import BoardName, ModelFile, Optimize, TunedFile, prepare


def verify(
    model: ModelFile,
    board: BoardName = "",
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="How many samples to run.")] = 5,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Samples: .npz, .npy, .zip or a folder. By default random ones.")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only operator N, fed with the oracle's own values.")
    ] = None,
    json: Annotated[str, typer.Option("--json", metavar="FILE", help="Write the findings there; '-' prints them alone.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table: only errors and --json.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
) -> None:
    """Compare every layer with the oracle, on the host build and on the virtual board. Exit 7 if one differs."""
    import shlex
    from json import dumps

    from mcuml import layer_report, reference, results
    from mcuml import verify as procedure
    from mcuml.board import load
    from mcuml.cli._console import show, stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.errors import CheckError, FitError
    from mcuml.fit import check_fit

    if json and json != "-":
        results.check_place(Path(json))
    target = load(board or default_board())
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        plan = prepare(model, optimize, tuned, target.core)
        if not board:
            try:
                check_fit(plan, target)
            except FitError as error:
                tell(f"{error.what} Only the host build is compared.")
                target = None  # type: ignore[assignment]
        found = procedure.verify(plan, procedure.Request(model, target, data, samples, layer), reference.traces, progress)
    text = dumps(found.to_dict(), indent=1) + "\n"
    if json == "-":
        print(text, end="")
    elif json:
        results.save(text, Path(json))
    if json != "-" and not quiet:
        show(layer_report.verification(found, details=layer is not None))
    if found.diverging:
        first = found.diverging[0]
        words = ["mcuml", "verify", str(model), *(["--board", board] if board else [])]
        words += ["--optimize", optimize] if optimize != "balanced" else []
        words += [*(["--data", str(data)] if data else []), "--samples", str(samples), "--layer", str(first.operator)]
        raise CheckError(
            f"{model.name}: operator {first.operator} ({first.op}) on the {first.where} differs from {found.oracle}.",
            layer_report.divergence(first),
            "This is a bug in mcuml; please report it with the model."
            if layer is not None
            else f"Run just that one: {shlex.join(words)}",
        )

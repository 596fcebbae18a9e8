"""`mcuml optimize MODEL`: recipes of pruning, clustering, quantization and rewrites, each with what it costs and is worth."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import Optimize


def optimize(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or a SavedModel folder.", show_default=False)
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="DATA", help="Labelled samples: .npz, a folder or .zip of images, or module:function.")
    ] = "",
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe", "-r", metavar="R", help="a+b+c, a .toml file, or 'all'; may be given several times.", show_default=False
        ),
    ] = None,
    board: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A board; of several the first decides.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where models, results and report go.")] = Path(
        "optimized"
    ),
    baseline: Annotated[
        str, typer.Option(metavar="STEPS", help="Steps before every recipe, as train(epochs=10): the baseline's training.")
    ] = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="STEP.KEY=VALUE", help="A setting for all recipes.", show_default=False)
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="How often each recipe runs, each time with another seed.")] = 1,
    goal: Annotated[str, typer.Option(metavar="GOAL", help='Which one to take: "accuracy_drop<=0.5% then min latency".')] = "",
    fit: Annotated[str, typer.Option(metavar="LIMITS", help="What the board can spare: flash=64KB,ram=16KB.")] = "",
    pixels: Annotated[str, typer.Option(metavar="RANGE", help="What uint8 images become: 0..1, 0..255 or -1..1.")] = "0..1",
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Worker processes.")] = 1,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Samples per weight update.")] = 64,
    paper_accounting: Annotated[
        bool, typer.Option("--paper-accounting", help="Also the ratio to the trained .h5 with optimizer state.")
    ] = False,
    steps: Annotated[bool, typer.Option("--steps", help="List the steps of recipes with their settings, and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table: only errors and the folder.")] = False,
    optimize: Optimize = "balanced",
) -> None:
    """Make a trained Keras model smaller and faster on a board, by recipes of steps, and say what each is worth."""
    import sys

    from mcuml.cli._console import show, tell, work_bar
    from mcuml.cli._defaults import default_board
    from mcuml.cli._oracle import MISSING, find_oracle
    from mcuml.errors import CheckError, RequestError
    from mcuml.optimize import goals, procedure, report, runner
    from mcuml.optimize import recipe as recipes
    from mcuml.optimize.steps import all_steps
    from mcuml.schedule import check_objective

    if steps:
        show(report.steps(all_steps().values()))
        return
    if model is None or not data:
        raise RequestError(
            "mcuml optimize needs a model and its data.", "", "mcuml optimize MODEL --data FILE --recipe prune+int8"
        )
    check_objective(optimize)
    wanted, limits = goals.parse(goal) if goal else None, goals.parse_fit(fit) if fit else ()
    chosen = recipes.choose(recipe or [recipes.ALL], baseline, setting or [])
    boards, oracle = tuple(board or [default_board()]), find_oracle()
    request = runner.Request(
        model, data, output, chosen.recipes, boards, chosen.before, chosen.locked, pixels, optimize, seeds, jobs, batch,
        oracle, paper_accounting,
    )  # fmt: skip
    with work_bar(quiet) as progress:
        done = procedure.carry_out(request, progress, ("mcuml", *sys.argv[1:]), wanted, limits)
    found = done.report
    if not quiet:
        if found.rows:
            show(report.grid(found))
        show(*report.notes(found), *report.advice(found))
        if found.passes:
            show("", report.passes_told(found.passes), report.passes_grid(found.passes))
        if oracle is None:
            tell(MISSING)
    tell(f"{output} holds the report, recipe.lock.toml and the models; next: mcuml bench {output}/models/NAME.tflite")
    if report.wrong(found):
        raise CheckError(
            f"Outputs on {boards[0]} differ from the oracle's: {', '.join(report.wrong(found))}.",
            "",
            f"This is a bug in mcuml: mcuml verify {output}/models/NAME.tflite names the layer; please report it.",
        )
    if done.unmet:
        raise done.unmet
    if found.failures:
        raise CheckError(
            f"{len(found.failures)} of {len(chosen.recipes) * seeds} runs did not come to their end; the others are reported.",
            "\n".join(report.failed(found)),
        )

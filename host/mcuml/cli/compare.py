"""`mcuml compare`: one model in both runtimes on one board, or Results that bench wrote, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcuml.cli._options import BoardName, DataFile, LabelsFile, Optimize, prepare

if TYPE_CHECKING:
    from mcuml.results import Result


def compare(
    things: Annotated[
        list[Path], typer.Argument(metavar="MODEL | RESULT RESULT...", help="A .tflite file, or files of mcuml bench --json.")
    ],
    runtime: Annotated[str, typer.Option("--runtime", metavar="LIST", help="For a model: the runtimes to compare.")] = "aot,tflm",
    board: BoardName = "",
    data: DataFile = None,
    labels: LabelsFile = None,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="How many samples to run and verify.")] = 20,
    json: Annotated[str, typer.Option("--json", metavar="FILE", help="Write the comparison there; '-' prints it alone.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table: only errors and --json.")] = False,
    optimize: Optimize = "balanced",
) -> None:
    """Compare one model's runtimes on one board, or Results of earlier runs. Exit 7 if mcuml's own C gives wrong outputs."""
    from mcuml import compare_report, comparison, results
    from mcuml.cli._console import show
    from mcuml.errors import CheckError, RequestError

    if json and json != "-":
        results.check_place(Path(json))
    if len(things) == 1 and things[0].suffix != ".json":
        held = _benched(things[0], runtime, board, data, labels, samples, quiet, optimize)
    elif len(things) > 1 and all(thing.suffix == ".json" for thing in things):
        held = [results.load(thing) for thing in things]
    else:
        raise RequestError(
            "mcuml compare takes one model, or two and more Results.",
            f"Given: {', '.join(map(str, things))}.",
            "mcuml compare model.tflite --runtime aot,tflm, or: mcuml compare a.json b.json",
        )
    told = comparison.compare(held, [thing.stem for thing in things])
    if json == "-":
        print(told.to_json(), end="")
    elif json:
        results.save(told.to_json(), Path(json))
    if json != "-" and not quiet:
        show(compare_report.comparison(told))
    wrong = [r for r in held if len(things) == 1 and r.runtime == "aot" and r.verify and not r.verify.passed]
    if wrong:
        raise CheckError(
            f"{things[0].name}: mcuml's own outputs differ from the oracle's.", "", f"See where: mcuml verify {things[0]}"
        )


def _benched(
    model: Path, runtime: str, board: str, data: Path | None, labels: Path | None, samples: int, quiet: bool, optimize: str
) -> "list[Result]":
    """The Result of each runtime in the list, on the same samples."""
    import sys

    from mcuml import bench, reference, runtimes
    from mcuml.board import load
    from mcuml.cli._console import stages
    from mcuml.cli._defaults import default_board
    from mcuml.cli._oracle import find_oracle
    from mcuml.errors import RequestError

    wanted = [runtimes.check(name.strip()) for name in runtime.split(",")]
    if len(set(wanted)) < 2:
        raise RequestError(f"--runtime is '{runtime}': there is nothing to compare.", "", "Give two, such as aot,tflm.")
    target = load(board or default_board())
    command = ("mcuml", *sys.argv[1:])
    held = []
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        plan = prepare(model, optimize, None, target.core)
        for name in wanted:
            request = bench.Request(
                model, target, data, labels, samples, command=command, runtime=name, host_arena=reference.arena_bytes
            )

            def say(stage: str, done: int | None = None, total: int | None = None, name: str = name) -> None:
                progress(f"{name}: {stage}", done, total)

            held.append(bench.bench(plan, request, find_oracle(), say).result)
    return held

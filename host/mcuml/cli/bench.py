"""`mcuml bench MODEL`: build, run, measure, verify, and print every figure with where it comes from."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import DataFile, LabelsFile, ModelFile, Optimize, RuntimeName, TunedFile, prepare, sample_count

DIFFERS = {
    "aot": "This is a bug in mcuml; please report it with the model.",
    "tflm": "The library's kernels compute otherwise than the oracle's: docs/TFLM.md, 'Where outputs differ'.",
}


def bench(
    model: ModelFile,
    board: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A board's name or file; mcuml boards marks the default. Several run at once."),
    ] = None,
    hardware: Annotated[bool, typer.Option("--hardware", help="Flash and measure the real board, found by its USB id.")] = False,
    port: Annotated[
        list[str] | None, typer.Option(metavar="PORT", help="Measure the real board on this serial port; one for each --board.")
    ] = None,
    flash: Annotated[
        bool | None, typer.Option(help="Upload in any case, or never; by default unless the board has this firmware.")
    ] = None,
    data: DataFile = None,
    labels: LabelsFile = None,
    samples: Annotated[str, typer.Option(metavar="N", help="How many samples to verify and score: a number or 'all'.")] = "20",
    board_samples: Annotated[int, typer.Option(metavar="N", min=1, help="How many of them run on the virtual board too.")] = 20,
    runs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Counted inferences; the median counts. 1, on hardware 10 to 100.")
    ] = None,
    json: Annotated[str, typer.Option("--json", metavar="FILE", help="Write the Result there; '-' prints it alone.")] = "",
    link: Annotated[str, typer.Option(metavar="LINK", help="Where it runs: virtual, serial, qemu or renode.")] = "virtual",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table: only errors and --json.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
    runtime: RuntimeName = "aot",
) -> None:
    """Build, run, measure and verify a model on a board. Exit 7 if its outputs are wrong."""
    import sys

    from mcuml import bench as procedure
    from mcuml import reference, report, results, runtimes
    from mcuml.board import load
    from mcuml.cli._console import show, stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.cli._fleet import pairs, tell_all
    from mcuml.cli._oracle import MISSING, find_oracle
    from mcuml.errors import CheckError, RequestError
    from mcuml.run.device import link_name

    count = sample_count(samples)
    if json and json != "-":
        results.check_place(Path(json))
    if (hardware or port) and link not in ("virtual", "serial"):
        raise RequestError(
            f"--link {link} and a real board exclude each other.", "", "Leave one of --link, --hardware and --port out."
        )
    link = "serial" if hardware or port else link
    if flash is not None and link != "serial":
        raise RequestError("Only a real board is flashed.", "", "Give --hardware or --port, or leave --flash and --no-flash out.")
    targets = pairs(board or [default_board()], port or [])
    if len(targets) > 1:
        options = {"--link": link, "--data": data, "--labels": labels, "--samples": samples, "--board-samples": board_samples,
                   "--runs": runs, "--optimize": optimize, "--tuned": tuned, "--runtime": runtime}  # fmt: skip
        words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
        uploads = [] if flash is None else ["--flash" if flash else "--no-flash"]
        tell_all(["bench", str(model), *words, *uploads], targets, json, quiet)
        return
    wanted = runtimes.check(runtime)
    request = procedure.Request(
        model, load(targets[0][0]), data, labels, count, board_samples, runs, ("mcuml", *sys.argv[1:]),
        link=link_name(link), port=targets[0][1], flash=flash, runtime=wanted, host_arena=reference.arena_bytes,
    )  # fmt: skip
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        done = procedure.bench(prepare(model, optimize, tuned, request.board.core), request, find_oracle(), progress)
    text = results.to_json(done.result)
    if json == "-":
        print(text, end="")
    elif json:
        results.save(text, Path(json))
    if json != "-" and not quiet:
        show(report.result(done.result))
    verify = done.result.verify
    if verify is None and not quiet:
        tell(MISSING)
    if verify is not None and not verify.passed:
        raise CheckError(
            f"{model.name}: outputs on {request.board.name} or of the host build differ from {verify.oracle}.",
            report.difference(verify.first_difference) if verify.first_difference else "",
            DIFFERS[wanted],
        )

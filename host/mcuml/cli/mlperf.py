"""`mcuml mlperf run MODEL`: the official procedure of MLPerf Tiny on a board or on the virtual one, and its session folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcuml.cli._options import BoardName, ModelFile, Optimize, TunedFile, prepare, sample_count

if TYPE_CHECKING:
    from mcuml.instruments.base import Instrument

MODES = ("performance", "accuracy", "energy")


def mlperf(
    action: Annotated[str, typer.Argument(metavar="run", help="What to do: run.", show_default=False)],
    model: ModelFile,
    suite: Annotated[str, typer.Option(metavar="TEST", help="kws, vww, ic or ad.", show_default=False)],
    mode: Annotated[str, typer.Option(metavar="MODE", help="performance, accuracy or energy.")] = "performance",
    board: BoardName = "",
    port: Annotated[
        str,
        typer.Option(metavar="PORT", help="A board that holds the test's firmware (flash --suite TEST); else simulated."),
    ] = "",
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The official data set's folder or zip; random inputs by default.")
    ] = None,
    samples: Annotated[str, typer.Option(metavar="N", help="How many files for accuracy: a number or 'all'.")] = "all",
    meter: Annotated[str, typer.Option(metavar="METER", help="Energy on a board: lpm01a:PORT or js220.")] = "",
    volts: Annotated[float, typer.Option(metavar="V", help="What the LPM01A supplies to the board.")] = 3.3,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the session's folder goes.")] = Path(
        "sessions"
    ),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the session's folder alone.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
) -> None:
    """Go through MLPerf Tiny's procedure, as its official runner does, and write log.txt, results.txt and results.json. Times of
    the virtual board are estimated, and say so."""
    import contextlib
    from typing import cast

    from mcuml.board import load
    from mcuml.cli._console import show, stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.errors import RequestError
    from mcuml.mlperf import run as procedure
    from mcuml.run import suites
    from mcuml.tables import pairs

    if action != "run":
        raise RequestError(f"mcuml mlperf knows no '{action}'.", "", "Type: mcuml mlperf run MODEL --suite TEST")
    if mode not in MODES:
        raise RequestError(f"--mode is '{mode}'.", "", f"Give one of {', '.join(MODES)}.")
    files = sample_count(samples)
    if meter and not (port and mode == "energy"):
        raise RequestError("--meter is for energy mode on a port.", "", "Give --mode energy and --port PORT too.")
    test = suites.find(suite)
    target = load(board or default_board())
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(stages(quiet))
        progress("read the model and plan its memory")
        plan = prepare(model, optimize, tuned, target.core)
        instrument = stack.enter_context(_meter(meter, volts)) if meter else None
        done = procedure.run(
            plan, procedure.Request(test, cast(procedure.Mode, mode), target, output, port, data, files, instrument), progress
        )
    if quiet:
        print(done.path)
        return
    where = f"on {port}" if port else f"simulated {target.name}"
    figures = {
        "performance": (
            "throughput",
            f"[bold]{done.value:,.3f} inferences/s {done.kind}[/], median of {len(done.windows)} windows",
        ),
        "energy": ("energy", f"[bold]{done.value:,.3f} uJ {done.kind}[/] per inference, median of {len(done.windows)} windows"),
        "accuracy": ("quality", f"[bold]{done.value:.3f} {test.metric}[/] over {len(done.windows):,} inputs"),
    }
    rows = [("test", f"{test.title} ({test.model}), {where}"), figures[mode]]
    if mode == "performance":
        rows.append(("latency", f"{1000 / done.value:,.3f} ms {done.kind} per inference"))
    if mode == "accuracy":
        met = "met" if done.value >= test.target else "missed"
        rows.append(("", f"[dim]the closed division asks for {test.target:g}: {met}[/]"))
    show(pairs([*rows, ("session", str(done.path))]))
    tell("[dim]Not verified by MLCommons.[/]")


def _meter(text: str, volts: float) -> "Instrument":
    from mcuml.errors import RequestError
    from mcuml.instruments.js220 import Js220
    from mcuml.instruments.lpm01a import Lpm01a

    kind, _, port = text.partition(":")
    if kind == "lpm01a" and port:
        return Lpm01a(port, volts)
    if text == "js220":
        return Js220()
    raise RequestError(f"--meter is '{text}'.", "", "Give lpm01a:PORT (mcuml ports tells which) or js220.")

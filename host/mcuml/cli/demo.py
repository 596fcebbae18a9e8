"""`mcuml demo`: the whole path on bundled digits, and what to try next."""

from typing import Annotated

import typer

from mcuml.cli._options import BoardName

SHOWN = 4  # digits side by side in 80 columns


def demo(
    board: BoardName = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Take a digit classifier to a simulated board, in under a minute."""
    import numpy as np
    from rich.markup import escape

    from mcuml import assets, pipeline, report
    from mcuml import bench as procedure
    from mcuml.board import load
    from mcuml.cli._console import show, stages
    from mcuml.cli._defaults import default_board
    from mcuml.cli._oracle import find_oracle
    from mcuml.errors import CheckError

    folder = assets.folder("examples") / "digits"
    model, data = folder / "digits_int8.tflite", folder / "digits_test.npz"
    request = procedure.Request(
        model, load(board or default_board()), data, samples=None, board_samples=100, command=("mcuml", "demo")
    )
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        done = procedure.bench(pipeline.prepare(model), request, find_oracle(), progress)
    with np.load(data) as archive:
        images, labels = archive["x"], archive["y"]
    show(f"\nWhat the {request.board.title} sees, and says:\n")
    shown = range(0, len(images), max(1, len(images) // SHOWN))[:SHOWN]
    captions = [f"says {int(np.argmax(done.outputs[n][0]))} (it is {labels[n]})" for n in shown]
    for line in report.gallery([images[n, :, :, 0].tolist() for n in shown], captions):
        show("  " + line, wrap=False)
    show("", report.result(done.result), "Try next:\n")
    for command, told in (
        (f"mcuml inspect {_shown(model)}", "its operators, its memory over time, the boards it fits"),
        ("mcuml bench YOUR.tflite --json result.json", "the same for your model"),
        (f"mcuml compile {_shown(model)} -o digits", "the C, to put into your own project"),
    ):
        show(f"  [bold]{escape(command)}[/]\n      {told}", wrap=False)
    if done.result.verify is not None and not done.result.verify.passed:
        raise CheckError(
            "The board's outputs differ from the oracle's.", "", "Please report this with the output of: mcuml doctor"
        )


def _shown(path: object) -> str:
    """`path` as the user can type it here: relative where it lies below."""
    from pathlib import Path

    whole = Path(str(path))
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)

"""`mcuml ci init`: a workflow (and a Robot test for Renode) for a user's repository; `mcuml ci renode`: what that test runs."""

from pathlib import Path
from typing import Annotated

import typer


def ci(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="init or renode.", show_default=False)],
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="For renode: a .tflite file.", show_default=False)
    ] = None,
    renode: Annotated[bool, typer.Option("--renode", help="init: write a Robot Framework test for Renode too.")] = False,
    baseline: Annotated[Path, typer.Option(metavar="FILE", help="init: the baseline that the workflow checks.")] = Path(
        "baseline.json"
    ),
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")] = None,
    board: Annotated[str, typer.Option(metavar="NAME", help="renode: a board's name or file.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False,
) -> None:
    """Write what continuous integration needs. init: .github/workflows/mcuml.yml, from a baseline; it refuses to overwrite.
    renode: firmware.elf and the scripts that run it in Renode."""
    from mcuml import ci as procedure
    from mcuml.board import load
    from mcuml.cli._console import show, stages
    from mcuml.cli._defaults import default_board
    from mcuml.errors import RequestError

    if action == "init":
        texts = procedure.files(Path(), baseline, renode)
        procedure.write(output or Path(), texts)
        if not quiet:
            show(*(f"wrote {((output or Path()) / path).as_posix()}" for path in texts))
    elif action == "renode":
        if model is None:
            raise RequestError("mcuml ci renode needs a model.", "", "Name it: mcuml ci renode MODEL --board NAME -o FOLDER")
        with stages(quiet) as progress:
            progress("build")
            written = procedure.renode_files(model, load(board or default_board()), output or Path("build", "renode"))
        if not quiet:
            show(*(f"wrote {path.as_posix()}" for path in written))
    else:
        raise RequestError(f"There is no action '{action}'.", "", "It is init or renode.")

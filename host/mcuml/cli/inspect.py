"""`mcuml inspect MODEL`: what is in a model, what memory it takes over time, and on which boards it fits."""

from pathlib import Path
from typing import Annotated

import typer


def inspect(model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)]) -> None:
    """Show operators, memory over time, and the boards that have room."""
    from mcuml import board, pipeline, report
    from mcuml.cli._console import show
    from mcuml.fit import fit

    plan = pipeline.prepare(model)
    show(report.inspection(plan, [fit(plan, b) for b in board.load_all()]))

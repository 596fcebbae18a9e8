"""Options that several verbs have."""

from typing import Annotated

import typer

Optimize = Annotated[str, typer.Option(metavar="GOAL", help="Choose kernels for balanced, speed, size (flash) or ram.")]

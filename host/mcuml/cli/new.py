"""`mcuml new board NAME`: a skeleton of a board's file, with a comment at each key."""

import re
from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[str, typer.Argument(metavar="board", help="What to write: board.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: small letters, digits and _.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write NAME.toml.")] = Path(),
) -> None:
    """Write NAME.toml, a board's file to be filled in. A file that is there already is left alone."""
    from mcuml.board import names
    from mcuml.cli._console import tell
    from mcuml.cores import CORES
    from mcuml.errors import RequestError
    from mcuml.render import render_file
    from mcuml.results import save

    if kind != "board":
        raise RequestError(f"mcuml cannot make a new '{kind}'.", "It can make: board.", f"mcuml new board {name}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RequestError(
            f"'{name}' cannot be a board's name.", "It begins with a small letter; small letters, digits and _ follow."
        )
    path = output / f"{name}.toml"
    if path.exists() or name in names():
        raise RequestError(
            f"There is {path} already." if path.exists() else f"mcuml knows a board '{name}'.",
            try_next=f"Take another name, or show it: mcuml boards {path if path.exists() else name}",
        )
    save(render_file("board.toml.j2", name=name, cores=[c for c in CORES if c != "host"]), path)
    print(path)
    tell(f"Fill in what is empty, then: mcuml doctor --board {path}")

"""Measured cycles of kernels, as a file: `mcuml tune -o FILE` writes it, `--tuned FILE` has kernels chosen by it.

A file that is named on the command line, not a database in a home directory: what a figure depends on lies beside the
model, goes into version control with it, and the same command gives the same C on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcuml import __version__
from mcuml.errors import RequestError

SCHEMA = 1


class Tuned(BaseModel):
    """cycles: by a layer's signature (schedule.signature) and its kernels' names, on `core`, with the code of `compiler`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: int = Field(SCHEMA, alias="schema")
    mcuml: str = __version__
    core: str
    compiler: str
    cycles: dict[str, dict[str, int]]


def load(path: Path, core: str = "") -> Tuned:
    """The file at `path`. Raises RequestError: no such file, not one of these, measured on another core than `core`."""
    again = "Write it with: mcuml tune MODEL -o FILE"
    try:
        held = Tuned.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"Cannot read {path}.", f"{type(error).__name__}: {error.strerror or error}", again) from error
    except (ValidationError, UnicodeDecodeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RequestError(f"{path} holds no measured kernels.", said, again) from error
    if core and core != held.core:
        raise RequestError(f"{path} was measured on a {held.core}, not on a {core}.", "", "Tune for a board with that core.")
    return held


def merged(old: Tuned | None, new: Tuned) -> Tuned:
    """`new`, and what `old` knows besides, if core and compiler are the same: one file serves several models. Where `new`
    holds nothing, `old`."""
    if old is not None and not new.cycles:
        return old
    if old is None or (old.core, old.compiler) != (new.core, new.compiler):
        return new
    return new.model_copy(update={"cycles": old.cycles | new.cycles})


def to_json(held: Tuned) -> str:
    data: Mapping[str, object] = held.model_dump(by_alias=True)
    return json.dumps(data, indent=1, sort_keys=True) + "\n"

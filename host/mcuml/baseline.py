"""The file of figures that later ones are held against: several Results, each with what it takes to get it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcuml import results
from mcuml.errors import RequestError
from mcuml.results import Result
from mcuml.schedule import BALANCED, Objective

VERSION = 1
_CREATE = "Write one with: mcuml check --update MODEL --board NAME"


_Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wanted(_Part):
    """What to bench: files relative to the baseline's folder, with "/"; `samples` absent means all. A board is a name, or a
    file that ends in .toml."""

    model: Annotated[str, Field(min_length=1)]
    board: Annotated[str, Field(min_length=1)]
    link: Literal["virtual", "qemu", "renode"] = "virtual"
    data: str | None = None
    labels: str | None = None
    samples: _Count | None = None
    board_samples: _Count = 20
    runs: _Count = 1
    optimize: Objective = BALANCED

    @property
    def key(self) -> tuple[str, str, str]:
        """What is benched once: model, board, link."""
        return (self.model, self.board, self.link)


class Entry(Wanted):
    """What was benched, and its Result. Several entries may differ in the compiler alone."""

    result: Result

    @property
    def compiler(self) -> tuple[str, str]:
        """Name and version."""
        return compiler(self.result)


class Baseline(_Part):
    baseline: int = VERSION
    entries: tuple[Entry, ...] = ()

    def of(self, key: tuple[str, str, str]) -> list[Entry]:
        """The entries of that key, one per compiler."""
        return [entry for entry in self.entries if entry.key == key]

    def with_entry(self, new: Entry) -> Baseline:
        """With `new` in the place of the entry of its key by the same compiler, whatever its version; else at the end."""
        same = [(e.key, e.compiler[0]) == (new.key, new.compiler[0]) for e in self.entries]
        kept = tuple(new if replaced else e for e, replaced in zip(self.entries, same, strict=True))
        return Baseline(entries=kept if any(same) else (*kept, new))


def compiler(result: Result) -> tuple[str, str]:
    """Name and version of the compiler whose figures these are; empty where the Result does not say."""
    held = result.toolchain or {}
    return str(held.get("name", "")), str(held.get("version", ""))


def nearest(entries: list[Entry], result: Result) -> Entry | None:
    """The entry made by the same compiler, best by the same version of it. None: other compilers only."""
    name, version = compiler(result)
    by_name = [entry for entry in entries if entry.compiler[0] == name]
    return next((entry for entry in by_name if entry.compiler[1] == version), by_name[0] if by_name else None)


def load(path: Path) -> Baseline:
    """Raises RequestError: not there, not a baseline, or with a key that is wrong (which one)."""
    try:
        held = Baseline.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RequestError(f"There is no baseline {path}.", "", _CREATE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"Cannot read the baseline {path}.", str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RequestError(f"{path} is not a baseline.", f"{where}: {first['msg']}.", _CREATE) from error
    if held.baseline != VERSION:
        raise RequestError(f"{path} is a baseline of version {held.baseline}; this mcuml reads version {VERSION}.", "", _CREATE)
    return held


def save(held: Baseline, path: Path) -> None:
    """Write it whole or not at all. Raises RequestError."""
    results.save(held.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n", path)


def relative(path: Path, baseline: Path) -> str:
    """`path` as an entry of that baseline names it."""
    return Path(os.path.relpath(path.resolve(), baseline.resolve().parent)).as_posix()


def located(name: str, baseline: Path) -> Path:
    """Where the file that an entry of that baseline names is from here."""
    whole = baseline.parent / name
    return Path(os.path.relpath(whole)) if not baseline.is_absolute() else whole

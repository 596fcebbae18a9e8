"""What a run leaves in its output folder besides its work: the models by name, the report, and the lock file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import tomli_w

from mcuml import results
from mcuml.errors import RequestError
from mcuml.optimize.recipe import full_text
from mcuml.optimize.runner import Candidate, Outcome, Request

LOCK = "recipe.lock.toml"


def models(outcome: Outcome, folder: Path) -> None:
    """RECIPE-sSEED.tflite and .keras of every candidate, as links to the work where the system has them, else copies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for candidate in outcome.candidates:
            for source in (candidate.tflite, candidate.keras):
                place(source, folder / f"{file_name(candidate)}{source.suffix}")
    except OSError as error:
        raise RequestError(f"Cannot write into {folder}.", error.strerror or str(error), "Free some space.") from error


def file_name(candidate: Candidate) -> str:
    """The recipe's name with only letters that every system takes in a file's name, and the seed."""
    name = "".join(c if c.isalnum() or c in "+-_." else "_" for c in candidate.recipe.name)
    return f"{name}-s{candidate.seed}"


def place(source: Path, target: Path) -> None:
    """A link at `target`, replacing what is there."""
    if target.exists() and target.samefile(source):
        return  # a rename between two names of one file would do nothing, and leave both
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)


def lock(request: Request, outcome: Outcome, path: Path) -> None:
    """Everything to repeat the run, as a file that --recipe takes: every setting in full, versions, seeds, hashes."""
    content: dict[str, Any] = {
        "baseline": full_text(request.before),
        "recipes": {recipe.name: full_text(recipe.steps) for recipe in request.recipes[1:]},
        "locked": {
            "model": request.model.name, "model_sha256": outcome.model_sha256,
            "data": outcome.data_name, "data_sha256": outcome.data_sha256, "pixels": request.pixels,
            "samples": dict(zip(("train", "validation", "test"), outcome.samples, strict=True)),
            "seeds": request.seeds, "batch": request.batch, "jobs": request.jobs, "boards": list(request.boards),
            "optimize": request.objective, "versions": outcome.versions,
        },
    }  # fmt: skip
    results.save(tomli_w.dumps(content), path)

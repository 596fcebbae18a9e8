"""Recipes and seeds as a tree of work: what is common to several is one piece of work, known by the hash of all it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuml import __version__
from mcuml.bench import Oracle
from mcuml.optimize.recipe import Recipe, step_text
from mcuml.optimize.steps import EXPORTED, QUANTIZED, Step
from mcuml.optimize.work import Accounting, Shared, Stage


@dataclass(frozen=True)
class Chain:
    """One recipe of one seed: its stages in order, the last an export, and the account of what that writes."""

    recipe: Recipe
    seed: int
    stages: tuple[Stage, ...]
    accounting: Accounting

    @property
    def keras(self) -> Path:
        """The last model before the export."""
        return self.stages[-1].source


def key(*parts: object) -> str:
    """20 hexadecimal digits for these values."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def chain(
    recipe: Recipe, seed: int, before: Sequence[Step], root: Path, shared: Shared,
    boards: tuple[str, ...], objective: str, oracle: Oracle | None,
) -> Chain:  # fmt: skip
    """The work of `recipe` from the model file `root` on, in root's folder. `before`: the steps that make the baseline."""
    stages: list[Stage] = []
    source, teacher, traits = root, root, frozenset[str]()
    for number, step in enumerate((*before, *recipe.steps)):
        if number == len(before):
            teacher, traits = source, frozenset()  # the baseline is where recipes begin: nothing of it need be kept
        name = key(
            source.stem,
            step.name,
            step.version,
            step.model_dump(),
            seed,
            shared.data_sha256,
            shared.batch,
            teacher.stem,
            sorted(traits),
        )
        target = root.parent / f"{name}.{_format(traits | step.gives)}"
        label = f"{recipe.name}, seed {seed}: {step_text(step)}"
        stages.append(Stage(name, label, step, seed, source, target, teacher, traits))
        source, traits = target, traits | step.gives
    account = key(source.stem, boards, shared.boards, objective, oracle is None, __version__)
    label = f"{recipe.name}, seed {seed}: account"
    return Chain(recipe, seed, tuple(stages), Accounting(account, label, source, boards, objective, oracle))


def _format(traits: frozenset[str]) -> str:
    """How a model with these traits is stored: TensorFlow cannot read qat's wrappers back from a .keras file."""
    return "tflite" if EXPORTED in traits else "h5" if QUANTIZED in traits else "keras"

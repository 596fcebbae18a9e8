"""The components of a recipe. Each is one file of this folder with one class; its fields are its settings."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from mcuml.optimize.data import Data

# What a step may leave in a model that a later one must not undo.
SPARSE, CHANNELS, CLUSTERED, QUANTIZED, EXPORTED = "sparse", "fewer channels", "clustered", "quantized", "exported"


@dataclass(frozen=True)
class Context:
    """What a step works with besides the model. `seed`: of every random choice. `traits`: what the steps before it left in
    the model (SPARSE, ...). `teacher`: gives the baseline of the same seed, a tf_keras model. `progress`: told a sentence
    and the done share of this step, 0 to 1. `batch`: samples per weight update, where the step does not say."""

    data: Data
    seed: int
    traits: frozenset[str]
    teacher: Callable[[], Any]
    progress: Callable[[str, float], None]
    batch: int = 64


class Step(BaseModel):
    """One component with its settings. A subclass has either apply() or convert().

    `summary`: what it does, for --help. `gives`: the traits it leaves. `refuses`: a trait that an earlier step left, and
    why this step may not follow: the end of a sentence "NAME cannot come after OTHER: ...". `version`: raised when the step
    computes something else than before, so that no older result is reused. `short`: other words for this step with
    settings, {"int8": {"format": "int8"}}. `in_all`: whether `--recipe all` tries it, in the order of ascending `rank`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    summary: ClassVar[str]
    gives: ClassVar[frozenset[str]] = frozenset()
    refuses: ClassVar[Mapping[str, str]] = {}
    version: ClassVar[int] = 1
    short: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    rank: ClassVar[int] = 0
    in_all: ClassVar[bool] = True

    def legal_after(self, traits: frozenset[str]) -> str:
        """Why this step with these settings may not follow steps that left `traits`, like `refuses`; empty if it may."""
        return ""

    def apply(self, model: Any, context: Context) -> Any:
        """A new tf_keras model made from `model`, which stays as it is. Raises UserError naming step and layer."""
        raise NotImplementedError

    def convert(self, model: Any, context: Context) -> bytes:
        """A .tflite file's bytes (of steps that give EXPORTED). Raises UserError naming step and layer."""
        raise NotImplementedError


@cache
def all_steps() -> dict[str, type[Step]]:
    """Every step by its name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for member in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(member, type) and issubclass(member, Step) and member is not Step:
                found[member.name] = member
    return dict(sorted(found.items()))

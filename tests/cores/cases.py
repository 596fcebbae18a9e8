"""What runs on every core: whole models, and of each operator's table of cases a few from its beginning to its end."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conftest import shared_folder
from mcuml import pipeline
from mcuml.plan import Plan
from mcuml.render import C_TYPES
from ops.harness import Case, Table, agree

ROOT = Path(__file__).resolve().parents[2]
SHARED = ("mlperf_tiny/kws_ref_model", "mlperf_tiny/ad01_int8")


class Model(Case):
    """A whole model as `mcuml compile` takes it, its passes run."""

    def __init__(self, path: Path):
        super().__init__(path.read_bytes(), ("random", "ramp"))
        self._path = path

    @cached_property
    def planned(self) -> Plan:  # type: ignore[override]
        return pipeline.prepare(self._path)


@dataclass(frozen=True)
class Chosen:
    """A case under the name that its test has. exact: floats must be the oracle's too."""

    name: str
    case: Case
    exact: bool

    @property
    def samples(self) -> int:
        return len(self.case.inputs)

    def identical(self, answers: list[list[bytes]]) -> int:
        """How many samples are the oracle's bit for bit. Raises AssertionError where one is further from it than the
        operator's own test allows."""
        count = 0
        for number, (sample, wanted) in enumerate(zip(answers, self.case.expected, strict=True)):
            pairs = [(np.frombuffer(raw, w.dtype).reshape(w.shape), w) for raw, w in zip(sample, wanted, strict=True)]
            for got, want in pairs:
                agree(got, want, self.exact, f"{self.name}, sample {number} ({self.case.kinds[number]})")
            count += all(raw == w.tobytes() for raw, w in zip(sample, wanted, strict=True))
        return count


def tables() -> Iterator[tuple[str, Table]]:
    """("conv_2d", Table) and so on: every table of tests/ops that is not a slow sweep."""
    for path in sorted((ROOT / "tests" / "ops").glob("test_*.py")):
        module: Any = importlib.import_module(f"ops.{path.stem}")
        for value in vars(module).values():
            slow = any(mark.name == "slow" for mark in getattr(value, "pytestmark", ()))
            if isinstance(getattr(value, "table", None), Table) and not slow:
                yield path.stem.removeprefix("test_"), value.table


def _first_of_each_type(table: Table) -> list[str]:
    first: dict[tuple, str] = {}
    for name, case in table.cases.items():
        first.setdefault(tuple(part for part in case if isinstance(part, str) and part in C_TYPES), name)
    return list(first.values())


def choose(per_table: int) -> list[Chosen]:
    """The digits model, the shared models where they are, and `per_table` cases of each table and more
    where these are not of all its types; each file once."""
    files = [ROOT / "examples" / "digits" / "digits_int8.tflite"]
    shared = shared_folder()
    files += [shared / "models" / f"{name}.tflite" for name in SHARED] if shared else []
    found = {}
    for path in files:
        model = Model(path)
        found[model.prefix] = Chosen(path.stem, model, False)
    for operator, table in tables():
        names = list(table.cases)
        spread = [names[place] for place in np.linspace(0, len(names) - 1, per_table).astype(int)]
        for name in dict.fromkeys([*spread, *_first_of_each_type(table)]):
            case = table.model(name)
            found.setdefault(case.prefix, Chosen(f"{operator}[{name}]", case, table.exact))
    return list(found.values())

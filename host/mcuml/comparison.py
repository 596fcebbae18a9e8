"""Results side by side: the same figure of each, and how the later ones stand to the first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcuml.results import Result

SCHEMA = 1


@dataclass(frozen=True)
class Figure:
    """One figure that Results have. name: as the JSON has it; title: for people, with its unit; of: its value in a Result, None
    where it has none; decimals: shown."""

    name: str
    title: str
    of: Callable[[Result], float | None]
    decimals: int = 0


FIGURES = (
    Figure("cycles", "cycles", lambda r: r.latency.cycles if r.latency else None),
    Figure("cycles_per_mac", "cycles per MAC", lambda r: r.cycles_per_mac, 2),
    Figure("ms", "ms", lambda r: r.latency.ms if r.latency else None, 2),
    Figure("instructions", "instructions", lambda r: r.instructions.count if r.instructions else None),
    Figure("flash_bytes", "flash, bytes", lambda r: r.memory.flash_bytes if r.memory else None),
    Figure("code_bytes", "code, bytes", lambda r: r.memory.code_bytes if r.memory else None),
    Figure("weights_bytes", "weights, bytes", lambda r: r.memory.weights_bytes if r.memory else None),
    Figure("ram_bytes", "RAM, bytes", lambda r: r.memory.ram_bytes if r.memory else None),
    Figure("arena_bytes", "arena, bytes", lambda r: r.memory.arena_bytes if r.memory else None),
    Figure("stack_bytes", "stack, bytes", lambda r: r.memory.stack_bytes if r.memory else None),
    Figure("accuracy", "accuracy", lambda r: r.accuracy.value if r.accuracy else None, 4),
    Figure("energy_uj", "energy, µJ", lambda r: r.energy.uj if r.energy else None, 1),
)


@dataclass(frozen=True)
class Row:
    """A figure of all results. values: one for each, None where it has none; ratios: value / the first's, None where either is
    missing or the first is 0."""

    figure: Figure
    values: tuple[float | None, ...]

    @property
    def ratios(self) -> tuple[float | None, ...]:
        first = self.values[0]
        return tuple(None if v is None or not first else v / first for v in self.values)


@dataclass(frozen=True)
class Comparison:
    """`results` (two or more), what to call each, and the figures that at least one of them has."""

    results: tuple[Result, ...]
    names: tuple[str, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        """The comparison as JSON text: {"schema", "names", "figures": {name: {"values", "ratios"}}, "results"}; a figure that
        one of the results lacks is not among the figures."""
        whole = [row for row in self.rows if None not in row.values]
        figures = {row.figure.name: {"values": row.values, "ratios": [_rounded(r) for r in row.ratios]} for row in whole}
        held = [result.model_dump(mode="json", by_alias=True, exclude_none=True) for result in self.results]
        return json.dumps({"schema": SCHEMA, "names": self.names, "figures": figures, "results": held}, indent=1) + "\n"


def compare(results: Sequence[Result], fallback: Sequence[str]) -> Comparison:
    """Put `results` side by side. They are called by what they differ in: runtime, board, link, objective, model; where that is
    not enough to tell all apart, by `fallback` (such as their files' names)."""
    traits = [
        (r.runtime, r.board.name, r.link, r.optimize or "", r.model.name, r.model.sha256[:8], f"mcuml {r.mcuml}") for r in results
    ]
    different = [n for n in range(len(traits[0])) if len({t[n] for t in traits}) > 1]
    if 4 in different and 5 in different:
        different.remove(5)  # two models of two names
    told = [" ".join(filter(None, (t[n] for n in different))) for t in traits]
    names = tuple(told) if all(told) and len(set(told)) == len(told) else tuple(fallback)
    rows = (Row(figure, tuple(figure.of(r) for r in results)) for figure in FIGURES)
    return Comparison(tuple(results), names, tuple(row for row in rows if any(v is not None for v in row.values)))


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)

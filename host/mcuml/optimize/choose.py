"""Which candidates are worth having: the Pareto front, four recommendations with their reasons, and the one that meets a goal.

All of it on validation data: what is chosen from (`Seen`) has no field that holds a test result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from mcuml.errors import CheckError, RequestError
from mcuml.optimize.accounting import Account, OnBoard, bits
from mcuml.optimize.goals import METRICS, Condition, Goal
from mcuml.optimize.significance import Verdict, verdict

NEAREST = 3  # candidates named where none meets a goal


@dataclass(frozen=True, eq=False)
class Seen:
    """What choosing may know of one seed's Account. `correct`: bool (validation samples,)."""

    correct: np.ndarray
    tflite_bytes: int
    gzip_bytes: int
    macs: int
    boards: tuple[OnBoard, ...]


@dataclass(frozen=True, eq=False)
class Figures:
    """A candidate on one board. `accuracy`: percent, mean over seeds; `verdict`: against the baseline; both on the validation
    data. Sizes, memory and time are those of the seed that needs most: `flash`, `ram` (static and stack), `size`, `gzip` in
    bytes, `latency` in ms; None where the board has no room (`overshoot` says why) or no cycle model."""

    name: str
    baseline: bool
    accuracy: float
    verdict: Verdict
    errors: int  # wrong answers, of all seeds
    size: float
    gzip: float
    macs: float
    overshoot: str = ""
    flash: float | None = None
    ram: float | None = None
    latency: float | None = None
    cycles: float | None = None

    @property
    def accuracy_drop(self) -> float:
        return -self.verdict.difference

    def value(self, metric: str) -> float | None:
        """The figure that goals call `metric`."""
        return getattr(self, metric)

    def told(self, metric: str) -> str:
        value = self.value(metric)
        return "not known" if value is None else METRICS[metric].shown.format(value)


@dataclass(frozen=True)
class Recommendation:
    """`kind`: what it is recommended as; `reason`: one sentence."""

    kind: str
    name: str
    reason: str


def seen(account: Account) -> Seen:
    """What choosing may know of `account`."""
    right = bits(account.correct_validation, account.validation_samples)
    return Seen(right, account.tflite_bytes, account.gzip_bytes, account.macs, account.boards)


def figures(candidates: Mapping[str, Sequence[Seen]], baseline: str, board: str) -> tuple[Figures, ...]:
    """The figures on `board` of all candidates (recipe -> one Seen per seed, the same seeds for all), `baseline` one of them.
    Raises RequestError where seeds or samples do not match."""
    if baseline not in candidates:
        raise RequestError(f"The baseline '{baseline}' is not among the candidates.", f"These are: {', '.join(candidates)}.")
    base = [s.correct for s in candidates[baseline]]
    return tuple(_figures(name, seeds, base, name == baseline, board) for name, seeds in candidates.items())


def _figures(name: str, seeds: Sequence[Seen], base: Sequence[np.ndarray], baseline: bool, board: str) -> Figures:
    judged = verdict(base, [s.correct for s in seeds])
    on = [b for s in seeds for b in s.boards if b.board == board]
    if len(on) != len(seeds):
        raise RequestError(f"{name} was not accounted on {board} for each of its {len(seeds)} seeds.")
    held: dict[str, Any] = {"overshoot": next((b.overshoot for b in on if not b.fits), "")}
    if all(b.fits for b in on):
        held["flash"] = max(b.flash_bytes or 0 for b in on)
        held["ram"] = max((b.ram_bytes or 0) + (b.stack_bytes or 0) for b in on)
        if all(b.cycles is not None for b in on):
            held["cycles"], held["latency"] = max(b.cycles or 0 for b in on), max(b.ms or 0.0 for b in on)
    right = np.array([s.correct for s in seeds])
    return Figures(
        name, baseline, 100 * float(right.mean()), judged, int((~right).sum()),
        max(s.tflite_bytes for s in seeds), max(s.gzip_bytes for s in seeds), max(s.macs for s in seeds), **held,
    )  # fmt: skip


def front(held: Sequence[Figures]) -> tuple[Figures, ...]:
    """The Pareto front of those that fit the board: no other is at least as good in accuracy, flash, RAM and time, and better in
    one. Time is the latency, or multiply-accumulates on a board without a cycle model."""
    usable = [f for f in held if f.flash is not None]
    costs = {f.name: np.array([-f.accuracy, *map(f.value, ("flash", "ram", _time(usable)))], float) for f in usable}

    def beaten(own: np.ndarray) -> bool:
        return any((other <= own).all() and (other < own).any() for other in costs.values())

    return tuple(f for f in usable if not beaten(costs[f.name]))


def recommend(held: Sequence[Figures], limits: Sequence[Condition] = ()) -> tuple[Recommendation, ...]:
    """The smallest, the most accurate, the fastest and the best trade-off of those that fit the board and meet `limits`.

    Smallest and fastest are taken from those whose accuracy is not significantly worse than the baseline's; where only the
    baseline itself is left, the reason says what the winner costs. Best trade-off: of the front's candidates that are not
    significantly worse, the least geometric mean of four ratios to the baseline, all of equal weight: wrong answers (plus one),
    flash, RAM, time. Raises CheckError where nothing is left."""
    usable = _meeting(held, limits)
    time = _time(usable)
    top = max(usable, key=lambda f: (f.accuracy, -(f.flash or 0)))
    safe = [f for f in front(usable) if not f.verdict.worse] or list(front(usable))
    balanced = min(safe, key=lambda f: _score(f, time))
    base = next((f for f in held if f.baseline and f.flash is not None), None)
    share = f"the geometric mean of its wrong answers, flash, RAM and {time} is the least of those that are not worse"
    if base and base is not balanced:
        share += f", {np.exp(_score(balanced, time) - _score(base, time)):.2f} of the baseline's"
    return (
        _least("smallest", "flash", usable),
        Recommendation("most accurate", top.name, f"{top.told('accuracy')} is the highest accuracy{_against(top)}."),
        _least("fastest", time, usable),
        Recommendation("best trade-off", balanced.name, f"{share}, at {balanced.told('accuracy')}{_against(balanced)}."),
    )


def best(held: Sequence[Figures], goal: Goal, limits: Sequence[Condition] = ()) -> Recommendation:
    """The candidate that serves `goal` within `limits`; where its wishes leave a tie, or there are none, the best trade-off.
    Raises CheckError naming the nearest candidates where none meets it."""
    conditions = (*goal.conditions, *limits)
    usable = _meeting(held, conditions)
    for metric in [wish.metric for wish in goal.wishes]:
        if any(f.value(metric) is None for f in usable):
            raise CheckError(
                f"The {metric} on this board is not known.", "mcuml has no cycle model of its core.", "Wish for the fewest macs."
            )

    def rank(f: Figures) -> tuple[float, ...]:
        wishes = [(f.value(w.metric) or 0.0) * (1 if w.least else -1) for w in goal.wishes]
        return (*wishes, _score(f, _time(usable)))

    won = min(usable, key=rank)
    asked = [f"it has the {'least' if w.least else 'highest'} {w.metric} ({won.told(w.metric)})" for w in goal.wishes[:1]]
    met = f"of the {len(usable)} that meet " + " and ".join(c.text for c in conditions) if conditions else "of all that fit"
    return Recommendation("goal", won.name, f"{(asked or ['it is the best trade-off'])[0]} {met}{_against(won)}.")


def _meeting(held: Sequence[Figures], conditions: Sequence[Condition]) -> list[Figures]:
    """Those that fit the board and meet all conditions. Raises CheckError naming the nearest where there is none."""
    found = [f for f in held if f.flash is not None and all(c.holds(f.value(c.metric)) for c in conditions)]
    if found:
        return found

    def far(f: Figures) -> float:
        if f.flash is None:
            return float("inf")
        values = [(c, f.value(c.metric)) for c in conditions]
        return sum(np.inf if value is None else c.missed_by(value) for c, value in values)

    def misses(f: Figures) -> str:
        if f.flash is None:
            return f.overshoot
        told = []
        for c in (c for c in conditions if not c.holds(f.value(c.metric))):
            value, shown = f.value(c.metric), METRICS[c.metric].shown
            off = "" if value is None else f", {shown.format(abs(value - c.limit))} {'over' if '<' in c.sign else 'under'}"
            told.append(f"{c.metric} {f.told(c.metric)}{off}")
        return "; ".join(told)

    wanted = " and ".join(c.text for c in conditions)
    raise CheckError(
        f"No candidate meets {wanted}." if wanted else "No candidate fits the board.",
        "\n".join(f"{f.name}: {misses(f)}" for f in sorted(held, key=far)[:NEAREST]),
        "Loosen the goal, add recipes, or take a larger board.",
    )


def _least(kind: str, metric: str, usable: Sequence[Figures]) -> Recommendation:
    """The candidate with the least `metric` that is not significantly worse, or what the least of all costs."""

    def size(f: Figures) -> tuple[float, float]:
        return f.value(metric) or 0.0, -f.accuracy

    least = min(usable, key=size)
    safe = min((f for f in usable if not f.verdict.worse), key=size, default=least)
    if safe is least:
        return Recommendation(kind, least.name, f"its {metric} is the least, {least.told(metric)}{_against(least)}.")
    if safe.baseline:
        reason = (
            f"its {metric} is the least, {least.told(metric)}; nothing below the baseline's keeps its accuracy{_against(least)}."
        )
        return Recommendation(kind, least.name, reason)
    reason = (
        f"its {metric}, {safe.told(metric)}, is the least without a significant loss{_against(safe)}; {least.name} has "
        f"{least.told(metric)} but loses {least.told('accuracy_drop')}."
    )
    return Recommendation(kind, safe.name, reason)


def _time(usable: Sequence[Figures]) -> str:
    return "macs" if any(f.latency is None for f in usable) else "latency"


def _score(f: Figures, time: str) -> float:
    """The logarithm of the geometric mean that recommend() states, but for the baseline's, which is the same for all."""
    return sum(log(max(v, 1e-9)) for v in (f.errors + 1, f.flash or 0.0, f.ram or 0.0, f.value(time) or 0.0)) / 4


def _against(f: Figures) -> str:
    """ "; against the baseline -0.12 points, inside the noise (p = 0.31)": how it compares, to follow a figure."""
    if f.baseline:
        return ": the baseline itself"
    p = f.verdict.over_samples if f.verdict.worse else max(f.verdict.over_samples, f.verdict.over_seeds or 0.0)
    chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    return f", {f.verdict.difference:+.2f} points against the baseline: {f.verdict.words} ({chance})"

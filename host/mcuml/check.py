"""The procedure of `mcuml check`: bench again what a baseline holds, and judge how far each figure moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuml import baseline, bench, board, pipeline
from mcuml.baseline import Baseline, Entry, Wanted
from mcuml.errors import CheckError, FitError, ModelError, RequestError, UserError
from mcuml.limits import Limit
from mcuml.results import Layer, Result
from mcuml.run.device import link_name

Limits = Mapping[str, Limit]  # "latency", "flash", "ram", "accuracy" -> how far it may move


@dataclass(frozen=True)
class Row:
    """One figure, before and now (None: not there). limit: as it was given; note: what else is to say."""

    figure: str
    before: float | None
    now: float | None
    limit: str
    ok: bool
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Judged:
    """What came of one model on one board. rows: the figures; wrong: why there are none, or why these cannot count; notes: what
    is told beside."""

    key: tuple[str, str, str]
    rows: tuple[Row, ...] = ()
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    result: Result | None = None

    @property
    def ok(self) -> bool:
        return not self.wrong and all(row.ok for row in self.rows)


def measured(entry: Wanted, place: Path, oracle: bench.Oracle | None, progress: bench.Progress) -> Result:
    """The Result that `entry` of the baseline at `place` asks for, as of now. Raises what bench() raises."""
    target = board.load(baseline.located(entry.board, place) if entry.board.endswith(".toml") else entry.board)
    model = baseline.located(entry.model, place)
    plan = pipeline.prepare(model, entry.optimize)
    request = bench.Request(
        model,
        target,
        baseline.located(entry.data, place) if entry.data else None,
        baseline.located(entry.labels, place) if entry.labels else None,
        entry.samples,
        entry.board_samples,
        entry.runs,
        ("mcuml", "check"),
        link_name(entry.link),
    )
    return bench.bench(plan, request, oracle, progress).result


def judge(held: Baseline, place: Path, limits: Limits, oracle: bench.Oracle | None, progress: bench.Progress) -> list[Judged]:
    """Bench every model of `held` once and compare. What is wrong with a model is judged; what is wrong with this computer (no
    compiler, no simulator) is raised: BuildError, LinkError."""
    found = []
    keys = list(dict.fromkeys(entry.key for entry in held.entries))
    for number, key in enumerate(keys):
        entries = held.of(key)
        progress(f"{Path(key[0]).name} on {key[1]}", number, len(keys))
        try:
            result = measured(entries[0], place, oracle, bench.silent)
        except (FitError, ModelError, RequestError) as error:
            found.append(Judged(key, wrong=(told(error),)))
            continue
        entry = baseline.nearest(entries, result)
        found.append(compare(entry, result, limits) if entry else _other_compiler(key, entries, result))
    return found


def updated(
    held: Baseline, wanted: Sequence[Wanted], place: Path, oracle: bench.Oracle | None, progress: bench.Progress
) -> Baseline:
    """`held` with the present figures of all that is `wanted`; those by other compilers stay as they are. Raises what bench()
    raises, and CheckError for outputs that are wrong: these are no figures to hold others against."""
    once = {each.key: each for each in reversed(wanted)}
    for number, each in enumerate(reversed(once.values())):
        progress(f"{Path(each.model).name} on {each.board}", number, len(once))
        result = measured(each, place, oracle, bench.silent)
        if result.verify and not result.verify.passed:
            raise CheckError(f"{each.model} on {each.board}: outputs differ from {result.verify.oracle}; nothing was written.")
        held = held.with_entry(Entry(**each.model_dump(exclude={"result"}), result=result))
    return held


def told(error: UserError) -> str:
    """What went wrong, in one line."""
    return " ".join(part.strip() for part in (error.what, error.evidence) if part)


def _other_compiler(key: tuple[str, str, str], entries: list[Entry], result: Result) -> Judged:
    have = ", ".join(sorted({" ".join(entry.compiler) for entry in entries}))
    mine = " ".join(baseline.compiler(result))
    why = f"The baseline has figures by {have}; here {mine} compiles, whose figures are others. Add them: mcuml check --update"
    return Judged(key, wrong=(why,), result=result)


def compare(entry: Entry, result: Result, limits: Limits) -> Judged:
    """`result` against that of `entry`, which is of the same model file, board and compiler."""
    before, notes, wrong = entry.result, [], []
    if result.model.sha256 != before.model.sha256:
        notes.append(f"another model file: sha256 {before.model.sha256[:12]}, now {result.model.sha256[:12]}")
    if baseline.compiler(result) != entry.compiler:
        notes.append(f"another version of {entry.compiler[0]}: {entry.compiler[1]}, now {baseline.compiler(result)[1]}")
    if before.mcuml != result.mcuml:
        notes.append(f"another mcuml: {before.mcuml}, now {result.mcuml}")
    if result.verify and not result.verify.passed:
        wrong.append(f"outputs differ from {result.verify.oracle}: {result.verify.matching} of {result.verify.samples} agree")
    elif before.verify and not result.verify:
        wrong.append("the baseline's outputs were verified, these are not: pip install 'mcuml[verify]'")
    rows = [row for row in _rows(before, result, limits) if row]
    return Judged(entry.key, tuple(rows), tuple(wrong), tuple(notes), result)


def _rows(before: Result, now: Result, limits: Limits) -> list[Row | None]:
    slower = _slowest(before.layers or [], now.layers or [])
    return [
        _row("latency", _cycles(before), _cycles(now), limits.get("latency"), "cycles", slower),
        _row("instructions", _instructions(before), _instructions(now), limits.get("latency"), "instructions"),
        _row("flash", _memory(before, "flash_bytes"), _memory(now, "flash_bytes"), limits.get("flash"), "bytes"),
        _row("RAM", _memory(before, "ram_bytes"), _memory(now, "ram_bytes"), limits.get("ram"), "bytes"),
        _row("stack", _memory(before, "stack_bytes"), _memory(now, "stack_bytes"), limits.get("ram"), "bytes"),
        _row("accuracy", _accuracy(before), _accuracy(now), limits.get("accuracy"), "share"),
    ]


def _row(figure: str, before: float | None, now: float | None, limit: Limit | None, unit: str, note: str = "") -> Row | None:
    """None where neither has the figure. One that is gone is no better than one that moved."""
    if before is None:
        return None if now is None else Row(figure, None, now, "", True, unit, "new")
    if now is None:
        return Row(figure, before, None, limit.text if limit else "", limit is None, unit, "no such figure any more")
    ok = limit is None or limit.allows(before, now)
    return Row(figure, before, now, limit.text if limit else "", ok, unit, "" if ok else note)


def _cycles(result: Result) -> float | None:
    """Those that the milliseconds follow from."""
    return (result.latency.board_cycles or result.latency.cycles) if result.latency else None


def _instructions(result: Result) -> float | None:
    return result.instructions.count if result.instructions else None


def _memory(result: Result, name: str) -> float | None:
    return getattr(result.memory, name) if result.memory else None


def _accuracy(result: Result) -> float | None:
    return result.accuracy.value if result.accuracy else None


def _slowest(before: list[Layer], now: list[Layer]) -> str:
    """The layer that took the most cycles more, where both have the same layers; else ""."""
    if [layer.op for layer in before] != [layer.op for layer in now]:
        return ""
    more = [(b.cycles - a.cycles, b) for a, b in zip(before, now, strict=True) if a.cycles is not None and b.cycles is not None]
    most, layer = max(more, key=lambda pair: pair[0], default=(0, None))
    return f"most in operator {layer.operator}, {layer.op}: +{most:,} cycles" if layer is not None and most > 0 else ""

"""The report of an optimization: one row per recipe over all its seeds, as JSON and as the tables of Markdown and terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

import numpy as np
from pydantic import BaseModel, ConfigDict

from mcuml import __version__
from mcuml.errors import CheckError
from mcuml.optimize import choose
from mcuml.optimize.accounting import Account, OnBoard, bits
from mcuml.optimize.choose import Recommendation
from mcuml.optimize.goals import Condition, Goal
from mcuml.optimize.passes_effect import Passes
from mcuml.optimize.recipe import BASELINE, describe, full_text
from mcuml.optimize.runner import Outcome, Request
from mcuml.optimize.significance import Verdict, mean_sd, verdict
from mcuml.optimize.steps import Step
from mcuml.tables import Grid

SCHEMA = 1
HEADINGS = (
    "Recipe", ">Accuracy %", ">± sd", ">Change", "Paired test", ">.tflite B", ">x", ">gzip B", ">Weights ≠ 0",
)  # fmt: skip
ON_BOARD = (">Flash B", ">RAM B", ">Arena B", ">Cycles", ">ms")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Part):
    """A recipe: `accounts` seed by seed; `verdict` of the paired test over all seeds on the test set against the baseline;
    `pareto`: whether it is on choose.front()."""

    recipe: str
    steps: str
    accounts: tuple[Account, ...]
    verdict: Verdict | None = None
    pareto: bool = False

    def on_boards(self) -> list[list[OnBoard]]:
        """Board by board the figures of all seeds."""
        return [list(held) for held in zip(*(account.boards for account in self.accounts), strict=True)]


class Report(_Part):
    """Everything that a run found. `rows`: the baseline first, unless it failed. `failures`: (recipe, seed, sentence). `unmet`:
    why nothing meets goal or limits. `passes`: what mcuml's own are worth on the last that is recommended."""

    schema_version: int = SCHEMA
    mcuml: str = __version__
    when: str
    command: tuple[str, ...]
    model: str
    model_sha256: str
    data: str
    data_sha256: str
    samples: tuple[int, int, int]
    before: str
    seeds: int
    versions: dict[str, str]
    rows: tuple[Row, ...]
    recommended: tuple[Recommendation, ...] = ()
    failures: tuple[tuple[str, int, str], ...] = ()
    warnings: tuple[str, ...] = ()
    unmet: str = ""
    passes: Passes | None = None
    paper_bytes: int | None = None


def make(request: Request, outcome: Outcome, command: Sequence[str]) -> Report:
    """The report of what runner.optimize(request) gave, without recommendations. A recipe without all its seeds has no row."""
    found = {(c.recipe.name, c.seed): c.account for c in outcome.candidates}
    whole = [r for r in request.recipes if all((r.name, seed) in found for seed in range(request.seeds))]
    accounts = {r.name: tuple(found[r.name, seed] for seed in range(request.seeds)) for r in whole}
    base = accounts.get(BASELINE)
    return Report(
        when=datetime.now(timezone.utc).isoformat(timespec="seconds"), command=tuple(command),
        model=request.model.name, model_sha256=outcome.model_sha256, data=outcome.data_name, data_sha256=outcome.data_sha256,
        samples=outcome.samples, before=full_text(request.before), seeds=request.seeds, versions=outcome.versions,
        rows=tuple(
            Row(
                recipe=r.name, steps=full_text(r.steps), accounts=accounts[r.name],
                verdict=verdict(_correct(base), _correct(accounts[r.name])) if base and r.name != BASELINE else None,
            )
            for r in whole
        ),
        failures=tuple((f.recipe.name, f.seed, str(f.error)) for f in outcome.failures),
        warnings=outcome.warnings, paper_bytes=outcome.paper_bytes,
    )  # fmt: skip


def chosen(report: Report, board: str, goal: Goal | None, limits: Sequence[Condition]) -> tuple[Report, CheckError | None]:
    """The report with its Pareto front on `board` and what is recommended for it: what serves `goal`, and four. All by the
    validation data. With it the error that names the nearest, where nothing meets goal or limits: then none is recommended."""
    if _baseline(report) is None:
        return report, None
    held = choose.figures({row.recipe: [choose.seen(a) for a in row.accounts] for row in report.rows}, BASELINE, board)
    front = {f.name for f in choose.front(held)}
    rows = tuple(row.model_copy(update={"pareto": row.recipe in front}) for row in report.rows)
    try:
        wanted = (choose.best(held, goal, limits),) if goal else ()
        recommended = (*wanted, *choose.recommend(held, limits))
    except CheckError as error:
        return report.model_copy(update={"rows": rows, "unmet": str(error)}), error
    return report.model_copy(update={"rows": rows, "recommended": recommended}), None


def _baseline(report: Report) -> Row | None:
    return next((row for row in report.rows if row.recipe == BASELINE), None)


def _correct(accounts: Sequence[Account]) -> list[np.ndarray]:
    return [bits(a.correct_test, a.test_samples) for a in accounts]


def headings(report: Report) -> list[str]:
    """Of the table; a ">" in front means right-aligned."""
    boards = [held[0].board for held in report.rows[0].on_boards()] if report.rows else []
    named = [h if len(boards) == 1 else f"{h}, {name}" for name in boards for h in ON_BOARD]
    return [*HEADINGS, *([">x in the paper's accounting"] if report.paper_bytes else []), *named]


def cells(report: Report, row: Row) -> list[str]:
    """One row of the table. Figures of files are means over the seeds; those on boards are of the seed that needs most."""
    accuracy, sd = mean_sd([100 * a.test_accuracy for a in row.accounts])
    size, base = _mean(row, "tflite_bytes"), _baseline(report)
    found = [
        row.recipe + (" *" if row.pareto else ""),
        f"{accuracy:.2f}",
        "" if sd is None else f"{sd:.2f}",
        f"{row.verdict.difference:+.2f}" if row.verdict else "",
        f"{row.verdict.words} (p {row.verdict.over_samples:.2g})" if row.verdict else "",
        f"{size:,.0f}",
        f"{_mean(base, 'tflite_bytes') / size:.2f}" if base else "",
        f"{_mean(row, 'gzip_bytes'):,.0f}",
        f"{_mean(row, 'nonzero_parameters'):,.0f} of {_mean(row, 'parameters'):,.0f}",
    ]
    if report.paper_bytes:
        found.append(f"{report.paper_bytes / size:.2f}")
    return found + [cell for held in row.on_boards() for cell in _on_board(held)]


def _mean(row: Row, name: str) -> float:
    return mean_sd([getattr(account, name) for account in row.accounts])[0]


def _on_board(seeds: Sequence[OnBoard]) -> list[str]:
    overshoot = next((board.overshoot for board in seeds if not board.fits), None)
    if overshoot is not None:
        return [f"does not fit: {overshoot}", "", "", "", ""]

    def most(name: str, form: str) -> str:
        values = [getattr(board, name) for board in seeds]
        return "" if None in values else form.format(max(values))

    return [*(most(name, "{:,}") for name in ("flash_bytes", "ram_bytes", "arena_bytes", "cycles")), most("ms", "{:.2f}")]


def notes(report: Report) -> list[str]:
    """What a reader of the table must know, a sentence each."""
    train, validation, test = report.samples
    found = [
        f"Trained on {train:,} samples, chosen on {validation:,}, accuracy shown on {test:,} that no choice looked at: "
        f"of the exported model's generated C; {report.seeds} seed{'s' if report.seeds > 1 else ''}.",
        *report.warnings,
        "x: the baseline's float32 .tflite over this one, like for like.",
        "*: on the Pareto front of accuracy, flash, RAM and latency.",
    ]
    for held in report.rows[0].on_boards() if report.rows else []:
        if held[0].kind:
            checked = f" ({held[0].error})" if held[0].error else ""
            found.append(f"{held[0].board}: latency {held[0].kind}{checked}; figures of the seed that needs most.")
    found.append(checks(report))
    if report.paper_bytes:
        found.append(
            f"The paper's accounting divides the trained .h5 with the optimizer's state ({report.paper_bytes:,} bytes) "
            "by the .tflite: not like for like."
        )
    return found


def checks(report: Report) -> str:
    """How many exported models gave the oracle's outputs on the virtual boards, as a sentence."""
    held = [board for row in report.rows for account in row.accounts for board in account.boards if board.agrees is not None]
    if not held:
        return "Outputs were compared with no oracle."
    wrong = sum(not b.agrees for b in held)
    exact = sum(bool(b.identical) for b in held)
    return (
        f"{len(held) - wrong} of {len(held)} models on a virtual board gave {held[0].oracle}'s outputs on {held[0].samples} "
        f"samples, {exact} bit for bit, the others (floats) within 1e-5."
    )


def wrong(report: Report) -> list[str]:
    """The recipes with a model whose outputs on a virtual board were not the oracle's."""
    return [r.recipe for r in report.rows if any(b.agrees is False for a in r.accounts for b in a.boards)]


def markdown(report: Report) -> str:
    """The report as a Markdown page."""
    lines = [f"# {report.model} on {report.data}", "", f"{report.when}, mcuml {report.mcuml}: `{' '.join(report.command)}`", ""]
    lines += table(headings(report), [cells(report, row) for row in report.rows])
    lines += ["", *(f"- {note}" for note in notes(report))]
    if report.recommended:
        lines += ["", "## Recommended", "", *(f"- {line}" for line in advice(report))]
    if report.unmet:
        lines += ["", "## Nothing meets the goal", "", *(f"- {line}" for line in report.unmet.splitlines())]
    if report.passes:
        lines += ["", "## mcuml's own graph passes", "", passes_told(report.passes), ""]
        lines += table(("Pass", ">Cycles", ">Arena B", ">Flash B"), _passes_cells(report.passes))
    if report.failures:
        lines += ["", "## Did not come to an end", "", *(f"- {line}" for line in failed(report))]
    ahead = [f"Ahead of each: `{report.before}`", ""] if report.before else []
    lines += ["", "## Steps", "", *ahead, *(f"- {row.recipe}: `{row.steps}`" for row in report.rows)]
    return "\n".join(lines) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table. A heading that begins with ">" is right-aligned, as in mcuml.tables.Grid."""
    rule = ["--:" if head.startswith(">") else "---" for head in heads]
    return [f"| {' | '.join(line)} |" for line in ([head.lstrip(">") for head in heads], rule, *rows)]


def failed(report: Report) -> list[str]:
    """The recipes that did not come to their end, a line each."""
    return [f"{name}, seed {seed}: {' '.join(why.split())}" for name, seed, why in report.failures]


def advice(report: Report) -> list[str]:
    """The recommendations, a line each."""
    return [f"{r.kind}: {r.name}: {r.reason}" for r in report.recommended]


def passes_told(passes: Passes) -> str:
    """What passes_grid() shows, as a sentence."""
    exact = all(e.identical for e in passes.effects if e.without)
    return (
        f"What the graph passes save on {passes.recipe}, {passes.board}: more without each one; outputs are the same"
        f"{', bit for bit' if exact else ' but for the rounding of floats'}."
    )


def _passes_cells(passes: Passes) -> list[tuple[str, ...]]:
    """(pass, cycles, arena, flash) of those that change the model, then one row for the others."""
    found: list[tuple[str, ...]] = []
    idle = []
    for effect in passes.effects:
        saved = effect.saved(passes.full)
        if saved is None:
            found.append((effect.name, "needed", "", ""))
        elif effect.without == passes.full:
            idle.append(effect.name)
        else:
            cycles = "" if saved.cycles is None else f"{saved.cycles:,}"
            found.append((effect.name, cycles, f"{saved.arena:,}", f"{saved.flash:,}"))
    return [*found, (", ".join(idle), "0", "0", "0")] if idle else found


def passes_grid(passes: Passes) -> Grid:
    """What each pass saves, for a terminal."""
    table = Grid("Pass", ">Cycles", ">Arena B", ">Flash B")
    for row in _passes_cells(passes):
        table.add_row(*row)
    return table


def grid(report: Report) -> Grid:
    """The table for a terminal."""
    heads = headings(report)
    table = Grid(*heads, drop=("Weights ≠ 0", "± sd", "gzip B", "Arena B", "Cycles"))
    for row in report.rows:
        table.add_row(*cells(report, row))
    return table


def steps(found: Iterable[type[Step]]) -> Grid:
    """The steps of recipes and their settings."""
    table = Grid("Step", "What it does", "Settings and their defaults")
    for step in found:
        table.add_row(step.name, step.summary, describe(step))
    return table

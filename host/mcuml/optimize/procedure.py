"""All that `mcuml optimize` does, from a request to the files in its folder; and run(), the same from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuml import reference, results
from mcuml.errors import CheckError, UserError
from mcuml.optimize import delivery, goals, passes_effect, report, runner
from mcuml.optimize import recipe as parsing
from mcuml.optimize.accounting import load_boards
from mcuml.optimize.goals import Condition, Goal
from mcuml.optimize.passes_effect import Passes
from mcuml.optimize.recipe import Recipe
from mcuml.optimize.report import Report
from mcuml.optimize.runner import Outcome, Progress, Request
from mcuml.optimize.steps import Step
from mcuml.optimize.store import Store
from mcuml.optimize.tree import key
from mcuml.schedule import check_objective


@dataclass(frozen=True)
class Done:
    """`unmet`: why no candidate meets the goal or the limits."""

    report: Report
    unmet: CheckError | None


def carry_out(
    request: Request, progress: Progress, command: Sequence[str], goal: Goal | None = None, limits: Sequence[Condition] = ()
) -> Done:
    """Run the recipes, choose, and write report, lock file and models into request.out. Raises UserError only where there is
    nothing to report."""
    outcome = runner.optimize(request, progress)
    found = report.make(request, outcome, command)
    found, unmet = report.chosen(found, load_boards(request.boards)[0].name, goal, limits)
    progress("what mcuml's own graph passes are worth", 1, 1)
    found = _with_passes(found, request, outcome)
    delivery.models(outcome, request.out / "models")
    delivery.lock(request, outcome, request.out / delivery.LOCK)
    results.save(found.model_dump_json(indent=1, exclude_none=True) + "\n", request.out / "report.json")
    results.save(report.markdown(found), request.out / "report.md")
    return Done(found, unmet)


def _with_passes(found: Report, request: Request, outcome: Outcome) -> Report:
    """The report with the effect of mcuml's graph passes on the last recommendation's first model, from the store where it is
    known. An effect that cannot be told is a warning."""
    if not found.recommended:
        return found
    name, board = found.recommended[-1].name, request.boards[0]
    model = next(c.tflite for c in outcome.candidates if c.recipe.name == name)
    about = key("passes", model.stem, board, request.objective, outcome.versions)
    store = Store(request.out / runner.RESULTS)
    try:
        known = store.passes(about)
        if known is None:
            full, effects = passes_effect.effects(model.read_bytes(), name, board, request.objective)
            known = Passes(board=board, full=full, effects=effects)
            store.put_passes(about, known)
    except UserError as error:
        return found.model_copy(update={"warnings": (*found.warnings, error.what)})
    finally:
        store.close()
    return found.model_copy(update={"passes": known.model_copy(update={"recipe": name})})


def run(
    model: str | Path,
    data: str | Path,
    recipes: Sequence[Recipe | str],
    board: str,
    out: str | Path = "optimized",
    *,
    baseline: Sequence[Step] = (),
    seeds: int = 1,
    jobs: int = 1,
    batch: int = 64,
    pixels: str = "0..1",
    goal: str = "",
    fit: str = "",
    objective: str = "balanced",
    progress: Progress = lambda *_: None,
) -> Report:
    """What `mcuml optimize` does, with the same words: `recipes` are Recipes or what --recipe takes, `baseline` the steps
    before every recipe. Writes the folder `out`. Worker processes import the calling script: keep the call below
    `if __name__ == "__main__":`. Raises the UserError that `mcuml optimize` would end with, but for recipes that failed: those
    are in Report.failures."""
    check_objective(objective)
    wanted, limits = goals.parse(goal) if goal else None, goals.parse_fit(fit) if fit else ()
    chosen = parsing.choose(recipes)
    request = Request(
        Path(model), str(data), Path(out), chosen.recipes, (board,), tuple(baseline) or chosen.before, chosen.locked, pixels,
        objective, seeds, jobs, batch, reference.oracle(),
    )  # fmt: skip
    done = carry_out(request, progress, ("mcuml.optimize.run",), wanted, limits)
    if done.unmet:
        raise done.unmet
    return done.report

"""`mcuml check`: bench again what a baseline holds, and exit 7 when a model got slower, bigger or wrong."""

from pathlib import Path
from typing import Annotated

import typer

BASELINE = Path("baseline.json")


def check(
    models: Annotated[
        list[Path] | None, typer.Argument(metavar="[MODEL]...", help="With --update: models to add.", show_default=False)
    ] = None,
    baseline: Annotated[Path, typer.Option(metavar="FILE", help="The figures to hold against.")] = BASELINE,
    max_latency: Annotated[str, typer.Option(metavar="LIMIT", help="Cycles may rise by this: +2%, or +500.")] = "+2%",
    max_flash: Annotated[str, typer.Option(metavar="LIMIT", help="Flash may grow by this: +1%, or bytes.")] = "+1%",
    max_ram: Annotated[str, typer.Option(metavar="LIMIT", help="Static RAM and stack, each, may grow by this.")] = "0",
    min_accuracy: Annotated[str, typer.Option(metavar="LIMIT", help="Accuracy may fall by this many points.")] = "-0.2%",
    update: Annotated[bool, typer.Option("--update", help="Write the baseline from the figures as they are now.")] = False,
    board: Annotated[list[str] | None, typer.Option(metavar="NAME", help="With MODEL: on this board; may be repeated.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="With MODEL: samples, for the accuracy.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="With MODEL: their class numbers.")] = None,
    samples: Annotated[str, typer.Option(metavar="N", help="With MODEL: how many of the data, or 'all'.")] = "20",
    link: Annotated[str, typer.Option(metavar="LINK", help="With MODEL: virtual, qemu or renode.")] = "virtual",
    optimize: Annotated[str, typer.Option(metavar="GOAL", help="With MODEL: as for bench.")] = "balanced",
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write Markdown there.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table.")] = False,
) -> None:
    """Bench the models of a baseline again. Exit 7 if one got slower, bigger, less accurate or wrong."""
    from mcuml import baseline as file
    from mcuml import check as procedure
    from mcuml import check_report, limits, results
    from mcuml.cli._console import show, stages, tell
    from mcuml.cli._oracle import MISSING, find_oracle
    from mcuml.errors import CheckError, RequestError

    allowed = {
        "latency": limits.parse("--max-latency", max_latency),
        "flash": limits.parse("--max-flash", max_flash),
        "ram": limits.parse("--max-ram", max_ram),
        "accuracy": limits.parse("--min-accuracy", min_accuracy, falls=True),
    }
    for place in (junit, summary, baseline if update else None):
        if place:
            results.check_place(place)
    if not update and (models or board or data or labels):
        raise RequestError("MODEL, --board, --data and --labels are for --update.", "", "A check takes them from the baseline.")
    held = file.Baseline() if update and models and not baseline.exists() else file.load(baseline)
    if not held.entries and not models:
        raise RequestError(f"{baseline} holds no models.", "", "Add one: mcuml check --update MODEL --board NAME")
    oracle = find_oracle()
    if oracle is None and not quiet:
        tell(MISSING)
    if update:
        wanted = _entries(models or [], board, data, labels, samples, link, optimize, baseline) if models else held.entries
        with stages(quiet) as progress:
            changed = procedure.updated(held, wanted, baseline, oracle, progress)
        file.save(changed, baseline)
        if not quiet:
            show(f"{baseline}: {len(changed.entries)} figures of {len({e.key for e in changed.entries})} models and boards.")
        return
    with stages(quiet) as progress:
        judged = procedure.judge(held, baseline, allowed, oracle, progress)
    if junit:
        results.save(check_report.junit(judged), junit)
    if summary:
        _summarize(check_report.markdown(judged), summary)
    if not quiet:
        show(check_report.table(judged))
    failed = [one for one in judged if not one.ok]
    if failed:
        raise CheckError(
            f"{len(failed)} of {len(judged)} models moved beyond their limits, or could not be judged.",
            "" if not quiet else check_report.markdown(failed),
            f"If that is meant: mcuml check --update{f' --baseline {baseline}' if baseline != BASELINE else ''}, and commit it.",
        )


def _entries(models, boards, data, labels, samples, link, optimize, baseline):
    """What the options ask to add, one per model and board."""
    from mcuml.baseline import Wanted, relative
    from mcuml.cli._defaults import default_board
    from mcuml.cli._options import sample_count
    from mcuml.errors import RequestError
    from mcuml.run.device import link_name

    if link_name(link) == "serial":
        raise RequestError("A baseline cannot be checked on a board.", "", "Take --link virtual, qemu or renode.")
    count = sample_count(samples)
    return [
        Wanted(
            model=relative(model, baseline),
            board=relative(Path(name), baseline) if name.endswith(".toml") else name,
            link=link,
            data=relative(data, baseline) if data else None,
            labels=relative(labels, baseline) if labels else None,
            samples=count,
            optimize=optimize,
        )
        for model in models
        for name in boards or [default_board()]
    ]


def _summarize(text: str, place: Path) -> None:
    """GitHub's own file collects what several commands write; any other is written anew."""
    import os

    from mcuml import results

    if str(place) == os.environ.get("GITHUB_STEP_SUMMARY") and place.exists():
        with place.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    else:
        results.save(text, place)

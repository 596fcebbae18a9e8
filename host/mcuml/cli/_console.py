"""Where the command line prints: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from mcuml.errors import UserError

Progress = Callable[..., None]  # progress(stage, done=None, total=None): a new stage, or how far the present one is


def out() -> Console:
    """stdout. Made anew on each call: tests and pipes replace sys.stdout. rich itself respects NO_COLOR."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 110)


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def show_error(error: UserError) -> None:
    """What went wrong, the evidence, what to try: one paragraph each, to stderr."""
    console = err()
    console.print(f"[bold red]error:[/] {escape(error.what)}")
    if error.evidence:
        console.print(escape(error.evidence), style="dim")
    if error.try_next:
        console.print(escape(error.try_next))


@contextmanager
def stages(quiet: bool = False) -> Iterator[Progress]:
    """Yields progress(stage, done=None, total=None). On a terminal a live bar that leaves nothing behind; elsewhere one
    line on stderr per stage that took over a second, so that a CI log shows where the time went."""
    if quiet:
        yield lambda *_args, **_kwargs: None
    elif sys.stderr.isatty():
        yield from _live()
    else:
        yield from _lines()


def _live() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=err(), transient=True) as bar:
        tasks: dict[str, int] = {}

        def progress(stage: str, done: int | None = None, total: int | None = None) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    held = bar._tasks[task]  # noqa: SLF001
                    bar.update(task, completed=held.total or 1, total=held.total or 1)
                tasks[stage] = bar.add_task(stage, total=total)
            if done is not None:
                bar.update(tasks[stage], completed=done, total=total)

        yield progress


def _lines() -> Iterator[Progress]:
    current, began = "", time.monotonic()

    def finish() -> None:
        took = time.monotonic() - began
        if current and took >= 1:
            print(f"{current}: {took:.1f} s", file=sys.stderr, flush=True)

    def progress(stage: str, done: int | None = None, total: int | None = None) -> None:
        nonlocal current, began
        if stage != current:
            finish()
            current, began = stage, time.monotonic()

    yield progress
    finish()

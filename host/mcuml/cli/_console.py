"""Where the command line prints: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape

from mcuml.errors import UserError

if TYPE_CHECKING:
    from rich.progress import TaskID

Progress = Callable[..., None]  # progress(stage, done=None, total=None): a new stage, or how far the present one is
LINE_SECONDS = 30  # between two lines of progress in a log
PIPE_COLUMNS = 120  # a table's width where there is no terminal


def show(*what: RenderableType, wrap: bool = True) -> None:
    """Print to stdout, one under the other. In a pipe or a file no line ends in the spaces that a table is filled up with."""
    console = _console(stderr=False)
    if sys.stdout.isatty():
        console.print(*what, sep="\n", soft_wrap=not wrap)
        return
    with console.capture() as held:
        console.print(*what, sep="\n", soft_wrap=not wrap)
    print("\n".join(line.rstrip() for line in held.get().split("\n")), end="")


def tell(what: str) -> None:
    """Print one line to stderr, unbroken: for people, beside the data on stdout."""
    _console(stderr=True).print(what, soft_wrap=True)


def _console(stderr: bool) -> Console:
    """Made anew on each call: tests and pipes replace sys.stdout. rich itself respects NO_COLOR and COLUMNS."""
    told = (sys.stderr if stderr else sys.stdout).isatty() or os.environ.get("COLUMNS")
    return Console(stderr=stderr, highlight=False, width=None if told else PIPE_COLUMNS)


def show_error(error: UserError) -> None:
    """What went wrong, the evidence, what to try, one under the other, to stderr. Not wrapped: people search for these."""
    tell(f"[bold red]error:[/] {escape(error.what)}")
    if error.evidence:
        tell(f"[dim]{escape(error.evidence)}[/]")
    if error.try_next:
        tell(escape(error.try_next))


@contextmanager
def stages(quiet: bool = False) -> Iterator[Progress]:
    """Yields progress(stage, done=None, total=None). On a terminal live bars that leave nothing behind; elsewhere one line
    on stderr per stage that took over a second, so that a CI log shows where the time went."""
    if quiet:
        yield lambda *_args, **_kwargs: None
    elif sys.stderr.isatty():
        yield from _live()
    else:
        yield from _lines()


def _live() -> Iterator[Progress]:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=_console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}
        totals: dict[str, int] = {}

        def progress(stage: str, done: int | None = None, total: int | None = None) -> None:
            if stage not in tasks:
                for earlier, task in tasks.items():
                    full = totals.get(earlier, 1)
                    bar.update(task, total=full, completed=full)
                tasks[stage] = bar.add_task(stage, total=total)
            if total is not None:
                totals[stage] = total
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


@contextmanager
def work_bar(quiet: bool = False) -> Iterator[Callable[[str, float, float], None]]:
    """Yields progress(sentence, done, total) for long work: on a terminal a bar with the time left; elsewhere a line on stderr
    twice a minute, so that a log tells how far it is."""
    if quiet:
        yield lambda *_: None
    elif sys.stderr.isatty():
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            SpinnerColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Bar(*columns, TextColumn("{task.description}"), console=_console(stderr=True), transient=True) as bar:
            task = bar.add_task("")

            def update(sentence: str, done: float, total: float) -> None:
                bar.update(task, completed=done, total=total, description=escape(sentence) if sentence else None)

            yield update
    else:
        told = time.monotonic()

        def progress(sentence: str, done: float, total: float) -> None:
            nonlocal told
            if sentence and time.monotonic() - told >= LINE_SECONDS:
                told = time.monotonic()
                print(f"{100 * done / max(total, 1):3.0f} %  {sentence}", file=sys.stderr, flush=True)

        yield progress

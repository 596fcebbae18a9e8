"""Tables for a terminal: names with values, and grids that leave out columns where there is no room for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

Rows = list[tuple[str, str]]
EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, cells: int) -> str:
    """`share` (0..1) of `cells` as block characters, in steps of an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(cells)


def pairs(rows: Rows) -> Table:
    """Name and value, one pair per row; an empty name goes on with the value above."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


class Grid:
    """A table with a rule under its head; a heading that begins with ">" is right-aligned. Where the terminal is too narrow
    the columns named in `drop` go, the first of them first."""

    def __init__(self, *headings: str, drop: Sequence[str] = ()):
        self._headings, self._drop = headings, drop
        self._rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        self._rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update(width=1 << 16)
        for count in range(len(self._drop) + 1):
            table = self._table(self._drop[:count])
            if Measurement.get(console, unlimited, table).maximum <= options.max_width:
                break
        yield table

    def _table(self, without: Collection[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        kept = [n for n, heading in enumerate(self._headings) if heading.lstrip(">") not in without]
        for n in kept:
            right = self._headings[n].startswith(">")
            table.add_column(self._headings[n].lstrip(">"), justify="right" if right else "left", no_wrap=right or n == 0)
        for row in self._rows:
            table.add_row(*(row[n] for n in kept))
        return table

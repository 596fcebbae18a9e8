"""A comparison of results as a table for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape

from mcuml.comparison import Comparison, Row
from mcuml.report import LINKS, difference
from mcuml.results import Result
from mcuml.tables import Grid, Rows, pairs


def comparison(held: Comparison) -> RenderableType:
    """What was compared, a row for each figure with its ratio to the first, and whether the outputs are the oracle's."""
    pair = len(held.names) == 2
    ratio = [f">{escape(held.names[1])} / {escape(held.names[0])}"] if pair else []
    table = Grid("", *(f">{escape(name)}" for name in held.names), *ratio)
    for row in held.rows:
        table.add_row(row.figure.title, *cells(row, not pair), *([times(row.ratios[1])] if pair else []))
    return Group(
        pairs(_head(held)), table, pairs([(escape(n), _outputs(r)) for n, r in zip(held.names, held.results, strict=True)])
    )


def cells(row: Row, with_ratio: bool) -> list[str]:
    """The values; behind all but the first its ratio to that, if asked for."""
    told = ["" if v is None else f"{v:,.{row.figure.decimals}f}" for v in row.values]
    if not with_ratio:
        return told
    return [told[0], *(f"{t} ({times(r)})" if r is not None else t for t, r in zip(told[1:], row.ratios[1:], strict=True))]


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _head(held: Comparison) -> Rows:
    """What is the same in all results, said once."""
    first = held.results[0]
    rows = []
    for title, told in (("model", _model), ("board", _board), ("latency", _latency)):
        if told(first) and all(told(r) == told(first) for r in held.results):
            rows.append((title, escape(told(first))))
    for name, result in zip(held.names, held.results, strict=True):
        library = (result.toolchain or {}).get("library")
        if library:
            rows.append((name, f"TensorFlow Lite Micro, {escape(str(library))}"))
    return rows


def _model(r: Result) -> str:
    return f"{r.model.name}  {r.model.scheme}, {r.model.macs:,} MACs, {r.model.bytes:,} bytes, sha256 {r.model.sha256[:12]}"


def _board(r: Result) -> str:
    return f"{r.board.name}  {r.board.core} at {r.board.clock_hz / 1e6:g} MHz ({LINKS.get(r.link, r.link)})"


def _latency(r: Result) -> str:
    return f"{r.latency.kind}: {r.latency.method}" if r.latency else ""


def _outputs(r: Result) -> str:
    if r.verify is None:
        return "outputs not verified"
    count = f"{r.verify.matching:,} of {r.verify.samples:,} outputs"
    if r.verify.identical:
        return f"[green]{count} identical to {escape(r.verify.oracle)}[/]"
    if r.verify.passed:
        return f"[green]{count} within {r.verify.tolerance:g} of {escape(r.verify.oracle)}[/]"
    where = f"; {difference(r.verify.first_difference)}" if r.verify.first_difference else ""
    return f"[red]{count} agree with {escape(r.verify.oracle)}[/], largest difference {r.verify.max_abs_diff:g}{escape(where)}"

"""What `mcuml check` found: a table for a terminal, Markdown for a pull request, JUnit XML for CI systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Group, RenderableType
from rich.markup import escape

from mcuml.check import Judged, Row
from mcuml.tables import Grid

HEADINGS = ("model", "board", "figure", "baseline", "now", "change", "limit", "")
SHARE = "share"  # the unit of figures from 0 to 1, told in percent


def table(judged: Sequence[Judged]) -> RenderableType:
    """What moved, one figure a line, and below it what else is to say."""
    grid = Grid("model", "board", "figure", ">baseline", ">now", ">change", ">limit", "", drop=("board", "baseline"))
    for cells, ok in _lines(judged):
        grid.add_row(*(escape(cell) for cell in cells), "[green]✔[/]" if ok else "[bold red]✘[/]")
    said = [f"{'[bold red]' if bad else '[dim]'}{escape(where)}: {escape(text)}[/]" for where, text, bad in _remarks(judged)]
    return Group(grid, *said)


def markdown(judged: Sequence[Judged]) -> str:
    """The same for a summary or a comment."""
    failed = sum(not one.ok for one in judged)
    head = (
        f"### mcuml check: {failed} of {len(judged)} failed" if failed else f"### mcuml check: {len(judged)} within their limits"
    )
    lines = [head, "", f"| {' | '.join(HEADINGS)} |", "|---|---|---|--:|--:|--:|--:|:-:|"]
    for cells, ok in _lines(judged):
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + f" | {'✅' if ok else '❌'} |")
    for where, text, bad in _remarks(judged):
        lines += ["", f"{'❌' if bad else 'ℹ️'} **{where}**: {' '.join(text.split())}"]
    return "\n".join(lines) + "\n"


def junit(judged: Sequence[Judged]) -> str:
    """One test case per model, board and figure, as Jenkins, GitLab and GitHub's reporters read it: testsuites, testsuite,
    testcase with failure or skipped."""
    suites = ElementTree.Element("testsuites", name="mcuml check")
    for one in judged:
        cases = [(row.figure, "" if row.ok else _sentence(row), "") for row in one.rows]
        cases += [("result", text, "") for text in one.wrong]
        if not cases:
            cases = [("result", "", "; ".join(one.notes) or "nothing to compare")]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_where(one),
            tests=str(len(cases)),
            failures=str(sum(bool(failure) for _, failure, _ in cases)),
            errors="0",
            skipped=str(sum(bool(skip) for *_, skip in cases)),
        )
        for figure, failure, skip in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=_where(one).replace(".", "_"), name=figure)
            if failure:
                ElementTree.SubElement(case, "failure", message=failure).text = failure
            elif skip:
                ElementTree.SubElement(case, "skipped", message=skip)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _where(one: Judged) -> str:
    model, board, link = one.key
    return f"{Path(model).stem} on {Path(board).stem}" + (f" ({link})" if link != "virtual" else "")


def _lines(judged: Sequence[Judged]) -> list[tuple[tuple[str, ...], bool]]:
    """(cells, whether it is within its limit): the figures that moved, or one line for a model where none did."""
    found: list[tuple[tuple[str, ...], bool]] = []
    for one in judged:
        model, board = Path(one.key[0]).stem, Path(one.key[1]).stem
        moved = [row for row in one.rows if not row.ok or row.before != row.now]
        for row in moved:
            found.append(
                ((model, board, row.figure, _number(row, row.before), _number(row, row.now), _change(row), row.limit), row.ok)
            )
        if not moved:
            told = "nothing moved" if one.rows else "no figures"
            found.append(((model, board, told, "", "", "", ""), one.ok))
    return found


def _remarks(judged: Sequence[Judged]) -> list[tuple[str, str, bool]]:
    """(where, what, whether it fails the check)."""
    found = []
    for one in judged:
        found += [(_where(one), text, True) for text in one.wrong]
        found += [(_where(one), f"{row.figure}: {row.note}", not row.ok) for row in one.rows if row.note]
        found += [(_where(one), text, False) for text in one.notes]
    return found


def _number(row: Row, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.2f} %" if row.unit == SHARE else f"{value:,.0f} {row.unit}"


def _change(row: Row) -> str:
    if row.before is None or row.now is None:
        return ""
    if row.unit == SHARE:
        return f"{100 * (row.now - row.before):+.2f} points"
    percent = f"{100 * (row.now - row.before) / row.before:+.2f} %" if row.before else "new"
    return f"{row.now - row.before:+,.0f} ({percent})"


def _sentence(row: Row) -> str:
    limit = f", limit {row.limit}" if row.limit else ""
    told = f"{row.figure}: {_number(row, row.before)} in the baseline, {_number(row, row.now)} now {_change(row)}".strip()
    return told + limit + (f"; {row.note}" if row.note else "")

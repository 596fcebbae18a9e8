"""What `mcuml verify` found, for a terminal: a short table, and the first diverging layer in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape

from mcuml.report import shape
from mcuml.tables import Grid, Rows, pairs
from mcuml.verify import Verdict, Verification

SHOWN = 12  # diverging layers in the table


def verification(held: Verification, details: bool = False) -> RenderableType:
    """The summary; with a difference the diverging layers, with `details` every layer."""
    wrong = held.diverging
    shown = held.layers if details else wrong[:SHOWN]
    parts: list[RenderableType] = [pairs(_summary(held))]
    if shown:
        parts.append(_table(shown))
    if not details and len(wrong) > len(shown):
        parts.append(f"and {len(wrong) - len(shown)} more")
    return Group(*parts)


def _summary(held: Verification) -> Rows:
    rows: Rows = [("model", escape(held.model)), ("oracle", escape(held.oracle))]
    for where in dict.fromkeys(v.where for v in held.layers):
        here = [v for v in held.layers if v.where == where]
        wrong = sum(bool(v.differing) for v in here)
        name = f"{held.board} ({where})" if where == "virtual board" else where
        told = f"[bold red]{wrong} of {len(here)} layers differ[/]" if wrong else f"[green]all {len(here)} layers agree[/]"
        rows.append((escape(name), f"{told} over {held.samples} sample{'s' if held.samples != 1 else ''}"))
        floats = [v for v in here if v.max_rel is not None]
        if floats:
            worst = max(floats, key=lambda v: v.max_rel or 0.0)
            rows.append(("", f"worst float error {worst.max_rel:.3g}, operator {worst.operator} ({worst.op}); "
                             f"{held.tolerance:g} is allowed"))  # fmt: skip
        rows += [("", f"top-1 agrees in {t.agreeing} of {t.samples}") for t in held.top1 if t.where == where]
    if held.left_out:
        rows.append(("not compared", f"operators {', '.join(map(str, held.left_out))}: the oracle keeps no such tensor"))
    return rows


def _table(verdicts: Sequence[Verdict]) -> Grid:
    table = Grid(
        ">#", "operator", "where", "output", ">wrong", ">max abs", ">relative", ">RMSE", ">cosine", drop=("output", "RMSE")
    )
    for v in verdicts:
        wrong = f"[red]{v.differing:,}[/]" if v.differing else "0"
        table.add_row(
            str(v.operator), v.op, v.where, f"{v.dtype} {shape(v.shape)}", wrong, f"{v.max_abs:.3g}",
            *("" if n is None else f"{n:.3g}" for n in (v.max_rel, v.rmse)), "" if v.cosine is None else f"{v.cosine:.9f}",
        )  # fmt: skip
    return table


def divergence(v: Verdict) -> str:
    """The first diverging layer as plain text: shapes, how much, and where first."""
    read = " and ".join(map(shape, v.inputs)) or "no input"
    lines = [
        f"Operator {v.operator} ({v.op}), '{v.tensor}': {read} -> {v.dtype} {shape(v.shape)}.",
        f"{v.differing:,} elements differ in {v.samples} samples; largest difference {v.max_abs:g}.",
    ]
    if v.first:
        place = f"element {v.first.element}" + (f" {list(v.first.at)}" if len(v.first.at) > 1 else "")
        lines.append(f"First: sample {v.first.sample}, {place}: {v.first.got:.9g} instead of {v.first.expected:.9g}.")
    return "\n".join(lines)

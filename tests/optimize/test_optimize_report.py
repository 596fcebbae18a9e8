"""The report of a run in which something failed: without its baseline it compares, chooses and recommends nothing."""

from __future__ import annotations

import pytest
from test_choose import accounts

from mcuml.optimize import goals, report
from mcuml.optimize.report import Report, Row

FAILED = ("baseline", 0, "train: the loss is nan at update 1 of 8, epoch 1 of 2.\nLearning rate 1, batch 64.")


def made(*names: str) -> Report:
    held = accounts()
    return Report(
        when="2026-11-21T00:00:00+00:00", command=("mcuml", "optimize"), model="m.keras", model_sha256="0", data="d.npz",
        data_sha256="0", samples=(10, 2000, 2000), before="", seeds=3, versions={}, failures=(FAILED,),
        rows=tuple(Row(recipe=name, steps=name, accounts=tuple(held[name])) for name in names),
    )  # fmt: skip


@pytest.mark.parametrize("names", [(), ("int8", "tiny")])
def test_without_a_baseline_nothing_is_compared_or_recommended(names: tuple[str, ...]) -> None:
    found, unmet = report.chosen(made(*names), "some-board", goals.parse("min latency"), ())
    assert (found.recommended, found.unmet, unmet) == ((), "", None)
    heads = report.headings(found)
    for row in found.rows:
        cells = dict(zip(heads, report.cells(found, row), strict=True))
        assert not row.pareto and [cells[h] for h in (">Change", "Paired test", ">x")] == ["", "", ""]
        assert cells[">Cycles"] == f"{max(a.boards[0].cycles for a in row.accounts):,}"
    page = report.markdown(found)
    assert "- baseline, seed 0: train: the loss is nan at update 1 of 8, epoch 1 of 2. Learning rate 1, batch 64.\n" in page
    assert all(f"| {name} |" in page for name in names)

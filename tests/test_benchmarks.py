"""The pages of `make bench` and `make size-diff`: figures stand in their columns, and what changed is told."""

import json
import sys
from pathlib import Path

import pytest

from commandline import DIGITS, ROOT

sys.path.insert(0, str(ROOT / "tools"))
import record_benchmarks
import size_diff
from bench_run import bench


def run(board: str, cycles: int, arena: int, flash: int, ms: float) -> dict:
    return {
        "mcuml": "1", "toolchain": {"name": "gcc", "version": "12"}, "board": {"name": board},
        "model": {"name": "m", "macs": 1000}, "latency": {"cycles": cycles, "ms": ms, "error": f"{board} is off"},
        "memory": {"arena_bytes": arena, "code_bytes": 11, "weights_bytes": 22, "stack_bytes": 33, "flash_bytes": flash},
        "anchors": [
            {"system": "TFLM + CMSIS-NN", "kind": "estimated", "cycles": 4000, "ratio": 0.5, "arena_bytes": 99},
            {"system": "best", "kind": "measured", "cycles": 1600, "ratio": 1.25, "cycles_per_mac": 1.6},
        ],
    }  # fmt: skip


def test_each_figure_stands_under_its_head() -> None:
    first = {
        "balanced": run("a", 2000, 500, 60, 1.5), "speed": run("a", 1800, 600, 90, 1.25), "ram": run("a", 2500, 400, 70, 2),
        "size": run("a", 2600, 700, 50, 2),
    }  # fmt: skip
    text = record_benchmarks.page([{"a": first, "b": {"balanced": run("b", 2000, 500, 60, 7.25)}}], ["other"])
    head, _, line = [[c.strip() for c in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    assert list(zip(head, line, strict=True)) == [
        ("Model", "m"), ("MACs", "1,000"), ("Cycles", "2,000"), ("per MAC", "2.00"), ("TFLM", "4,000"), ("Ratio", "0.50"),
        ("Best published, per MAC", "1.60"), ("Ratio", "1.25"), ("Arena", "500"), ("TFLM's", "99"), ("Code", "11"),
        ("Weights", "22"), ("Stack", "33"), ("ms, a", "1.50"), ("ms, b", "7.25"), ("Cycles, speed", "1,800"),
        ("Arena, ram", "400"), ("Flash, size", "50"),
    ]  # fmt: skip
    assert "a: a is off; b: b is off" in text and "other" in text and "estimated" in text


@pytest.mark.parametrize(("before", "now", "text"), [(5, 5, "5"), (1000, 900, "900 (-100, -10.0 %)"), (0, 7, "7 (+7)")])
def test_what_changed_is_told(before: int, now: int, text: str) -> None:
    assert size_diff.cell(before, now) == text


def test_the_other_runtimes_page_is_the_last_section(tmp_path: Path) -> None:
    assert record_benchmarks.side_by_side(tmp_path / "none.md") == ""
    (tmp_path / "tflm.md").write_text("# Title\n\nOf [TFLM](../TFLM.md).\n")
    assert record_benchmarks.side_by_side(tmp_path / "tflm.md").splitlines()[2:] == ["", "Of [TFLM](TFLM.md)."]


def test_a_run_of_bench_and_one_that_is_refused(tmp_path: Path) -> None:
    done = bench(DIGITS, "--samples", "1", target=tmp_path / "r.json", host=ROOT / "host")
    assert done.code == 0 and not done.refused and done.result, done.said
    assert done.result == json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (tmp_path / "m.tflite").write_bytes(b"no model")
    other = bench(tmp_path / "m.tflite")
    assert other.refused and other.result is None and "not a TFLite model" in other.said

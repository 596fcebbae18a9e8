"""Results side by side: which figures, by what names, what ratios, and what the verb refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commandline import DIGITS, in_process
from mcuml import compare_report, comparison, results


def made(**changes: Any) -> results.Result:
    keys: dict[str, Any] = {
        "schema": 1, "mcuml": "0.1.0", "when": "2026-01-02T03:04:05+00:00", "command": [],
        "model": {"name": "m", "sha256": "00" * 32, "bytes": 10, "macs": 100, "scheme": "int8"},
        "board": {"name": "b", "core": "cortex-m4f", "clock_hz": 64000000}, "runtime": "aot", "link": "virtual",
        "latency": {"kind": "estimated", "cycles": 200, "ms": 0.5, "runs": [200], "method": "by eye"},
        "memory": {"flash_bytes": 30, "code_bytes": 10, "weights_bytes": 20, "ram_bytes": 40, "arena_bytes": 16},
        "verify": {"oracle": "TFLM 0", "samples": 2, "max_abs_diff": 0.0, "identical": True, "matching": 2},
    }  # fmt: skip
    return results.Result.model_validate({**keys, **changes})


TFLM = {
    "runtime": "tflm", "toolchain": {"library": "Lib 1"},
    "latency": {"kind": "estimated", "cycles": 500, "ms": 1.25, "runs": [500], "method": "by eye"},
    "verify": {"oracle": "TFLM 0", "samples": 2, "max_abs_diff": 1.0, "identical": False, "matching": 1},
}  # fmt: skip


def printed(held: comparison.Comparison) -> str:
    file = io.StringIO()
    Console(file=file, width=120).print(compare_report.comparison(held))
    return file.getvalue()


def test_figures_and_ratios():
    held = comparison.compare([made(), made(**TFLM)], ["a", "b"])
    assert held.names == ("aot", "tflm")
    rows = {row.figure.name: row for row in held.rows}
    assert rows["cycles"].values == (200, 500) and rows["cycles"].ratios == (1.0, 2.5)
    assert rows["cycles_per_mac"].values == (2.0, 5.0) and "stack_bytes" not in rows and "accuracy" not in rows
    told = json.loads(held.to_json())
    assert told["figures"]["ms"] == {"values": [0.5, 1.25], "ratios": [1.0, 2.5]} and len(told["results"]) == 2
    assert results.from_json(json.dumps(told["results"][1])).runtime == "tflm"


def test_a_figure_that_one_lacks_has_no_ratio():
    memory = {"flash_bytes": 30, "code_bytes": 10, "weights_bytes": 20, "ram_bytes": 40, "arena_bytes": 16, "stack_bytes": 8}
    held = comparison.compare([made(), made(**TFLM, memory=memory)], ["a", "b"])
    stack = next(row for row in held.rows if row.figure.name == "stack_bytes")
    assert stack.values == (None, 8) and stack.ratios == (None, None)
    assert "stack_bytes" not in json.loads(held.to_json())["figures"] and "stack, bytes" in printed(held)


def test_the_table_says_what_is_compared():
    text = printed(comparison.compare([made(), made(**TFLM)], ["a", "b"]))
    words = ["tflm / aot", "2.50", "estimated: by eye", "2 of 2 outputs identical to TFLM 0", "1 of 2 outputs agree with TFLM 0",
             "TensorFlow Lite Micro, Lib 1", "cortex-m4f at 64 MHz (virtual board)"]  # fmt: skip
    assert [word for word in words if word not in text] == [], text


NAMES = {  # id: (changes of the second result, names)
    "runtime": ({"runtime": "tflm"}, ("aot", "tflm")),
    "board": ({"board": {"name": "c", "core": "cortex-m7", "clock_hz": 1}}, ("b", "c")),
    "link": ({"link": "serial"}, ("virtual", "serial")),
    "version": ({"mcuml": "0.2.0"}, ("mcuml 0.1.0", "mcuml 0.2.0")),
    "same": ({}, ("first", "second")),
}


@pytest.mark.parametrize("case", NAMES)
def test_results_are_called_by_what_they_differ_in(case):
    changes, names = NAMES[case]
    assert comparison.compare([made(), made(**changes)], ["first", "second"]).names == names


def test_three_results_have_their_ratios_beside_them():
    third = made(runtime="tflm", board={"name": "c", "core": "x", "clock_hz": 1}, latency=TFLM["latency"])
    text = printed(comparison.compare([made(), made(**TFLM), third], ["a", "b", "c"]))
    assert text.count("500 (2.50)") == 2, text


def test_two_files(tmp_path: Path):
    for name, result in (("a", made()), ("b", made(**TFLM))):
        (tmp_path / f"{name}.json").write_text(results.to_json(result))
    done = in_process("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.exit_code == 0 and "2.50" in done.stdout, done.stderr
    alone = in_process("compare", tmp_path / "a.json", tmp_path / "b.json", "--json", "-")
    assert json.loads(alone.stdout)["figures"]["cycles"]["ratios"] == [1.0, 2.5]


WRONG = {  # id: (words after `mcuml compare`, words of the error)
    "one result": (["a.json"], "one model, or two and more Results"),
    "both": ([DIGITS, "a.json"], "one model, or two and more Results"),
    "missing": (["missing.json", "a.json"], "Cannot read missing.json"),
    "one runtime": ([DIGITS, "--runtime", "aot"], "nothing to compare"),
    "unknown runtime": ([DIGITS, "--runtime", "aot,onnx"], "The runtimes are aot and tflm"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_compared_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(results.to_json(made()))
    words, told = WRONG[case]
    done = in_process("compare", *words)
    assert done.exit_code == 2 and told in done.stderr, done.stderr

"""The procedure of bench: the comparison with the oracle, sample by sample, and what a difference does to the exit status."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from commandline import DIGITS, DIGITS_DATA, in_process, mcuml
from mcuml import bench, tflite
from mcuml.cli import _oracle

GRAPH = tflite.load(DIGITS)


def verify(board: list, expected: list, dtype: str, host: list | None = None):
    """compare() for a model with one output of `dtype`."""

    def samples(values: list) -> list:
        return [[np.array(v, dtype)] for v in values]

    output = GRAPH.outputs[0]
    tensors = tuple(t if n != output else type(t)(t.name, dtype, t.shape) for n, t in enumerate(GRAPH.tensors))
    graph = type(GRAPH)(GRAPH.name, tensors, GRAPH.nodes, GRAPH.inputs, GRAPH.outputs)
    return bench.compare("oracle", samples(board), samples(host or []), samples(expected), graph)


NAN, INF = float("nan"), float("inf")
COMPARED = {  # id: (board, expected, dtype, passed, identical, matching)
    "identical": ([[1, 2], [3, 4]], [[1, 2], [3, 4]], "int8", True, True, 2),
    "one-step-off": ([[1, 2], [3, 5]], [[1, 2], [3, 4]], "int8", False, False, 1),
    "wraps-round": ([[-128]], [[127]], "int8", False, False, 0),
    "float-within": ([[1000.0]], [[1000.009]], "float32", True, False, 1),
    "float-beyond": ([[1000.0]], [[1000.02]], "float32", False, False, 0),
    "float-small": ([[0.0]], [[0.00002]], "float32", False, False, 0),
    "both-nan": ([[NAN]], [[NAN]], "float32", True, True, 1),
    "one-nan": ([[NAN]], [[1.0]], "float32", False, False, 0),
    "one-infinite": ([[INF]], [[1.0]], "float32", False, False, 0),
    "nan-expected": ([[1.0]], [[NAN]], "float32", False, False, 0),
    "infinity-expected": ([[1.0]], [[INF]], "float32", False, False, 0),
    "minus-infinite": ([[INF]], [[-INF]], "float32", False, False, 0),
}


@pytest.mark.parametrize("case", COMPARED)
def test_outputs_are_compared(case: str) -> None:
    board, expected, dtype, passed, identical, matching = COMPARED[case]
    held = verify(board, expected, dtype)
    assert (held.passed, held.identical, held.matching, held.samples) == (passed, identical, matching, len(board))
    assert (held.first_difference is None) == passed


def test_the_first_difference_is_named_wherever_it_ran() -> None:
    held = verify([[1, 2]], [[1, 2], [3, 4], [5, 6]], "int8", host=[[1, 2], [3, 9], [5, 6]])
    assert not held.passed and (held.matching, held.samples, held.host_matching, held.host_samples) == (1, 1, 2, 3)
    first = held.first_difference
    assert first is not None and (first.sample, first.output, first.element, first.got, first.expected) == (1, 0, 1, 9, 4)


def test_wrong_outputs_end_with_status_7(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An oracle that differs in one element of sample 3: the figures are there all the same."""
    asked = _oracle.find_oracle()
    assert asked is not None

    def other(model, inputs):
        name, outputs = asked(model, inputs)
        outputs[3][0] = outputs[3][0].copy()
        outputs[3][0].flat[5] += 1
        return name, outputs

    monkeypatch.setattr(_oracle, "find_oracle", lambda: other)
    done = in_process("bench", DIGITS, "--samples", "5", "--json", tmp_path / "r.json")
    assert done.exit_code == 7
    assert re.search(r"error: digits_int8\.tflite: outputs .* differ from TFLite Micro", done.stderr)
    assert "sample 3, output 0, element 5" in done.stderr and "only 4 of 5 agree" in done.stdout
    held = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert held["verify"]["identical"] is False and held["latency"]["kind"] == "estimated"


def test_without_an_oracle_the_rest_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_oracle, "find_oracle", lambda: None)
    done = in_process("bench", DIGITS, "--data", DIGITS_DATA, "--samples", "5")
    assert done.exit_code == 0 and "not verified" in done.stderr and "pip install 'mcuml[verify]'" in done.stderr
    assert "ms estimated" in done.stdout and "identical" not in done.stdout and "top-1 over 5 samples" in done.stdout


def test_accuracy_on_real_data_equals_the_oracles(shared: Path) -> None:
    data = shared / "data" / "mlperf_tiny_kws01.zip"
    model = shared / "models" / "mlperf_tiny" / "kws_ref_model.tflite"
    done = mcuml("bench", model, "--data", data, "--samples", 150, "--board-samples", 3, "--json", "-")
    held = json.loads(done.stdout)
    accuracy, verified = held["accuracy"], held["verify"]
    assert accuracy["value"] == accuracy["oracle_value"] > 0.85 and accuracy["samples"] == accuracy["host_samples"] == 150
    assert verified["host_matching"] == 150 and verified["matching"] == verified["samples"] == 3
    assert min(a["ratio"] for a in held["anchors"]) < 1, "slower than everything published"


@pytest.mark.slow
def test_times_of_the_keyword_model(shared: Path, tmp_path: Path) -> None:
    """An empty cache 60 s, unchanged 8 s, all 1000 samples 30 s: what the project promises where nothing else runs."""
    model, data = shared / "models" / "mlperf_tiny" / "kws_ref_model.tflite", shared / "data" / "mlperf_tiny_kws01.zip"
    everything = ("--data", data, "--samples", "all", "--json", "-")
    for limit, words in ((60, ()), (8, ()), (30, everything)):
        began = time.perf_counter()
        done = mcuml("bench", model, *words, MCUML_CACHE=str(tmp_path))
        assert done.returncode == 0 and time.perf_counter() - began < limit, done.stderr
    accuracy = json.loads(done.stdout)["accuracy"]
    assert accuracy["samples"] == 1000 and accuracy["value"] == accuracy["oracle_value"] == 0.901


def test_a_core_without_a_cycle_model_has_no_latency(tmp_path: Path) -> None:
    """Outputs and sizes are told as on any board; figures that are not known are absent."""
    done = in_process("bench", DIGITS, "--data", DIGITS_DATA, "--samples", 3, "--board", "pico", "--json", tmp_path / "r.json")
    assert done.exit_code == 0 and "not estimated: mcuml has no cycle model of a cortex-m0plus" in done.output
    told = json.loads((tmp_path / "r.json").read_text())
    assert told["verify"]["identical"] and told["memory"]["flash_bytes"] and told["memory"]["stack_bytes"]
    assert "latency" not in told and "anchors" not in told
    assert [layer["op"] for layer in told["layers"]] and not any(
        "cycles" in layer or "share" in layer for layer in told["layers"]
    )

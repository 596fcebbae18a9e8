"""The Result JSON: DESIGN's keys, nothing null, whole files or none."""

import json
from pathlib import Path

import pytest

from mcuml import results
from mcuml.errors import RequestError

SMALL = {
    "schema": 1, "mcuml": "0.1.0", "when": "2026-01-02T03:04:05+00:00", "command": ["mcuml", "bench", "m.tflite"],
    "model": {"name": "m", "sha256": "00", "bytes": 10, "macs": 100, "scheme": "int8"},
    "board": {"name": "b", "core": "cortex-m4f", "clock_hz": 64000000}, "runtime": "aot", "link": "virtual",
}  # fmt: skip
FULL = {
    **SMALL,
    "latency": {"kind": "estimated", "cycles": 250, "ms": 0.0039, "runs": [250], "method": "zero-wait core cycles"},
    "memory": {"flash_bytes": 30, "code_bytes": 10, "weights_bytes": 20, "ram_bytes": 40, "arena_bytes": 16, "stack_bytes": 8},
    "layers": [{"index": 0, "name": "out", "op": "CONV_2D", "macs": 100, "cycles": 250, "share": 1.0}],
    "verify": {"oracle": "TFLite Micro 0", "samples": 2, "max_abs_diff": 0.0, "identical": True, "matching": 2},
    "accuracy": {"dataset": "d.npz", "samples": 2, "metric": "top-1", "value": 0.5},
    "energy": {"kind": "estimated", "uj": 1.5, "source": "datasheet"},
    "toolchain": {"name": "zig"},
    "anchors": [{"system": "TFLM", "cycles_per_mac": 3.4, "ratio": 0.7}],
}


@pytest.mark.parametrize("keys", [SMALL, FULL], ids=["small", "full"])
def test_round_trip_adds_and_loses_nothing(keys: dict) -> None:
    held = results.from_json(json.dumps(keys))
    assert json.loads(results.to_json(held)) == keys
    assert "null" not in results.to_json(held)


BROKEN = {
    "not-json": "hello",
    "missing-key": json.dumps({k: v for k, v in SMALL.items() if k != "model"}),
    "unknown-key": json.dumps({**SMALL, "speed": 3}),
    "wrong-kind": json.dumps({**FULL, "latency": {**FULL["latency"], "kind": "guessed"}}),
    "empty": "",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_result_is_refused(case: str) -> None:
    with pytest.raises(RequestError, match=r"run\.json is not a mcuml result"):
        results.from_json(BROKEN[case], "run.json")


def test_what_json_cannot_hold_survives() -> None:
    difference = {"sample": 0, "output": 0, "element": 0, "got": float("nan"), "expected": float("inf")}
    keys = {**FULL, "verify": {**FULL["verify"], "matching": 1, "max_abs_diff": float("inf"), "first_difference": difference}}
    text = results.to_json(results.Result.model_validate(keys))
    held = results.from_json(text).verify
    assert "null" not in text and held is not None and held.max_abs_diff == float("inf")
    assert held.first_difference is not None and held.first_difference.got != held.first_difference.got


def test_passed_counts_board_and_host() -> None:
    verify = results.from_json(json.dumps(FULL)).verify
    assert verify is not None and verify.passed
    assert not verify.model_copy(update={"matching": 1}).passed
    assert not verify.model_copy(update={"host_samples": 5, "host_matching": 4}).passed


def test_save_is_whole_or_nothing(tmp_path: Path) -> None:
    results.save("one\n", tmp_path / "new" / "r.json")
    assert (tmp_path / "new" / "r.json").read_text() == "one\n"
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(RequestError, match="Cannot write"):
        results.save("two\n", blocked / "r.json")
    (tmp_path / "taken").mkdir()
    with pytest.raises(RequestError, match="taken"):
        results.save("three\n", tmp_path / "taken")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "new", "taken"], "a temporary file was left behind"

"""mcuml check: limits read strictly, a baseline that survives another compiler, and exit 7 with what moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from commandline import DIGITS, DIGITS_DATA, in_process
from mcuml import baseline, check, check_report, limits, results
from mcuml.baseline import Baseline, Entry
from mcuml.errors import RequestError
from mcuml.results import Result
from test_results import FULL

GCC, ZIG = {"name": "arm-none-eabi gcc", "version": "12.2.1"}, {"name": "zig cc", "version": "0.17.0"}

ALLOWED = {  # id: (limit, falls, before, allowed, not allowed)
    "percent": ("+2%", False, 1000, 1020, 1021),
    "percent-without-sign": ("2%", False, 1000, 1020, 1021),
    "half-a-percent": ("+0.5%", False, 1000, 1005, 1006),
    "nothing": ("0", False, 1000, 1000, 1001),
    "absolute": ("+500", False, 1000, 1500, 1501),
    "of-nothing": ("+2%", False, 0, 0, 1),
    "better-is-fine": ("0", False, 1000, 1, 1001),
    "points": ("-0.2%", True, 0.9, 0.898, 0.8979),
    "no-points": ("0", True, 0.9, 0.9, 0.8999),
    "points-better": ("-0.2%", True, 0.9, 1.0, 0.1),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_a_limit_allows_what_it_says(case: str) -> None:
    text, falls, before, allowed, too_far = ALLOWED[case]
    limit = limits.parse("--max", text, falls)
    assert limit.allows(before, allowed) and not limit.allows(before, too_far)


@pytest.mark.parametrize("text", ["", "%", "two", "2 %%", "+-2%", "1e3", "nan", "inf%", "-2%", "2%%", "0x10", "+ 2%", "2,5%"])
def test_a_wrong_limit_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(RequestError, match="--max-flash is") as raised:
        limits.parse("--max-flash", text)
    assert "--max-flash +2%" in raised.value.try_next


@pytest.mark.parametrize("text", ["+0.2%", "-0.2", "0.5", "90%%"])
def test_a_wrong_limit_of_the_accuracy_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--min-accuracy is") as raised:
        limits.parse("--min-accuracy", text, falls=True)
    assert "-0.2%" in raised.value.try_next


def result(**changes: dict) -> Result:
    """FULL with parts of it changed."""
    keys = json.loads(json.dumps(FULL))
    keys["toolchain"] = GCC
    for name, part in changes.items():
        keys[name] = {**keys.get(name, {}), **part} if isinstance(part, dict) else part
    return results.from_json(json.dumps(keys))


def entry(held: Result, **changes: str) -> Entry:
    return Entry(**{"model": "m.tflite", "board": "b", **changes}, result=held)


LIMITS = {
    "latency": limits.parse("--l", "+2%"),
    "flash": limits.parse("--f", "+1%"),
    "ram": limits.parse("--r", "0"),
    "accuracy": limits.parse("--a", "-0.2%", falls=True),
}
JUDGED = {  # id: (what is different now, the figures that fail, words of what else is told)
    "the-same": ({}, [], ""),
    "slower": ({"latency": {"cycles": 256}, "layers": [{**FULL["layers"][0], "cycles": 256}]}, ["latency"], "CONV_2D: +6 cycles"),
    "a-little-slower": ({"latency": {"cycles": 255}}, [], ""),
    "slower-by-waits": ({"latency": {"board_cycles": 300}}, ["latency"], ""),
    "bigger": ({"memory": {"flash_bytes": 31}}, ["flash"], ""),
    "more-ram": ({"memory": {"ram_bytes": 41}}, ["RAM"], ""),
    "deeper-stack": ({"memory": {"stack_bytes": 9}}, ["stack"], ""),
    "less-accurate": ({"accuracy": {"value": 0.497}}, ["accuracy"], ""),
    "no-latency": ({"latency": None}, ["latency"], "no such figure any more"),
    "no-accuracy": ({"accuracy": None}, ["accuracy"], "no such figure any more"),
    "wrong": ({"verify": {"identical": False, "matching": 1}}, [], "outputs differ from TFLite Micro 0: 1 of 2 agree"),
    "not-verified": ({"verify": None}, [], "pip install 'mcuml[verify]'"),
    "another-model": ({"model": {"sha256": "11"}}, [], "another model file: sha256 00, now 11"),
    "another-version": ({"toolchain": {"version": "13.3"}}, [], "another version of arm-none-eabi gcc: 12.2.1, now 13.3"),
    "another-mcuml": ({"mcuml": "9.9"}, [], "another mcuml: 0.1.0, now 9.9"),
}
FAILING = {"wrong", "not-verified"}


@pytest.mark.parametrize("case", JUDGED)
def test_a_figure_that_moved_is_judged(case: str) -> None:
    changes, fails, words = JUDGED[case]
    judged = check.compare(entry(result()), result(**changes), LIMITS)
    assert [row.figure for row in judged.rows if not row.ok] == fails
    assert judged.ok == (not fails and case not in FAILING)
    assert words in check_report.markdown([judged])


def test_reports_say_the_same_as_the_judgement() -> None:
    good = check.compare(entry(result()), result(), LIMITS)
    bad = check.compare(entry(result(), model="a|b.tflite"), result(latency={"cycles": 500}, accuracy={"value": 0.4}), LIMITS)
    text = check_report.markdown([good, bad])
    assert text.startswith("### mcuml check: 1 of 2 failed") and "| nothing moved |" in text
    assert "| a\\|b | b | latency | 250 cycles | 500 cycles | +250 (+100.00 %) | +2% | ❌ |" in text
    assert "| accuracy | 50.00 % | 40.00 % | -10.00 points | -0.2% | ❌ |" in text
    suites = ElementTree.fromstring(check_report.junit([good, bad]))
    counts = [(s.get("name"), s.get("tests"), s.get("failures")) for s in suites]
    assert counts == [("m on b", "5", "0"), ("a|b on b", "5", "2")]
    (failure,) = suites.findall("./testsuite/testcase[@name='latency']/failure")
    assert failure.get("message") == "latency: 250 cycles in the baseline, 500 cycles now +250 (+100.00 %), limit +2%"


def test_figures_by_several_compilers_stand_side_by_side() -> None:
    held = Baseline().with_entry(entry(result())).with_entry(entry(result(toolchain=ZIG)))
    assert [e.compiler[0] for e in held.entries] == ["arm-none-eabi gcc", "zig cc"]
    newer = entry(result(toolchain={"version": "13.3"}))
    held = held.with_entry(newer)
    assert [e.compiler for e in held.entries] == [("arm-none-eabi gcc", "13.3"), ("zig cc", "0.17.0")]
    found = baseline.nearest(held.of(newer.key), result(toolchain=ZIG))
    assert found and found.compiler[0] == "zig cc"
    assert baseline.nearest(held.of(newer.key), result(toolchain={"name": "armclang"})) is None


BROKEN = {
    "empty": "",
    "a-result": json.dumps(FULL),
    "unknown-key": json.dumps({"baseline": 1, "entries": [], "limits": 3}),
    "no-figures": json.dumps({"baseline": 1, "entries": [{"model": "m", "board": "b", "result": {}}]}),
    "less-than-none": json.dumps({"baseline": 1, "entries": [{"model": "m", "board": "b", "samples": -3, "result": FULL}]}),
    "of-tomorrow": json.dumps({"baseline": 2, "entries": []}),
    "binary": "\udc80",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_baseline_is_told(case: str, tmp_path: Path) -> None:
    place = tmp_path / "baseline.json"
    place.write_bytes(BROKEN[case].encode(errors="surrogateescape"))
    with pytest.raises(RequestError, match=r"baseline\.json") as raised:
        baseline.load(place)
    assert case == "binary" or "mcuml check --update" in raised.value.try_next


def test_from_nothing_to_a_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a baseline, check it, then hold the same model against better figures of the past."""
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(DIGITS, models / "digits.tflite")
    shutil.copy(DIGITS_DATA, models / "test.npz")
    monkeypatch.chdir(tmp_path)
    assert in_process("check").exit_code == 2
    done = in_process("check", "--update", "models/digits.tflite", "--data", "models/test.npz", "--samples", 3)
    assert done.exit_code == 0, done.stderr
    text = Path("baseline.json").read_text()
    held = json.loads(text)
    one = held["entries"][0]
    assert (one["model"], one["data"], one["samples"]) == ("models/digits.tflite", "models/test.npz", 3)
    assert str(tmp_path) not in text, "a baseline is committed: no path of one machine"

    done = in_process("check", "--junit", "out/j.xml", "--summary", "out/s.md")
    assert done.exit_code == 0 and "nothing moved" in done.stdout, done.output
    assert ElementTree.parse("out/j.xml").getroot()[0].get("failures") == "0"

    one["result"]["latency"]["cycles"] -= 5000
    one["result"]["latency"].pop("board_cycles", None)
    one["result"]["memory"]["ram_bytes"] -= 1
    one["result"]["model"]["sha256"] = "0" * 64
    held["entries"].append({**one, "model": "models/gone.tflite"})
    Path("baseline.json").write_text(json.dumps(held))
    done = in_process("check", "--max-ram", "+1", "--junit", "out/j.xml", "--summary", "out/s.md")
    assert done.exit_code == 7 and "2 of 2 models moved beyond their limits, or could not be judged" in done.stderr
    summary = Path("out/s.md").read_text()
    assert "| digits | nano33ble | latency |" in summary and "| RAM |" in summary and "| flash |" not in summary
    assert "another model file" in summary and "models/gone.tflite" in summary
    failed = {case.get("name") for case in ElementTree.parse("out/j.xml").iter("testcase") if case.find("failure") is not None}
    assert failed == {"latency", "result"}
    assert "mcuml check --update" in done.stderr


def test_models_are_for_update_alone(tmp_path: Path) -> None:
    done = in_process("check", DIGITS, "--baseline", tmp_path / "b.json")
    assert done.exit_code == 2 and "for --update" in done.stderr
    done = in_process("check", "--update", "--baseline", tmp_path / "b.json")
    assert done.exit_code == 2 and "no baseline" in done.stderr
    done = in_process("check", "--update", DIGITS, "--samples", "0", "--baseline", tmp_path / "b.json")
    assert done.exit_code == 2 and "--samples is '0'" in done.stderr
    done = in_process("check", "--update", DIGITS, "--link", "serial", "--baseline", tmp_path / "b.json")
    assert done.exit_code == 2 and "cannot be checked on a board" in done.stderr
    assert not list(tmp_path.iterdir())

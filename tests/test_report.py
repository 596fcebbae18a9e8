"""What the tables say and how they fit a terminal."""

import io

import numpy as np
import pytest
from rich.console import Console

from commandline import in_process
from mcuml import doctor, report, results
from mcuml.tables import Grid, bar


def printed(what: object, width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(what)
    return file.getvalue()


@pytest.mark.parametrize(
    ("share", "text"), [(0, "    "), (1, "████"), (0.5, "██  "), (1 / 32, "▏   "), (2, "████"), (-1, "    ")]
)
def test_bar(share: float, text: str) -> None:
    assert bar(share, 4) == text


@pytest.mark.parametrize(("width", "there"), [(60, "abc"), (24, "ab"), (14, "a")])
def test_a_grid_leaves_out_what_has_no_room(width: int, there: str) -> None:
    grid = Grid("a", ">b", "c", drop=("c", "b"))
    grid.add_row("a" * 8, "b" * 8, "c" * 8)
    text = printed(grid, width)
    assert [letter for letter in "abc" if letter * 8 in text] == list(there) and "…" not in text


VERIFIED = {  # id: (fields, words)
    "identical": ({"matching": 20, "max_abs_diff": 0, "identical": True}, ["identical to TFLM: 20 of 20"]),
    "tolerated": (
        {"matching": 20, "max_abs_diff": 1e-6, "identical": False, "tolerance": 1e-5},
        ["within 1e-05 of TFLM", "1e-06"],
    ),
    "wrong": (
        {"matching": 19, "max_abs_diff": 3, "identical": False},
        ["differs from TFLM: only 19 of 20 agree on the real board"],
    ),
    "host": (
        {"matching": 20, "max_abs_diff": 0, "identical": True, "host_samples": 1000, "host_matching": 1000},
        ["1,000 of 1,000"],
    ),
}


@pytest.mark.parametrize("case", VERIFIED)
def test_verdict(case: str) -> None:
    fields, words = VERIFIED[case]
    text = " ".join(report.verdict(results.Verify(oracle="TFLM", samples=20, **fields), "real board"))
    assert all(word in text for word in words), text


@pytest.mark.parametrize("kind", ["estimated", "measured"])
def test_a_latency_says_what_it_is(kind: str) -> None:
    model = results.ModelPart(name="m[odel]", sha256="0", bytes=1, macs=100, scheme="int8")
    run = results.Result(
        schema=1, mcuml="0", when="now", command=[], model=model, link="virtual",
        board=results.BoardPart(name="b", core="c", clock_hz=64_000_000),
        latency=results.Latency(kind=kind, cycles=640_000, ms=10, runs=[640_000], method="by eye"),
    )  # fmt: skip
    text = printed(report.result(run))
    assert f"10.00 ms {kind}" in text and "6400.00 per MAC" in text and "by eye" in text and "m[odel]" in text


def test_pictures_stand_side_by_side() -> None:
    lines = report.gallery([np.full((2, 2), 255), np.zeros((2, 2), int)], ["one", "the second"])
    assert lines == ["████             ", "████             ", "one    the second"]


def test_doctor_names_the_command_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither compiler, no oracle: the build cannot be, and each has its line."""
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    there = doctor._package
    monkeypatch.setattr(doctor, "_package", lambda name: "" if name in ("ziglang", "tflite-micro") else there(name))
    done = in_process("doctor", COLUMNS="100")
    assert done.exit_code == 5
    brought = (
        "pip install ziglang",
        "pip install 'mcuml[verify]'",
        "gcc-arm-none-eabi",
        "qemu-system-arm",
        "qemu-system-misc",
        "MCUML_RENODE",
    )
    for words in ("✘", "missing", *brought):
        assert words in done.stdout, done.stdout


def test_doctor_is_content_with_one_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    done = in_process("doctor", COLUMNS="100")
    assert done.exit_code == 0 and "✘" not in done.stdout and "not there (optional)" in done.stdout


def test_doctor_sees_a_cache_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    assert in_process("doctor", MCUML_CACHE=str(tmp_path / "file" / "below")).exit_code == 5


def test_energy_says_what_it_is() -> None:
    run = results.Result(
        schema=1, mcuml="0", when="", command=[], link="virtual",
        model=results.ModelPart(name="m", sha256="0" * 64, bytes=1, macs=1, scheme="int8"),
        board=results.BoardPart(name="b", core="cortex-m4f", clock_hz=1),
        energy=results.Energy(kind="estimated", uj=1234.56, source="3.3 V x 6 mA x latency; a datasheet"),
    )  # fmt: skip
    text = printed(report.result(run))
    assert "1,234.6 uJ estimated per inference" in text and "a datasheet" in text

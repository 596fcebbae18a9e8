"""Each verb of the command line on good input, and the manners of all: help, versions, pipes, plain text, speed."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from commandline import COMMAND, DIGITS, DIGITS_DATA, environment, mcuml
from mcuml import __version__, results

VERBS = ("demo", "bench", "inspect", "compile", "build", "simulate", "boards", "doctor")


def ok(*words: object, **more: object) -> str:
    """stdout of a command that must succeed."""
    done = mcuml(*words, **more)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def benched(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, results.Result]:
    """(stdout, Result) of one bench of the digits with a data set."""
    file = tmp_path_factory.mktemp("bench") / "deep" / "r.json"
    text = ok("bench", DIGITS, "--data", DIGITS_DATA, "--samples", "all", "--board-samples", 5, "--runs", 3, "--json", file)
    return text, results.from_json(file.read_text(encoding="utf-8"))


def test_help_names_every_verb_in_the_order_of_the_data() -> None:
    text = ok("--help")
    places = [text.index(f"\n  {verb} ") for verb in VERBS]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    text = ok(verb, "--help", COLUMNS="60")
    assert f"mcuml {verb}" in text and max(map(len, text.splitlines())) <= 60


def test_help_is_there_at_once() -> None:
    """The best of three, in seconds of processor time: what else the machine does must not count. Windows reports none."""
    took = []
    for _ in range(3):
        before = os.times()
        ok("--help")
        after = os.times()
        took.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(took) < 0.3, took


def test_version() -> None:
    assert ok("--version").strip() == f"mcuml {__version__}"


def test_bench_prints_every_figure_and_where_it_comes_from(benched: tuple[str, results.Result]) -> None:
    text, held = benched
    assert held.latency is not None and held.memory is not None and held.layers is not None
    for words in (
        f"{held.latency.ms:.2f} ms estimated", f"{held.latency.cycles:,} cycles", "per MAC", f"code {held.memory.code_bytes:,}",
        f"weights {held.memory.weights_bytes:,}", f"arena {held.memory.arena_bytes:,}", f"{held.memory.stack_bytes} bytes at",
        "identical to TFLite Micro", "5 of 5", "100 of 100", "top-1 over 100 samples", "CONV_2D", "1x4x4x8",
    ):  # fmt: skip
        assert words in text
    assert all(line == line.rstrip() for line in text.splitlines()), "spaces at the end of a line in a pipe"


def test_bench_writes_a_result_that_adds_up(benched: tuple[str, results.Result]) -> None:
    held = benched[1]
    assert held.latency is not None and held.memory is not None and held.layers is not None and held.accuracy is not None
    assert (held.link, held.runtime, held.latency.kind, len(held.latency.runs)) == ("virtual", "aot", "estimated", 3)
    assert held.latency.cycles == sorted(held.latency.runs)[1]
    assert held.memory.flash_bytes == held.memory.code_bytes + held.memory.weights_bytes
    assert held.memory.arena_bytes < held.memory.ram_bytes and 0 < (held.memory.stack_bytes or 0) < 2048
    spent = sum(layer.cycles or 0 for layer in held.layers)
    assert abs(spent - held.latency.cycles) < 0.02 * held.latency.cycles
    assert abs(sum(layer.share or 0 for layer in held.layers) - 1) < 0.01
    assert sum(layer.macs for layer in held.layers) == held.model.macs
    assert held.verify is not None and held.verify.passed and held.verify.identical
    assert (held.verify.samples, held.verify.host_samples) == (5, 100)
    assert held.accuracy.value == held.accuracy.oracle_value and held.accuracy.value > 0.9


def test_json_alone_on_stdout() -> None:
    text = ok("bench", DIGITS, "--json", "-")
    assert json.loads(text)["verify"]["identical"] is True and results.to_json(results.from_json(text)) == text


def test_quiet_bench_says_nothing() -> None:
    done = mcuml("bench", DIGITS, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_demo_shows_digits_and_what_to_try() -> None:
    text = ok("demo", "--quiet")
    assert "identical to TFLite Micro" in text and "100 of 100" in text and "ms estimated" in text
    assert len(re.findall(r"says \d \(it is \d\)", text)) == 4 and "██" in text
    assert len(re.findall(r"^  mcuml ", text, re.MULTILINE)) == 3


def test_inspect_tells_operators_memory_and_boards() -> None:
    text = ok("inspect", DIGITS)
    for words in ("CONV_2D", "SOFTMAX", "int8 1x4x4x8", "18,432", "arena", "◀ peak", "nano33ble", "fits"):
        assert words in text


def test_boards_lists_all_and_tells_about_one() -> None:
    listed = ok("boards")
    assert "nano33ble *" in listed and "pico2" in listed
    assert "nRF52840" in ok("boards", "nano33ble")


def test_compile_writes_four_files(tmp_path: Path) -> None:
    done = mcuml("compile", DIGITS, "-o", tmp_path / "new" / "c", "--board", "nano33ble", "--prefix", "digits")
    assert (done.returncode, done.stdout) == (0, "") and "arena" in done.stderr
    names = ["digits.c", "digits.h", "digits.json", "digits_weights.c"]
    assert sorted(p.name for p in (tmp_path / "new" / "c").iterdir()) == names
    assert json.loads((tmp_path / "new" / "c" / "digits.json").read_text(encoding="utf-8"))


def test_build_prints_the_elf_and_compiles_once(tmp_path: Path) -> None:
    first, second = (mcuml("build", DIGITS, "-o", tmp_path / "project") for _ in range(2))
    assert first.returncode == second.returncode == 0 and first.stdout == second.stdout
    assert Path(first.stdout.strip()).read_bytes()[:4] == b"\x7fELF"
    assert "built with" in first.stderr.splitlines()[-1] and second.stderr.splitlines()[-1].startswith("unchanged with")
    assert ok("build", DIGITS, "-o", tmp_path / "project", "--quiet") == first.stdout


def test_doctor_finds_what_this_environment_has() -> None:
    text = ok("doctor")
    assert "platformio" in text and "unicorn" in text and "MB free" in text


def test_a_reader_that_leaves_early_is_no_error() -> None:
    writer = subprocess.Popen([*COMMAND, "boards"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.close()
    assert writer.stderr.read() == b"" and writer.wait(30) == 0
    writer.stderr.close()


@pytest.mark.parametrize("width", [60, 200])
def test_tables_keep_to_the_width_given(width: int) -> None:
    text = ok("boards", COLUMNS=str(width))
    assert max(map(len, text.splitlines())) <= width and "nano33ble" in text


def test_output_that_cannot_hold_blocks_is_replaced_not_refused() -> None:
    text = ok("inspect", DIGITS, PYTHONIOENCODING="ascii")
    assert "?" in text and "CONV_2D" in text


def test_no_colour_where_nobody_wants_it() -> None:
    assert "\x1b" not in ok("boards") + ok("--help") + mcuml("boards", "nosuch").stderr

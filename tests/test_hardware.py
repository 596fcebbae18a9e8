"""The verbs for real boards, on the virtual board behind the pseudo-terminal of `mcuml simulate --pty`: the same results as
without it, and nowhere the word measured."""

import importlib.util
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from commandline import COMMAND, DIGITS, DIGITS_DATA, environment, in_process
from mcuml import report, results
from mcuml.cli import _fleet
from mcuml.errors import RequestError

if importlib.util.find_spec("termios") is None:
    pytest.skip("There are no pseudo-terminals here; run this on Linux or macOS.", allow_module_level=True)

ASKED = ("--data", DIGITS_DATA, "--samples", 3)


@contextmanager
def simulated(model=DIGITS) -> Iterator[str]:
    """The path of a pseudo-terminal with the virtual board behind it."""
    words = [*COMMAND, "simulate", str(model), "--pty", "--quiet"]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as board:
        try:
            assert board.stdout is not None
            yield board.stdout.readline().strip()
        finally:
            board.send_signal(signal.SIGINT)
            board.wait(10)


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with simulated() as path:
        yield path


def test_bench_gives_what_it_gives_without_the_port(port: str) -> None:
    done = in_process("bench", DIGITS, *ASKED, "--port", port, "--runs", 4, "--json", "-")
    assert done.exit_code == 0, done.stderr
    over = json.loads(done.stdout)
    beside = json.loads(in_process("bench", DIGITS, *ASKED, "--json", "-").stdout)
    assert (over["link"], over["device"]["simulated"], over["device"]["port"]) == ("serial", True, port)
    assert over["latency"]["kind"] == "estimated" and "wall" not in over["latency"] and "says that it is simulated" in done.stdout
    # the counted run without a port is the first after power-up, the one over it comes after warm-ups
    assert abs(over["latency"]["cycles"] / beside["latency"]["cycles"] - 1) < 0.01 and len(over["latency"]["runs"]) == 4
    assert over["verify"] == beside["verify"] and over["accuracy"] == beside["accuracy"] and over["model"] == beside["model"]
    sizes = {"flash_bytes", "code_bytes", "weights_bytes", "ram_bytes", "arena_bytes"}
    assert {k: over["memory"][k] for k in sizes} == {k: beside["memory"][k] for k in sizes}
    text = "\n".join(value for _, value in report.summary(results.from_json(done.stdout)))
    assert "measured" not in text.replace("nothing was measured on a board", "") and f"simulated board behind {port}" in text


def test_ports_tells_what_is_on_it(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    told = json.loads(in_process("ports", "--port", port, "--json").stdout)
    assert [(one["port"], one["device"]["model"], one["device"]["simulated"]) for one in told] == [(port, "digits_int8", 1)]
    assert "digits_int8 for" in in_process("ports", "--port", port).stdout
    assert "not asked" in in_process("ports", "--port", port, "--no-ask").stdout
    none = in_process("ports")
    assert none.exit_code == 0 and "This machine has no serial port." in none.stderr and not none.stdout


def test_flash_knows_that_it_is_there(port: str, tmp_path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(DIGITS.read_bytes() + bytes(4))
    done = in_process("flash", DIGITS, "--port", port)
    assert done.exit_code == 0 and f"{port}: " in done.stderr and "It is a simulated board." in done.stderr
    done = in_process("flash", DIGITS, "--port", port, "--no-flash", "--optimize", "size")
    assert done.exit_code == 6 and "stale firmware" in done.stderr
    done = in_process("flash", other, "--port", port)
    assert done.exit_code == 6 and "A simulator cannot be flashed" in done.stderr
    done = in_process("bench", other, "--port", port, "--no-flash")
    assert done.exit_code == 6 and "holds another model" in done.stderr


def test_monitor_prints_lines_until_ctrl_c(port: str) -> None:
    done = in_process("monitor", "--port", port, "--send", "name", "--seconds", 2, "--timestamps")
    assert done.exit_code == 0 and "  m-name-dut-[" in done.stdout and done.stdout.splitlines()[0].lstrip()[:1].isdecimal()
    words = [*COMMAND, "monitor", "--port", port, "--send", "profile"]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None and monitor.stderr is not None
        assert monitor.stdout.readline().startswith("m-profile-[")
        began = time.monotonic()
        monitor.send_signal(signal.SIGINT)
        assert monitor.wait(10) == 0 and time.monotonic() - began < 8
        assert "Traceback" not in monitor.stderr.read()


def test_several_boards_at_once(port: str, tmp_path) -> None:
    file = tmp_path / "both.json"
    with simulated() as second:
        done = in_process("bench", DIGITS, *ASKED, "--port", port, "--port", second, "--runs", 2, "--json", file,
                          PYTHONPATH=environment()["PYTHONPATH"])  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = json.loads(file.read_text(encoding="utf-8"))
    assert [one["device"]["port"] for one in told] == [port, second] and all(one["verify"]["identical"] for one in told)
    assert done.stdout.count("simulated board behind") >= 2


def test_a_board_that_fails_does_not_take_the_others_with_it(port: str) -> None:
    done = in_process("bench", DIGITS, *ASKED, "--port", port, "--port", "/dev/ttyNONE", "--runs", 1, "--json", "-")
    assert done.exit_code == 6 and len(json.loads(done.stdout)) == 1 and "There is no port /dev/ttyNONE" in done.stderr


PAIRS = {
    "one-board-many-ports": (["a"], ["1", "2"], [("a", "1"), ("a", "2")]),
    "each-its-own": (["a", "b"], ["1", "2"], [("a", "1"), ("b", "2")]),
    "no-ports": (["a", "b"], [], [("a", ""), ("b", "")]),
    "too-few-ports": (["a", "b"], ["1"], "There are 2 boards and 1 ports"),
    "twice": (["a", "b"], ["1", "1"], "A port is named twice"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_which_board_is_on_which_port(case: str) -> None:
    names, ports, wanted = PAIRS[case]
    if isinstance(wanted, list):
        assert _fleet.pairs(names, ports) == wanted
    else:
        with pytest.raises(RequestError, match=wanted):
            _fleet.pairs(names, ports)


@pytest.mark.parametrize(
    "words", [("--hardware", "--link", "qemu"), ("--no-flash",), ("--flash", "--link", "virtual")], ids=" ".join
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...]) -> None:
    done = in_process("bench", DIGITS, *words)
    assert done.exit_code == 2 and "real board" in done.stderr


def test_hardware_without_a_board_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    done = in_process("bench", DIGITS, "--hardware")
    assert done.exit_code == 6 and "There is no serial port." in done.stderr and "carries data" in done.stderr

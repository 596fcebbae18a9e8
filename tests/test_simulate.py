"""`mcuml simulate`: the virtual board on stdin and stdout, and behind a pseudo-terminal that pyserial opens."""

import importlib.util
import signal
import subprocess
import sys

import pytest

from commandline import COMMAND, DIGITS, environment

GREETING = b"m-timestamp-mode-performance"
NAME = b"m-name-dut-[Arduino]\r\nm-ready\r\n"
POSIX = pytest.mark.skipif(
    importlib.util.find_spec("termios") is None, reason="There are no pseudo-terminals here; run this on Linux or macOS."
)


def test_stdin_and_stdout_are_the_serial_line() -> None:
    done = subprocess.run([*COMMAND, "simulate", str(DIGITS), "--quiet"], input=b"name%profile%", capture_output=True,
                          env=environment(), timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(GREETING) and NAME in done.stdout and b"m-model-[digits_int8]\r\n" in done.stdout


@POSIX
def test_any_serial_program_talks_to_the_pty() -> None:
    import serial

    words = [*COMMAND, "simulate", str(DIGITS), "--pty"]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        assert board.stdout is not None and board.stderr is not None
        path = board.stdout.readline().strip()
        for _ in range(2):  # a second program finds the line as the first did
            with serial.Serial(path, 115200, timeout=10) as port:
                port.reset_input_buffer()
                port.write(b"%name%")
                assert port.read_until(NAME).endswith(NAME)
                port.write(b"db load 64%")
                assert port.read_until(b"m-ready\r\n").endswith(b"m-[Expecting 64 bytes]\r\nm-ready\r\n")
                for _ in range(4):
                    port.write(b"db " + b"80" * 16 + b"%")
                    answer = port.read_until(b"m-ready\r\n")
                assert b"m-load-done" in answer
                port.write(b"infer 2 1%")
                answer = port.read_until(b"]\r\nm-ready\r\n")
                laps = [int(line[9:]) for line in answer.split() if line.startswith(b"m-lap-us-")]
                assert b"m-results-[" in answer and len(laps) == 2 and 500 < laps[1] - laps[0] < 20_000
        board.send_signal(signal.SIGINT)
        told = board.stderr.read()
        assert board.wait(10) == 130 and told.splitlines()[-1] == "Interrupted." and "estimated" in told and path in told


def test_a_system_without_pseudo_terminals_says_so() -> None:
    hidden = "import sys; sys.modules['tty'] = None; from mcuml.cli import main; main()"
    words = [sys.executable, "-c", hidden, "simulate", str(DIGITS), "--pty", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: This system has no pseudo-terminals.")

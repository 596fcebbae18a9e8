"""Ctrl-C and a scheduler's SIGTERM in the middle of things: one line, the right status, no process and no lock left behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from commandline import COMMAND, DIGITS, environment, mcuml

if not Path("/proc/self/environ").exists():
    pytest.skip("Leftover processes are looked for in /proc, which only Linux has.", allow_module_level=True)

LONG_INFER = b"infer 100000 0%"


def processes(cache: Path) -> list[str]:
    """Command lines of all processes whose environment names `cache`, as those of mcuml and all it starts do."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                if str(cache).encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has just ended
    return found


def until(what, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline, "what the test waits for did not come"
        time.sleep(0.02)


def interrupted(started: subprocess.Popen, number: int, group: bool) -> str:
    """Its stderr after the signal `number`, to it alone or to its process group."""
    (os.killpg if group else os.kill)(started.pid, number)
    try:
        _, stderr = started.communicate(timeout=10)
    finally:
        started.kill()
    assert started.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[signal.Signals(number)], stderr
    assert "Traceback" not in stderr and "Exception ignored" not in stderr, stderr
    return stderr


def start(cache: Path, *words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *map(str, words)], env=environment(MCUML_CACHE=str(cache)), start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)])
def test_during_a_build(tmp_path: Path, number: int, group: bool) -> None:
    """The compiler must be at work when the signal comes."""
    started = start(tmp_path, "build", DIGITS)
    until(lambda: any(" -c " in line and "model" in line for line in processes(tmp_path)))
    told = interrupted(started, number, group)
    assert processes(tmp_path) == []
    assert number != signal.SIGINT or told.splitlines()[-1] == "Interrupted."
    again = mcuml("build", DIGITS, MCUML_CACHE=str(tmp_path), limit_s=60)
    assert again.returncode == 0 and "built with" in again.stderr, again.stderr


@pytest.mark.parametrize("group", [True, False])
def test_during_a_simulation(group: bool) -> None:
    import serial

    cache = Path(environment()["MCUML_CACHE"])
    started = start(cache, "simulate", DIGITS, "--pty")
    path = started.stdout.readline().strip()
    with serial.Serial(path, timeout=5) as port:
        port.write(LONG_INFER)
        assert b"m-infer-start-100000" in port.read_until(b"m-infer-start-100000")
        assert interrupted(started, signal.SIGINT, group).splitlines()[-1] == "Interrupted."
    assert not any("simulate" in line for line in processes(cache))
    assert not Path(path).exists()


def test_while_counting_cycles() -> None:
    """Unicorn calls back into Python for every block: the signal must get through from there."""
    mcuml("bench", DIGITS, "--quiet", "--samples", 1)
    cache = Path(environment()["MCUML_CACHE"])
    started = start(cache, "bench", DIGITS, "--samples", 1, "--runs", 1_000_000, "--json", "-")
    time.sleep(3)
    assert started.poll() is None
    interrupted(started, signal.SIGINT, False)

"""--link qemu: the same firmware, protocol and Result on QEMU's machines; instructions, never a latency; no process left."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandline import DIGITS, DIGITS_DATA, cache_folder, in_process
from mcuml import bench, build, pipeline
from mcuml.board import load
from mcuml.errors import LinkError
from mcuml.link import qemu
from mcuml.run import device
from mcuml.run.session import Session

BOARDS = ("mps2_an386", "mps3_an547", "riscv_virt")
INPUT = bytes(range(64))


def needs(board: str) -> None:
    program = qemu.PROGRAMS[load(board).cpu.arch]
    if program.missing:
        pytest.skip(f"{program.name} is not here. {program.missing}")


def stand_in(folder: Path, script: str) -> str:
    """A PATH on which qemu-system-arm is that shell script."""
    program = folder / "qemu-system-arm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def image() -> Iterator[build.Image]:
    """The digits' firmware for the Cortex-M4 machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCUML_CACHE", str(cache_folder()))
        board, way = load(BOARDS[0]), device.way("qemu")
        files = bench.firmware_files(pipeline.prepare(DIGITS), board)
        yield build.build_firmware(files, board, port=way.firmware_port(board, False))


def running(elf: Path) -> list[int]:
    """Processes that have `elf` on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(elf) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("board", [*BOARDS, pytest.param("mps2_an500", marks=pytest.mark.slow)])  # the same map as the first
def test_bench_tells_outputs_sizes_and_instructions_but_no_latency(board: str, tmp_path: Path) -> None:
    needs(board)
    done = in_process("bench", DIGITS, "--data", DIGITS_DATA, "--samples", 5, "--board", board, "--link", "qemu",
                      "--runs", 2, "--json", tmp_path / "r.json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = json.loads((tmp_path / "r.json").read_text())
    assert told["link"] == "qemu" and "latency" not in told and "anchors" not in told
    assert told["verify"]["identical"] and told["verify"]["samples"] == 5 and told["memory"]["stack_bytes"]
    held = told["instructions"]
    assert held["runs"] == [held["count"]] * 2, "the same input takes the same instructions"
    least, most = (0.5, 2) if load(board).cpu.dsp else (2, 15)  # per multiply-accumulate: SMLAD does two, portable C takes ten
    assert least < held["count"] / told["model"]["macs"] < most
    assert f"{held['count']:,} per inference; no latency" in done.stdout and " ms " not in done.stdout


def test_the_count_is_the_same_in_every_machine(image: build.Image) -> None:
    """Whatever the computer does meanwhile and wherever a tick of the clock falls."""
    needs(BOARDS[0])
    counted = set()
    for waits in (0, 1, 2):
        with qemu.Qemu(image.elf, image.board) as link:
            session = Session(link)
            session.identify()
            session.load_input(INPUT)
            for _ in range(waits):
                session.memory()  # moves the phase of the clock
            counted |= {link.instructions(ticks) for ticks in session.infer(3).runs}
    assert len(counted) == 1


def test_reset_starts_the_machine_again(image: build.Image) -> None:
    needs(BOARDS[0])
    with qemu.Qemu(image.elf, image.board) as link:
        session = Session(link)
        session.identify()
        link.write(b"mcuml reset%")  # the firmware's own
        assert session.identify().model == "digits_int8"
        before = running(image.elf)
        link.reset()  # the link's: another process
        assert session.identify().model == "digits_int8"
        assert len(before) == 1 == len(running(image.elf)) and before != running(image.elf)


def test_no_process_is_left_whatever_happens(image: build.Image) -> None:
    needs(BOARDS[0])
    with pytest.raises(KeyboardInterrupt), qemu.Qemu(image.elf, image.board) as link:
        assert len(running(image.elf)) == 1
        Session(link).wake()
        raise KeyboardInterrupt
    assert not running(image.elf)


def test_a_machine_that_ends_is_told_at_once(image: build.Image) -> None:
    needs(BOARDS[0])
    with qemu.Qemu(image.elf, image.board) as link:
        session = Session(link)
        session.identify()
        for process in running(image.elf):
            os.kill(process, signal.SIGTERM)
        began = time.monotonic()
        with pytest.raises(LinkError, match=r"QEMU (ended|does not answer)") as raised:
            session.load_input(INPUT)
        assert time.monotonic() - began < 12 and "terminating on signal 15" in str(raised.value)


def test_a_machine_that_this_qemu_does_not_know(tmp_path: Path) -> None:
    needs(BOARDS[0])
    text = (Path(__file__).parents[1] / "boards" / "mps2_an386.toml").read_text()
    (tmp_path / "newer.toml").write_text(text.replace("mps2_an386", "newer").replace("mps2-an386", "mps9-an999"))
    with pytest.raises(LinkError, match="QEMU ended with status 1") as raised:
        qemu.Qemu(tmp_path / "some.elf", load(tmp_path / "newer.toml"))
    assert raised.value.exit_code == 6 and "does not know the machine mps9-an999" in raised.value.try_next


def test_qemu_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_: None)
    done = in_process("bench", DIGITS, "--board", "mps2_an386", "--link", "qemu")
    assert done.exit_code == 6 and "apt install qemu-system-arm" in done.stderr
    done = in_process("bench", DIGITS, "--board", "riscv_virt", "--link", "qemu")
    assert done.exit_code == 6 and "apt install qemu-system-misc" in done.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no such accelerator >&2; exit 3", r"ended with status 3\.\n.*\nIt said: no such accelerator"),
        ("sleep 60", r"does not answer any more\.\nIt did not connect"),
    ],
    ids=["ends", "hangs"],
)
def test_qemu_that_does_not_start(script: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", stand_in(tmp_path, script))
    if script.startswith("sleep"):
        monkeypatch.setattr(qemu.Qemu, "connect_s", 1.0)
    began = time.monotonic()
    with pytest.raises(LinkError) as raised:
        qemu.Qemu(tmp_path / "some.elf", load("mps2_an386"))
    assert time.monotonic() - began < 15
    assert re.search(words, str(raised.value), re.DOTALL), raised.value
    assert not running(tmp_path / "some.elf")


def test_a_board_without_a_machine_is_told_which_have_one() -> None:
    done = in_process("bench", DIGITS, "--board", "nano33ble", "--link", "qemu")
    assert done.exit_code == 2 and "mps2_an386" in done.stderr
    done = in_process("bench", DIGITS, "--link", "simics")
    assert done.exit_code == 2 and "There is no link 'simics'" in done.stderr and "qemu" in done.stderr

"""--link renode: the scripts, and the process edge, with a stand-in for Renode that serves the host's firmware on a terminal.

No Renode runs here. The commands of the scripts were compared with scripts of github.com/renode/renode, as of 1.16.1."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from commandline import DIGITS, cache_folder, in_process
from device import SHA256
from device import build as host_build
from mcuml import bench, build, pipeline
from mcuml.board import load, load_all
from mcuml.errors import LinkError
from mcuml.link import renode
from mcuml.link.pty import Terminal
from mcuml.run import device
from mcuml.run.session import Session

pytest.importorskip("termios")  # the stand-in serves a pseudo-terminal

BOARDS = [board.name for board in load_all() if board.simulators.renode]
# What a line of a script may look like, each as real scripts have it.
COMMANDS = (
    r":(name|description): .+",
    r"#.*",
    r"using sysbus",
    r'mach create "\w+"',
    r"machine LoadPlatformDescription \$ORIGIN/\S+",
    r"sysbus\.cpu PerformanceInMips \d+",
    r"sysbus LoadELF \$ORIGIN/\S+",
    r"sysbus\.cpu VectorTableOffset 0x[0-9A-F]{8}",
    r'emulation CreateServerSocketTerminal \d+ "\w+" false',
    r'emulation CreateUartPtyTerminal "\w+" "/[^"]+"',
    r"connector Connect sysbus\.\w+ \w+",
    r"start",
)
STAND_IN = """#!{python}
import os, re, subprocess, sys, time, tty
assert sys.argv[1:] == ["--disable-gui", "--console", "--plain", "mcuml.resc"], sys.argv
script = open("mcuml.resc").read()
assert open("firmware.elf", "rb").read() and "using" in open("board.repl").read()
place = re.search(r'CreateUartPtyTerminal "mcuml" "(.+)"', script)[1]
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", sys.argv[0]])  # Renode's script starts dotnet
{instead}
theirs, ours = os.openpty()
tty.setraw(ours)
os.symlink(os.ttyname(ours), place)
time.sleep(0.3)  # from the terminal's command to the machine's start
subprocess.run(["{firmware}"], stdin=theirs, stdout=theirs)
"""


def stand_in(folder: Path, instead: str = "") -> Path:
    """A program that behaves as Renode does with our scripts, or does `instead`."""
    path = folder / "renode"
    path.write_text(STAND_IN.format(python=sys.executable, firmware=host_build("host"), instead=instead))
    path.chmod(0o755)
    return path


def left(word: str) -> list[str]:
    """processes(word), when those that were killed have had the time to go."""
    deadline = time.monotonic() + 5
    while processes(word) and time.monotonic() < deadline:
        time.sleep(0.05)
    return processes(word)


def processes(word: str) -> list[str]:
    """The command lines on which `word` is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [line] if word in line else []
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_scripts_hold_what_the_board_file_says_in_commands_that_renode_knows(name: str) -> None:
    board = load(name)
    files = renode.scripts(board, Path("/here/uart"))
    script, description = files["mcuml.resc"], files["board.repl"]
    for line in filter(None, script.splitlines()):
        assert any(re.fullmatch(form, line) for form in COMMANDS), line
    held = board.simulators.renode
    assert held and f'using "{held.platform}"' in description and f"connector Connect sysbus.{held.uart} mcuml" in script
    assert f"VectorTableOffset 0x{board.flash.app_origin:08X}" in script and '"/here/uart"' in script
    # A tick of the counter is an instruction only where both run at one rate.
    assert board.clock_hz % 1_000_000 == 0 and f"PerformanceInMips {board.clock_hz // 1_000_000}\n" in script
    assert f"frequency: {board.clock_hz}" in description


def test_windows_gets_a_socket() -> None:
    script = renode.scripts(load(BOARDS[0]), 4567)["mcuml.resc"]
    assert "emulation CreateServerSocketTerminal 4567 " in script and "Pty" not in script


def test_a_robot_test_gets_a_script_that_neither_serves_a_port_nor_starts() -> None:
    script = renode.scripts(load(BOARDS[0]), start=False)["mcuml.resc"]
    assert "emulation Create" not in script and not script.endswith("start\n") and "LoadELF" in script


@pytest.mark.parametrize("name", ["disco_f746ng", "nucleo_f446re"])  # both kinds of USART; test_ci.py has the nRF52840
def test_firmware_links_for_the_platform(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUML_CACHE", str(cache_folder()))
    board = load(name)
    files = bench.firmware_files(pipeline.prepare(DIGITS), board)
    image = build.build_firmware(files, board, port=device.way("renode").firmware_port(board, False))
    assert 0 < image.flash_bytes < board.flash_available


def test_a_session_over_the_socket_and_nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUML_RENODE", str(stand_in(tmp_path)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    elf = host_build("host")
    with renode.Renode(elf, load(BOARDS[0])) as link:
        assert link.kind == "instructions" and processes(str(tmp_path / "renode"))
        session = Session(link)
        assert session.identify(SHA256).model == "stub01"
        session.load_input(bytes(range(16)))
        session.infer()
        assert session.output() == (bytes([0, 2, 4, 6]),)
        link.reset()
        assert session.identify(SHA256).model == "stub01"
    assert not left(str(tmp_path / "renode")) and not left(str(elf))
    assert not list(tmp_path.glob("mcuml-renode-*"))


def test_a_terminal_changes_no_byte_whatever_its_flags_were() -> None:
    ours, theirs = os.openpty()  # as it comes: with echo, lines, CR for LF, flow control and signals
    terminal = Terminal(Path(os.ttyname(theirs)), write_s=0.2)
    try:
        every = bytes(range(256))
        os.write(ours, every)
        assert terminal.recv(1000) == every
        terminal.sendall(every)
        assert os.read(ours, 1000) == every
        with pytest.raises(OSError, match="timed out"):
            terminal.sendall(bytes(1 << 20))
    finally:
        terminal.close()
        os.close(ours)
        os.close(theirs)


FAILS = {  # id: (what the stand-in does, what the error says, what it advises)
    "command": (
        "print('There was an error executing command \\'machine Load...\\'', flush=True); time.sleep(60)",
        r"A command of its script failed\.\nIt said: There was an error executing command 'machine Load",
        "Does this Renode have platforms/",
    ),
    "ends": ("sys.exit('No usable version of libssl was found')", r"ended with status 1\..*libssl", "Run the command again"),
    "hangs": ("time.sleep(60)", r"does not answer any more\.\nIt did not open its serial port", "Run the command again"),
}


@pytest.mark.parametrize("case", FAILS)
def test_a_start_that_fails_is_told_and_leaves_nothing(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead, words, advice = FAILS[case]
    monkeypatch.setenv("MCUML_RENODE", str(stand_in(tmp_path, instead)))
    if case == "hangs":
        monkeypatch.setattr(renode.Renode, "connect_s", 1.0)
    began = time.monotonic()
    with pytest.raises(LinkError) as raised:
        renode.Renode(host_build("host"), load(BOARDS[0]))
    assert re.search(words, str(raised.value), re.DOTALL) and advice in raised.value.try_next, raised.value
    assert time.monotonic() - began < 50, "the others are told at once, not when the time is up"
    assert not left(str(tmp_path / "renode"))


def test_not_installed_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCUML_RENODE", raising=False)
    done = in_process("bench", DIGITS, "--link", "renode", "--board", BOARDS[0], PATH=str(Path(sys.executable).parent))
    assert done.exit_code == 6 and "Renode is not installed" in done.stderr and "github.com/renode/renode" in done.stderr
    done = in_process("bench", DIGITS, "--link", "renode", "--board", BOARDS[0], MCUML_RENODE="nowhere/renode")
    assert done.exit_code == 6 and "MCUML_RENODE is 'nowhere/renode'" in done.stderr


def test_a_board_without_a_platform_is_told_which_have_one() -> None:
    done = in_process("bench", DIGITS, "--link", "renode", "--board", "teensy41")
    assert done.exit_code == 2 and all(name in done.stderr for name in BOARDS)

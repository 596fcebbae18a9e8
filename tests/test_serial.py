"""The link over a serial port, a pseudo-terminal in the place of the cable: every trouble has its own message, none hangs."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("termios", reason="There are no pseudo-terminals here; run this on Linux or macOS.")

from mcuml import board as boards
from mcuml.errors import LinkError
from mcuml.link.serial import access, diagnosis, holders, line, ports
from mcuml.link.serial.line import SerialLink, Vanished
from mcuml.link.serial.ports import Port
from mcuml.run import on_hardware
from mcuml.run.session import Limits, Session
from talker import CLOCK_HZ, Talker

BOARD = next(b for b in boards.load_all() if b.serial.reset == "touch-1200" and len(b.usb) == 2)
BRIDGED = next(b for b in boards.load_all() if b.serial.reset == "dtr-rts")
IDS = tuple((usb.vid, usb.pid) for usb in sorted(BOARD.usb, key=lambda usb: usb.role))  # application, bootloader
QUICK = Limits(wake_s=0.8, reply_s=0.5, run_s=0.5)
INPUT = bytes(range(64))


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("MCUML_CACHE", str(tmp_path / "cache"))


def test_a_session_over_the_port() -> None:
    with Talker() as board, SerialLink(board.path, BOARD) as link:
        session = Session(link)
        assert session.wake() == "talker" and session.identify("5" * 64, "b" * 16).counter == "DWT"
        session.load_input(INPUT)
        assert session.infer(3, warmup=2).cycles == 64_003 and session.output() == (INPUT[:10],)
        assert board.path in link.describe() and (link.name, link.kind) == ("serial", "measured")


@pytest.mark.parametrize("sha256, build, told", [("6" * 64, "", "holds another model"), ("5" * 64, "c" * 16, "stale firmware")])
def test_other_firmware_than_the_one_asked_for(sha256: str, build: str, told: str) -> None:
    with Talker() as board, SerialLink(board.path, BOARD) as link, pytest.raises(LinkError, match=told):
        Session(link).identify(sha256, build)


SAID = {  # id: (what was heard, what is told)
    "brown-out": (b"\r\nBrownout detector was triggered\r\nrst:0xc (SW_CPU_RESET)", "supply voltage breaks down"),
    "brown-out-reset": (b"rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13", "supply voltage breaks down"),
    "task-watchdog": (b"E (6637) task_wdt: Task watchdog got triggered. The following tasks", "A watchdog stopped"),
    "watchdog-reset": (b"rst:0x8 (TG1WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)", "A watchdog stopped"),
    "panic": (b"Guru Meditation Error: Core  1 panic'ed (LoadProhibited).", "crashed"),
    "mbed": (b"++ MbedOS Fault Handler ++\r\nFaultType: HardFault", "crashed"),
    "download": (b"rst:0x1 (POWERON),boot:0x3 (DOWNLOAD(USB/UART0))\r\nwaiting for download", "waits in its ROM"),
    "empty": (b"invalid header: 0xffffffff\r\ninvalid header: 0xffffffff\r\n", "no valid firmware"),
    "loop": (b"m-init-done\r\nm-ready\r\n" * 3, "restarts again and again: 3 times"),
    "rom-loop": (b"rst:0xc (SW_CPU_RESET),boot:0x13\r\n" * 4, "restarts again and again: 4 times"),
    "baud": (bytes(range(128, 168)), "is garbage: 40 bytes, of which 0 % can be read"),
    "sketch": (b"Hello from blink\r\nHello from blink\r\n", "runs other firmware than mcuml's"),
    "silent": (b"", "is silent"),
    "ours": (b"m-init-done\r\nm-ready\r\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_a_board_says_instead(case: str) -> None:
    heard, told = SAID[case]
    error = diagnosis.explain(heard, False, "/dev/ttyX", BRIDGED)
    assert (error is None) == (not told)
    if error:
        assert told in error.what and "/dev/ttyX" in error.what and error.try_next and error.exit_code == 6
        assert "{" not in str(error), "a name was left in"


def test_a_board_that_answered_is_not_called_garbage() -> None:
    assert diagnosis.explain(bytes(range(128, 168)), True, "/dev/ttyX", BRIDGED) is None
    error = diagnosis.explain(b"m-cycles-[1]\r\nm-init-done\r\n", True, "/dev/ttyX", BRIDGED)
    assert error is not None and "restarted in the middle" in error.what


BABBLE = {
    "silent": (b"", "is silent"),
    "garbage": (b"\xff\x80\x99" * 20, "is garbage"),
    "loop": (b"m-init-done\r\n", "again and again"),
    "sketch": (b"temperature: 21.5\r\n", "runs other firmware"),
}


@pytest.mark.parametrize("case", BABBLE)
def test_such_a_board_ends_the_session_within_its_limit(case: str) -> None:
    babble, told = BABBLE[case]
    with Talker(babble=babble, deaf=True) as board, SerialLink(board.path, BOARD) as link:
        began = time.monotonic()
        with pytest.raises(LinkError, match=told):
            Session(link, QUICK).identify()
        assert time.monotonic() - began < 5


EVENTS = {  # id: (command at which it happens, what happens, what is told)
    "greeting-in-a-run": ("mcuml run", "restart", "restarted in the middle"),
    "greeting-in-a-load": ("mcuml put", "restart", "restarted in the middle"),
    "unnoticed-before-the-run": ("mcuml run", "forget", "restarted in the middle"),
    "unnoticed-before-the-output": ("mcuml get", "forget", "restarted in the middle"),
    "gone-in-a-run": ("mcuml run", "vanish", "vanished while it was"),
    "stuck-in-a-run": ("mcuml run", "still", "did not answer 'mcuml run"),
    "babbles-in-a-run": ("mcuml run", "babble", "did not answer 'mcuml run"),
}


@pytest.mark.parametrize("case", EVENTS)
def test_no_figure_survives_a_restart(case: str) -> None:
    command, event, told = EVENTS[case]
    with Talker() as board, SerialLink(board.path, BOARD) as link:
        session = Session(link, QUICK)
        session.identify()
        board.on = {command: event}
        began = time.monotonic()
        with pytest.raises(LinkError, match=told) as caught:
            session.load_input(INPUT)
            session.infer(2)
            session.output()
        assert time.monotonic() - began < 7
        assert isinstance(caught.value, Vanished) == (event == "vanish") and caught.value.exit_code == 6


# Opening


def test_a_port_that_is_not_there_names_those_that_are(monkeypatch) -> None:
    with pytest.raises(LinkError, match="There is no port /dev/ttyNONE") as caught:
        SerialLink("/dev/ttyNONE", BOARD)
    assert "Plug the board in" in caught.value.try_next
    with Talker(usb=IDS) as board:
        monkeypatch.setattr("serial.tools.list_ports.comports", board.comports)
        with pytest.raises(LinkError) as caught:
            ports.named("/dev/ttyNONE")
        assert f"{board.path} ({ports.all_ports()[0].usb_id} talker)" in caught.value.evidence


def test_no_serial_port() -> None:
    with pytest.raises(LinkError, match="/dev/null is not a serial port"):
        SerialLink("/dev/null", BOARD)


def test_a_port_that_another_program_has_open_is_not_opened() -> None:
    hold = "import os, sys, time; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print('held', flush=True); time.sleep(60)"
    with Talker() as board, subprocess.Popen([sys.executable, "-c", hold, board.path], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline()
            with pytest.raises(LinkError, match="is in use") as caught:
                SerialLink(board.path, BOARD)
            assert f"(process {other.pid})" in caught.value.evidence and caught.value.try_next.endswith(f"kill {other.pid}")
        finally:
            other.kill()
        other.wait(5)
        SerialLink(board.path, BOARD).close()


def test_one_mcuml_at_a_time() -> None:
    with Talker() as board:
        with SerialLink(board.path, BOARD), pytest.raises(LinkError, match="is in use") as caught:
            SerialLink(board.path, BOARD)
        assert f"process {os.getpid()}" in caught.value.evidence
        with holders.held(board.path):
            SerialLink(board.path, BOARD, locked=False).close()
        with SerialLink(board.path, BOARD):
            pass


REFUSED = {  # id: (the system's error, what is told, what to try)
    "denied": (errno.EACCES, "No permission", "60-mcuml.rules"),
    "busy": (errno.EBUSY, "is in use", ""),
    "locked": (errno.EAGAIN, "is in use", ""),
    "no-device": (errno.ENXIO, "no device behind it", "plug it in again"),
    "strange": (errno.EIO, "Cannot open", "plug it in again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_why_a_port_cannot_be_opened(case: str, monkeypatch) -> None:
    number, told, remedy = REFUSED[case]

    def refuse(path: str, *_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number), path)

    with Talker() as board:
        with monkeypatch.context() as patched:
            patched.setattr("serial.serialposix.os", SimpleNamespace(**{**vars(os), "open": refuse}))
            with pytest.raises(LinkError, match=told) as caught:
                SerialLink(board.path, BOARD)
        assert remedy in caught.value.try_next
        SerialLink(board.path, BOARD).close()  # the refusal left no lock behind


USB = Port("/dev/ttyACM3", (0x2341, 0x805A))
REMEDIES = {  # id: (port, group, shared, member, active, what to type)
    "debian": (USB, "dialout", True, False, False, "sudo usermod -aG dialout $USER"),
    "arch": (USB, "uucp", True, False, False, "sudo usermod -aG uucp $USER"),
    "old-login": (USB, "dialout", True, True, False, "newgrp dialout"),
    "nobody's": (USB, "dialout", False, False, False, 'ATTRS{idVendor}=="2341"'),
    "root's": (USB, "root", True, False, False, "udevadm trigger"),
    "active": (USB, "dialout", True, True, True, 'TAG+="uaccess"'),
    "no-usb": (Port("/dev/ttyS4"), "root", True, False, False, 'KERNEL=="ttyS4"'),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_the_line_to_type(case: str) -> None:
    *asked, wanted = REMEDIES[case]
    text = access.remedy(*asked)
    assert wanted in text and ("usermod" in text) == ("usermod" in wanted)


# Finding


def listed(*there: Port):
    return lambda: [SimpleNamespace(device=p.device, vid=p.usb and p.usb[0], pid=p.usb and p.usb[1], serial_number=p.number,
                                    location=p.location, product=p.title, description="n/a") for p in there]  # fmt: skip


FOUND = {  # id: (ports, the one found or what is told)
    "by-usb-id": ([Port("A"), Port("B", IDS[0])], "B"),
    "in-its-bootloader": ([Port("A"), Port("C", IDS[1])], "C"),
    "none-at-all": ([], "There is no serial port"),
    "others": ([Port("A", (1, 2), title="a modem")], "No port belongs to"),
    "two": ([Port("A", IDS[0]), Port("B", IDS[0])], "Several ports could be"),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_port_of_a_board(case: str, monkeypatch) -> None:
    there, wanted = FOUND[case]
    monkeypatch.setattr("serial.tools.list_ports.comports", listed(*there))
    if len(wanted) == 1:
        assert ports.find(BOARD).device == wanted
        return
    with pytest.raises(LinkError, match=wanted) as caught:
        ports.find(BOARD)
    assert all(port.device in caught.value.evidence for port in there) and caught.value.try_next


def test_the_port_of_another_board_is_not_taken(monkeypatch) -> None:
    other = next(
        b for b in boards.load_all() if b.usb and b.usb[0].role == "application" and not {(u.vid, u.pid) for u in b.usb} & {*IDS}
    )
    theirs = (other.usb[0].vid, other.usb[0].pid)
    monkeypatch.setattr("serial.tools.list_ports.comports", listed(Port("A", theirs), Port("B", (1, 2))))
    with pytest.raises(LinkError, match="The port A is not a") as caught:
        ports.find(BOARD, "A")
    assert other.name in caught.value.what and f"--board {other.name}" in caught.value.try_next
    assert ports.find(other, "A").device == "A" and ports.find(BOARD, "B").device == "B"


BACK = {  # id: (the port before, ports then, the one it is or what is told)
    "other-name-and-id": (Port("A", IDS[1], "77"), [Port("X", (1, 2)), Port("B", IDS[0], "77")], "B"),
    "same-plug": (Port("A", IDS[1], "", "1-2"), [Port("B", IDS[0], "", "1-2:1.0"), Port("C", IDS[0], "", "1-3")], "B"),
    "bootloader": (Port("A", IDS[0], "77"), [Port("B", IDS[1], "77")], "stays in its bootloader, on B"),
    "another-board": (Port("A", IDS[0], "77"), [Port("A", IDS[0], "78")], "did not come back within 0.2 s"),
    "nothing": (Port("A", IDS[0], "77"), [], "did not come back within 0.2 s"),
}


@pytest.mark.parametrize("case", BACK)
def test_a_board_that_comes_back(case: str, monkeypatch) -> None:
    was, there, wanted = BACK[case]
    monkeypatch.setattr("serial.tools.list_ports.comports", listed(*there))
    if len(wanted) == 1:
        assert ports.wait_for(was, BOARD, 0.2).device == wanted
        return
    with pytest.raises(LinkError, match=wanted) as caught:
        ports.wait_for(was, BOARD, 0.2)
    assert "reset button" in caught.value.try_next


class Wires:
    """What is done to the lines of a port, in order."""

    def __init__(self):
        object.__setattr__(self, "log", [])

    def __setattr__(self, name, value):
        self.log.append((name, value))

    def __getattr__(self, name):
        return lambda *words, **_: self.log.append((name, *words))


WIRED = {
    "dtr": [("dtr", False), ("dtr", True)],
    "dtr-rts": [("dtr", False), ("rts", True), ("rts", False)],  # the boot pin at rest while EN is pulled
    "probe": [("send_break",)],
}


@pytest.mark.parametrize("kind", WIRED)
def test_resets_move_the_lines(kind: str) -> None:
    wires = Wires()
    line.RESETS[kind](wires)
    assert wires.log == WIRED[kind]


def test_a_board_without_a_reset_line_is_asked_to_restart() -> None:
    with Talker() as board, SerialLink(board.path, BOARD) as link:
        session = Session(link, QUICK)
        session.identify()
        board.on = {"mcuml reset": "restart"}
        link.reset()
        assert session.identify().board == "talker" and not board.on


# Figures

PLAN = SimpleNamespace(
    arena_bytes=512, graph=SimpleNamespace(sha256="5" * 64, outputs=[0], tensors=[SimpleNamespace(dtype="int8", shape=(10,))])
)
IMAGE = SimpleNamespace(
    board=SimpleNamespace(title="talker", clock_hz=CLOCK_HZ, cycle_error="unknown"),
    flash_bytes=3,
    code_bytes=2,
    weights_bytes=1,
    ram_bytes=9,
)


class Data:
    def __len__(self):
        return 2

    def raw(self, n):
        return [bytes([n + 1]) * 64]


DRIFTS = {  # id: (identity, drift, kind, warned)
    "right": ({}, 1.0, "measured", False),
    "fast": ({}, 2.0, "measured", True),
    "slow": ({}, 0.5, "measured", True),
    "simulated": ({"simulated": 1}, 2.0, "estimated", False),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_a_counter_is_held_beside_the_wall_clock(case: str, monkeypatch) -> None:
    identity, drift, kind, warned = DRIFTS[case]
    monkeypatch.setattr(on_hardware, "WALL_S", 0.6)
    monkeypatch.setattr(on_hardware, "TOLERANCE", 0.4)  # this computer may be busy: a line that is 0.2 s late is no fault
    with Talker(identity=identity, seconds=0.002, drift=drift) as board, SerialLink(board.path, BOARD) as link:
        found = on_hardware.of_board(Session(link), IMAGE, Port(board.path), PLAN, Data(), 2, 15, lambda *_: None)
    held = found.latency
    assert (held.kind, len(held.runs), held.cycles, held.p99_cycles) == (kind, 15, 128_003, 128_009)
    assert (held.ms, held.warmups, round(held.spread, 5)) == (2.0, 3, 0.0001)
    assert (held.wall is None) == (kind == "estimated") and bool(found.warnings) == warned
    if warned:
        assert "disagree by" in found.warnings[0]
    assert ("simulated" in held.method) == (kind == "estimated") and found.device.simulated == (True if identity else None)
    assert [int(o[0][0]) for o in found.outputs] == [1, 2] and np.asarray(found.outputs[0][0]).dtype == np.int8


def test_a_counter_that_stands_still_gives_no_figure() -> None:
    with Talker(seconds=0.0) as board, SerialLink(board.path, BOARD) as link:
        board.stopped = True
        with pytest.raises(LinkError, match="stands still"):
            on_hardware.of_board(Session(link, QUICK), IMAGE, Port(board.path), PLAN, Data(), 1, 5, lambda *_: None)


def test_old_firmware_says_its_version() -> None:
    with Talker(identity={"protocol": 1}) as board, SerialLink(board.path, BOARD) as link:
        session = Session(link, QUICK)
        with pytest.raises(LinkError, match="speaks version 1 of mcuml's protocol"):
            session.identify()


def test_the_page_tells_the_messages_that_there_are() -> None:
    """The first column of docs/HARDWARE.md's table, piece by piece, in the sources."""
    root = Path(__file__).resolve().parents[1]
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("link/serial", "run")
        for path in sorted((root / "host" / "mcuml" / folder).glob("*.py"))
    )
    code = re.sub(r'"\s+f?"', "", code + (root / "host" / "mcuml" / "vendor.py").read_text(encoding="utf-8"))
    table = (root / "docs" / "HARDWARE.md").read_text(encoding="utf-8").partition("| Message |")[2]
    rows = re.findall(r"^\| (.+?) \|", table.partition("|---|")[2], re.MULTILINE)
    assert len(rows) > 25
    for row in rows:
        for message in row.removesuffix(" (a warning)").split(" / "):
            pieces = re.split(r"\.\.\.|\bP\b|15 s|180 s|: |; ", message)
            for piece in (piece.strip(" .:") for piece in pieces):
                assert piece in code, f"docs/HARDWARE.md tells a message that mcuml does not: {message!r} ({piece!r})"

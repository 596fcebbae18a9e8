"""One fault in a session ends in the right figures or in LinkError within a limit; what a faulty link does to its bytes."""

from __future__ import annotations

import pytest

from faults import device
from faults.walk import Outcome, Window, converse, converse_plainly, walk
from mcuml.errors import LinkError, RequestError
from mcuml.link.base import Link
from mcuml.link.fault import Fault, FaultLink
from mcuml.link.virtual import VirtualBoard


class Echo(Link):
    """A device that says what it hears; after a reset it says "boot"."""

    name, kind = "echo", "estimated"

    def __init__(self) -> None:
        self.clock = device.LineClock()
        self._out = b""

    def write(self, data: bytes) -> None:
        self._out += data

    def read(self, timeout_s: float) -> bytes:
        data, self._out = self._out[:4], self._out[4:]
        self.clock.sleep(0 if data else timeout_s)
        return data

    def reset(self) -> None:
        self._out = b"boot"

    def close(self) -> None:
        pass


def heard(link: Link, seconds: float = 0.5) -> bytes:
    got = b""
    while came := link.read(seconds):
        got += came
    return got


TEXT = b"one%\ntwo%\nthree%\n"
# (id, fault, what comes back of TEXT within half a second, and what comes later)
BYTES = [
    ("drop", Fault("drop", 2), b"on%\ntwo%\nthree%\n", b""),
    ("drop sent", Fault("drop", 6, "sent"), b"one%\nto%\nthree%\n", b""),
    ("flip", Fault("flip", 5, bit=1), b"one%\nvwo%\nthree%\n", b""),
    ("flip sent", Fault("flip", 0, "sent", bit=7), b"\xefne%\ntwo%\nthree%\n", b""),
    ("duplicate", Fault("duplicate", 4), b"one%\n\ntwo%\nthree%\n", b""),
    ("truncate", Fault("truncate", 6), b"one%\ntthree%\n", b""),
    ("truncate sent", Fault("truncate", 6, "sent"), b"one%\nt\nthree%\n", b""),
    ("delay", Fault("delay", 6, seconds=2), b"one%\nt", b"wo%\nthree%\n"),
    ("delay sent", Fault("delay", 6, "sent", seconds=2), b"one%\nt", b"wo%\nthree%\n"),
    ("stall", Fault("stall", 6), b"one%\nt", b""),
    ("stall sent", Fault("stall", 6, "sent"), b"one%\nt", b""),
    ("reboot sent", Fault("reboot", 6, "sent"), b"boot\nthree%\n", b""),
    ("reboot", Fault("reboot", 6), b"one%\ntboot", b""),
    ("not reached", Fault("drop", 99), TEXT, b""),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "now", "later"), [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
def test_a_fault_strikes_the_byte_it_names(fault, now, later):
    link = FaultLink(Echo(), fault)
    link.write(TEXT[:9])
    link.write(TEXT[9:])
    assert heard(link) == now
    assert link.struck == (fault.at < 99)
    assert heard(link, 3) == later
    assert link.clock.now() < 10


def test_disconnect_keeps_what_came_before_it():
    link = FaultLink(Echo(), Fault("disconnect", 6))
    link.write(TEXT)
    assert link.read(1) + link.read(1) == TEXT[:6]
    for use in (lambda: link.read(1), lambda: link.write(b"x")):
        with pytest.raises(LinkError, match="gone"):
            use()


@pytest.mark.parametrize("wrong", [{"at": -1}, {"at": 0, "bit": 8}, {"at": 0, "seconds": -1}, {"at": 0, "side": "up"}])
def test_no_such_fault(wrong):
    with pytest.raises(RequestError, match="There is no such fault"):
        Fault("flip", **wrong)


SHA256 = device.prepared(device.DIGITS).graph.sha256


def firmware() -> Link:
    return device.FirmwareDevice(device.library())


def whole(link: Link) -> object:
    return converse(link, SHA256, device.sample())


def bad(outcomes: list[Outcome]) -> list[Outcome]:
    return [o for o in outcomes if o.came not in ("repaired", "refused")]


def test_no_fault_gives_a_wrong_figure():
    """`make faults` does this at every byte."""
    outcomes = list(walk(firmware, whole, step=40))
    assert not bad(outcomes) and len(outcomes) > 500
    for kind in ("drop", "flip", "duplicate", "truncate", "delay"):
        assert all(o.came == "repaired" for o in outcomes if o.fault.kind == kind), kind
    for kind in ("stall", "disconnect"):
        assert all(o.came == "refused" for o in outcomes if o.fault.kind == kind), kind


@pytest.mark.slow
def test_no_fault_gives_wrong_figures_of_the_virtual_board():
    image = device.image()
    board = VirtualBoard(image.elf, image.board)
    assert not bad(list(walk(lambda: device.Hurried(board), whole, step=2500)))


def test_without_checks_scores_are_right_and_only_timestamps_may_not_be():
    for outcome in bad(list(walk(firmware, lambda link: converse_plainly(link, device.sample()), step=25))):
        got, right = outcome.text.split(" instead of ")
        assert outcome.came == "WRONG" and outcome.fault.kind != "reboot" and got.split("),")[0] == right.split("),")[0], outcome


def test_a_window_is_right_to_the_microsecond():
    assert Window(100) == Window(101) and Window(100) == Window(99) and Window(100) != Window(102) and Window(100) != Window(98)

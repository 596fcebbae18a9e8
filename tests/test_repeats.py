"""A board that counts an inference once and runs its repetitions free tells the time that counting all of them tells."""

from __future__ import annotations

import re
import time

import pytest

from device import BOARD, SHA256, build, replies
from mcuml.link.repeats import RepeatingBoard
from mcuml.link.virtual import VirtualBoard
from mcuml.run import suites
from mcuml.run.session import Session

LOADED = b"db load 16%db " + bytes(range(16)).hex().encode() + b"%"


def windows(board: type[VirtualBoard], requests: list[bytes], energy: bool = False) -> list[int]:
    """Cycles between the last two edges of each request, in energy mode; else microseconds between its two lap lines."""
    found = []
    link = board(build("virtual", suite=suites.SUITES["kws"], energy=energy), BOARD)
    with link:
        replies(link, b"")
        replies(link, LOADED, 2)
        for request in requests:
            said = replies(link, request, limit_s=60).decode()
            assert "m-infer-done" in said
            laps = [int(lap) for lap in re.findall(r"m-lap-us-(\d+)", said)]
            if energy:
                falls = [at for at, level in link.edges if level == 0]
                laps = falls[-2:]
            found.append(laps[1] - laps[0])
    return found


REQUESTS = [b"infer 1 0%", b"infer 2 0%", b"infer 60 3%", b"infer 60 0%", b"infer 7 1%"]


@pytest.mark.parametrize("energy", [False, True], ids=["performance", "energy"])
def test_windows_are_those_of_counting_everything(energy):
    counted, repeated = windows(VirtualBoard, REQUESTS, energy), windows(RepeatingBoard, REQUESTS, energy)
    slack = 200 if energy else 4  # cycles, microseconds: what is left out at a window's end
    assert all(abs(a - b) <= slack for a, b in zip(counted, repeated, strict=True)), (counted, repeated)
    assert counted[2] > 20 * counted[0], "the windows differ in length, so that the comparison says something"


def test_repetitions_are_not_counted(monkeypatch):
    """Otherwise nothing is gained: of 300 inferences the blocks of a few are counted."""
    entered = 0
    fold = RepeatingBoard._fold

    def counting(self):
        nonlocal entered
        entered += len(self._trace)
        fold(self)

    monkeypatch.setattr(RepeatingBoard, "_fold", counting)
    windows(RepeatingBoard, [b"infer 1 0%"])
    one, entered = entered, 0
    windows(RepeatingBoard, [b"infer 300 0%"])
    assert entered < 3 * one


def test_a_repetition_of_the_same_arena_is_not_executed():
    class Counting(RepeatingBoard):
        given = 0

        def poke(self, address, data):
            self.given += 1
            super().poke(address, data)

    with Counting(build("virtual"), BOARD) as link:
        replies(link, b"")
        replies(link, LOADED, 2)
        assert b"m-results-[0.500,0.508,0.516,0.523]\r\n" in replies(link, b"infer 50 3%")
        assert link.given >= 45, "of 53"


def test_a_repetition_of_another_arena_is_executed():
    """Here the input changes by itself within the window; no command does that."""
    calls = 0

    def change(_):
        nonlocal calls
        calls += 1
        if calls > 20:
            link.poke(link.program.symbols["buffer"], bytes([127] * 16))

    with RepeatingBoard(build("virtual"), BOARD) as link:
        replies(link, b"")
        replies(link, LOADED, 2)
        link.on_call("device_infer", change)
        assert b"m-results-[0.746,0.746,0.746,0.746]\r\n" in replies(link, b"infer 50 3%")


def test_results_are_those_of_running_every_repetition():
    with RepeatingBoard(build("virtual"), BOARD) as link:
        replies(link, b"")
        replies(link, LOADED, 2)
        assert b"m-results-[0.500,0.508,0.516,0.523]\r\n" in replies(link, b"infer 50 3%")


def test_mcuml_run_is_counted_each_time_and_a_new_input_anew():
    """Also after a window whose cost is known."""
    with RepeatingBoard(build("virtual"), BOARD) as link, VirtualBoard(build("virtual"), BOARD) as plain:
        sessions = []
        for board in (link, plain):
            session = Session(board)
            session.identify(SHA256)
            session.load_input(bytes(16))
            replies(board, b"infer 20 0%")
            session.load_input(bytes(range(16)))
            sessions.append(session.infer(4, 1).runs)
        assert sessions[0] == sessions[1] and min(sessions[0]) > 100


def test_a_reset_within_a_window_forgets_it():
    with RepeatingBoard(build("virtual"), BOARD) as link:
        replies(link, b"")
        link.write(b"infer 100000000 0%")
        link.read(0.3)
        link.reset()
        assert replies(link, b"").endswith(b"m-init-done\r\nm-ready\r\n")
        assert b"m-infer-done" in replies(link, b"infer 5 1%")


def test_loading_takes_no_time_and_what_follows_does():
    with RepeatingBoard(build("virtual"), BOARD) as link:
        replies(link, b"")
        replies(link, b"db load 16%")
        began = link.cycles
        replies(link, b"db 0001%db 0203%", 2)
        assert link.cycles == began
        replies(link, b"name%")
        assert link.cycles > began


@pytest.mark.parametrize("board", [VirtualBoard, RepeatingBoard])
def test_time_does_not_depend_on_where_slices_end(board):
    """A loaded computer stops the core within the calls that look at it: then the same instruction comes by twice."""

    class Slow(board):  # type: ignore[misc, valid-type]
        @property
        def cycles(self) -> int:
            time.sleep(0.004)  # longer than the reads of 1 ms below
            return super().cycles

    told = []
    for kind, wait_s in ((board, 60.0), (Slow, 0.001)):
        with kind(build("virtual"), BOARD) as link:
            replies(link, b"")
            replies(link, LOADED, 2)
            link.write(b"infer 50 3%")
            heard, deadline = b"", time.monotonic() + 60
            while b"m-ready" not in heard and time.monotonic() < deadline:
                heard += link.read(wait_s)
            first, last = map(int, re.findall(rb"m-lap-us-(\d+)", heard))
            told.append(last - first)
    assert told[0] > 300 and told[1] == told[0], told

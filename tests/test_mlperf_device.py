"""The device's end of MLPerf Tiny, to the byte, on the virtual board: each reply and error in both modes, the trigger pin, and
what each test makes of its input bytes."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from functools import cache

import pytest

from device import device, replies
from mcuml.link.virtual import VirtualBoard
from mcuml.run import protocol, suites

READY = "m-ready\r\n"
CLOCK_HZ = 64_000_000
# The stub takes 16 bytes and gives the means of each four, halved: see stub_model/model.c. Its input has scale 0.5, zero point 0,
# its output scale 1/256, zero point -128.
RGB = replace(suites.SUITES["ic"], elements=16, classes=4)
FLOATS = replace(suites.SUITES["ad"], elements=4, classes=4)
KWS = replace(suites.SUITES["kws"], elements=16, classes=4)
LAP = "m-lap-us-<N>\r\n"
SCORES = "m-results-[0.500,0.500,0.500,0.500]\r\n"
RUN = "m-warmup-start-{w}\r\nm-warmup-done\r\nm-infer-start-{n}\r\n{lap}{lap}m-infer-done\r\n" + SCORES
# (sent, reply in performance mode before m-ready, reply in energy mode); one text where they are the same
ROWS = [
    ("name%", "m-name-dut-[mcuml]\r\n"),
    ("profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\n"),
    ("timestamp%", LAP, ""),
    ("db%", "e-[Command 'db' requires a subcommand]\r\n"),
    ("db load%", "e-[Command 'db load' requires the # of bytes]\r\n"),
    ("db load 0%", "e-[Command 'db load' must be >0 bytes]\r\n"),
    ("db load 17%", "Supplied buffer size 17 exceeds maximum of 16\n"),
    ("db load 16%", "m-[Expecting 16 bytes]\r\n"),
    ("db 000%", "e-[Insufficent number of hex digits]\r\n"),
    ("db 00g0%", "e-[Invalid hex digit 'g0']\r\n"),
    ("db 0000000000000000%", ""),
    ("db 0000000000000000ff%", "m-load-done\r\n"),
    ("db ff%", ""),
    ("db print%", "m-buffer-00-00-00-00-00-00-00-00\r\nm-buffer-00-00-00-00-00-00-00-00\r\n"),
    ("infer 3 2%", RUN.format(n=3, w=2, lap=LAP), RUN.format(n=3, w=2, lap="")),
    ("infer 2%", RUN.format(n=2, w=10, lap=LAP), RUN.format(n=2, w=10, lap="")),
    ("infer%", RUN.format(n=1, w=10, lap=LAP), RUN.format(n=1, w=10, lap="")),
    ("infer 1 0%", RUN.format(n=1, w=0, lap=LAP), RUN.format(n=1, w=0, lap="")),
    ("infer 0 0%", "e-[Inference iterations must be >0]\r\n"),
    ("infer 0 -1%", "e-[Inference iterations must be >0]\r\n"),
    ("infer 1 -1%", "e-[Inference warmup must be >=0]\r\n"),
    ("results%", SCORES),
    ("play%", "e-[Unknown command: play]\r\n"),
]  # fmt: skip


@cache
def opened(mode: str) -> VirtualBoard:
    """A device of each kind, one for all tests: the rows of the table are one conversation."""
    link = device("virtual", 0, False, {"rgb": RGB, "floats": FLOATS}.get(mode, KWS), mode == "energy")
    assert isinstance(link, VirtualBoard)
    return link


@pytest.mark.parametrize("mode", ["performance", "energy"])
def test_every_row(mode):
    for sent, *wants in ROWS:
        want = wants[0] if mode == "performance" else wants[-1]
        got = replies(opened(mode), sent.encode()).decode("latin1")
        assert re.fullmatch(re.escape(want + READY).replace("<N>", r"\d+"), got), f"{mode}, {sent}: {got!r}"


@pytest.mark.parametrize(
    ("energy", "want"),
    [(False, "m-timestamp-mode-performance\r\n" + LAP), (True, "m-timestamp-mode-energy\r\n")],
    ids=["performance", "energy"],
)
def test_greeting(energy, want):
    with device("virtual", 0, False, KWS, energy) as link:
        link.reset()
        got = replies(link, b"").decode()
    assert re.fullmatch(re.escape(f"{want}m-init-done\r\n{READY}").replace("<N>", r"\d+"), got), got


def test_the_pin_falls_at_each_timestamp_and_stays_low_long_enough():
    with device("virtual", 0, False, KWS, energy=True) as link:
        assert isinstance(link, VirtualBoard)
        at_boot = link.edges[:]
        replies(link, b"timestamp%")
        replies(link, b"infer 5 1%")
        edges = link.edges[:]
        one = replies(link, b"mcuml run 1%").decode().split("\r\n")[0]
    assert [level for _, level in at_boot] == [0, 1], "the first pulse is that of the greeting"
    assert [level for _, level in edges] == [0, 1] * 4, "then the command's, the window's start and its end"
    pulses = [up - down for (down, _), (up, _) in zip(edges[::2], edges[1::2], strict=True)]
    assert all(1e-6 <= cycles / CLOCK_HZ <= 1e-4 for cycles in pulses), pulses
    window = edges[-2][0] - edges[-4][0]
    assert window > 5 * protocol.cycles(one), "five inferences lie between the last two falling edges"


def test_performance_mode_leaves_the_pin_alone():
    link = opened("performance")
    replies(link, b"timestamp%infer 1 0%", 2)
    assert link.edges == []


def test_a_clock_that_stands_still_hangs_nothing():
    from device import BOARD, build

    with VirtualBoard(build("virtual", 0, False, (), KWS, True), BOARD, count=False) as link:
        assert replies(link, b"timestamp%", 2).endswith(f"m-init-done\r\n{READY}{READY}".encode())


def test_rgb_loses_128():
    """Bytes of 0 to 255 become int8, `db print` shows what was sent, and a second `infer` does not subtract again."""
    link, data = opened("rgb"), bytes([0, 0, 0, 0, 255, 255, 255, 255, 128, 128, 128, 128, 64, 64, 192, 192])
    replies(link, f"db load 16%db {data.hex()}%".encode(), 2)
    assert replies(link, b"db print%").decode() == (
        "m-buffer-00-00-00-00-ff-ff-ff-ff\r\nm-buffer-80-80-80-80-40-40-c0-c0\r\n" + READY
    )
    for _ in range(2):  # means -128, 127, 0, 0; halved towards 0 and dequantized
        assert b"m-results-[0.250,0.746,0.500,0.500]\r\n" in replies(link, b"infer 1 0%")


FLOAT_ROWS = [  # (the four values sent, each as int8 at scale 0.5, zero point 0)
    ((0.0, 0.0, 0.0, 0.0), (0, 0, 0, 0)),
    ((0.25, -0.25, 0.24, -0.24), (1, -1, 0, 0)),  # halves go away from zero
    ((63.5, 63.9, 1e9, 500.0), (127, 127, 127, 127)),
    ((-64.0, -64.3, -1e9, float("-inf")), (-128, -128, -128, -128)),
    ((float("nan"), 10.0, 20.0, 30.0), (-128, 20, 40, 60)),
    ((0.74999994, 12.0, 12.3, 12.6), (1, 24, 25, 25)),  # the float just below a half
]


@pytest.mark.parametrize(("values", "steps"), FLOAT_ROWS)
def test_floats_are_quantized_and_scored(values, steps):
    """The stub's first output is the mean of the four steps, halved; the others are 0. The score is the mean squared difference
    of outputs and values."""
    link, data = opened("floats"), struct.pack("<4f", *values)
    assert b"m-load-done" in replies(link, f"db load 16%db {data.hex()}%".encode(), 2)
    got = replies(link, b"infer 1 0%").decode()
    mean = int(sum(steps) / 4)
    outputs = [(int(mean / 2) + 128) / 256, 0.5, 0.5, 0.5]
    score = sum((o - v) ** 2 for o, v in zip(outputs, values, strict=True)) / 4
    match = re.search(r"m-results-\[([^]]*)\]", got)
    assert match, got
    assert float(match[1]) == pytest.approx(score, rel=1e-6, abs=0.0006, nan_ok=True)
    held = replies(link, b"mcuml crc%").decode()
    want = protocol.crc(0, bytes(s & 0xFF for s in steps) + bytes(12))
    assert re.fullmatch(rf"m-crc-\[{want:08x},[0-9]+\]\r\n{READY}", held), held
    assert data[:8].hex("-") in replies(link, b"db print%").decode()


RATES = [
    ("kws", False, 115200),
    ("ad", False, 921600),
    ("ad", True, 9600),
    ("ic", True, 9600),
    ("", True, 9600),
    ("", False, 57600),
]


@pytest.mark.parametrize(("suite", "energy", "baud"), RATES)
def test_the_line_runs_at_the_official_rates(suite, energy, baud):
    """Those of the official runner's devices_*.yaml; without a test, the board's own."""
    from mcuml.board import load

    held = load("nano33ble")
    board = held.model_copy(update={"serial": held.serial.model_copy(update={"baud": 57600})})
    assert suites.at_rate(board, suites.SUITES.get(suite), energy).serial.baud == baud

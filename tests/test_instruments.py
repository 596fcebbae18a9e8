"""Energy meters: ST's LPM01A simulated on a pseudo-terminal, and the Joulescope JS220 with its library replaced at its edge."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mcuml.errors import LinkError
from mcuml.instruments import lpm01a as module
from mcuml.instruments.base import Recording
from mcuml.instruments.figures import estimate
from mcuml.instruments.js220 import Js220
from mcuml.instruments.lpm01a import Lpm01a, parse
from test_mlperf_host import replace_energy

pytest.importorskip("tty")
import lpm01a as simulated

FIVE_MW = [5e-6] * 2500  # 2.5 s at 5 mW, a sample each millisecond


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.5)


def test_energy_between_the_last_two_edges():
    """An edge before the window, as a device's start gives, is not counted; the command sequence is the official one."""
    joules = [*FIVE_MW]
    joules[1700:2200] = [9.123e-6] * 500
    with simulated.Lpm01a(joules, (3, 1200, 2200)) as board:
        with Lpm01a(board.path, volts=1.8) as meter:
            meter.start()
            recording = meter.stop()
            assert meter.kind == "measured" and meter.volts == 1.8
        assert recording.edges == (3, 1200, 2200) and len(recording.joules) == 2500
        assert recording.window() == (pytest.approx(500 * 5 + 500 * 9.123), 1.0)
        assert board.commands[:2] == ["htc", "pwr off"] and board.commands[-2:] == ["pwr off", "hrc"]
        wanted = ("acqtime inf", "trigsrc sw", "eventsrc d7 fal", "output energy", "format ascii_dec", "freq 1k", "volt 1800m",
                  "pwr on nostatus", "start", "stop")  # fmt: skip
        places = [board.commands.index(word) for word in wanted]
        assert places == sorted(places)


def test_it_can_measure_again():
    with simulated.Lpm01a(FIVE_MW, (0, 1000)) as board, Lpm01a(board.path) as meter:
        for _ in range(3):
            meter.start()
            assert meter.stop().window()[0] == pytest.approx(5000)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"refuse": "freq"}, "refuses 'freq 1k'"),
        ({"mute": "htc"}, "does not answer 'htc'"),
        ({"mute": "stop"}, "does not answer 'stop'"),
        ({"lose": tuple(range(1500, 1510))}, "lost samples"),
    ],
    ids=["refuses", "silent", "does not end", "loses"],
)
def test_what_goes_wrong_is_told(quick, how, words):
    edges = (1000, 2000)
    with simulated.Lpm01a(FIVE_MW, edges, **how) as board, pytest.raises(LinkError) as caught, Lpm01a(board.path) as meter:
        meter.start()
        meter.stop().window()
    assert words in caught.value.what
    assert "detail" not in words or "Wrong parameter" in caught.value.evidence


def test_a_window_needs_two_edges():
    with pytest.raises(LinkError, match="saw 1 edges") as caught:
        Recording(np.ones(100), (5,)).window()
    assert "D7 of the LPM01A" in caught.value.try_next


def test_no_such_port_and_no_such_voltage(tmp_path):
    with pytest.raises(LinkError, match="There is no port"):
        Lpm01a(str(tmp_path / "none"))
    with pytest.raises(LinkError, match="cannot supply 5 V"):
        Lpm01a("none", volts=5)


def test_parse_takes_what_a_real_line_may_hold():
    """Several samples in a line, a damaged one, either kind of edge, the prompt."""
    text = "PowerShield > TimeStamp: 000s 000ms, buff 00%\n6409-07\n1000-061000-06\nevent 7 fal\n12x4-07\nevent 8 ris\n0005+01\n"
    held = parse(text)
    assert held.edges == (3, 4) and held.first == 7
    assert held.joules[[0, 1, 2, 4]] == pytest.approx([640.9e-6, 1e-3, 1e-3, 50]) and np.isnan(held.joules[3])


# the JS220: its library's Driver, with what record.py of that library says of topics and values


class Driver:
    """At 2 MHz full rate: power at 1 MHz in blocks of 5000, the input at 1 MHz in blocks of 4096 bits, which begin earlier."""

    paths = ("u/js220/001122",)
    missing: tuple[int, ...] = ()

    def __init__(self):
        self.published, self.heard, self.closed = [], {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed.append("driver")

    def device_paths(self):
        return list(self.paths)

    def open(self, path, timeout=None):
        self.closed.clear()

    def close(self, path):
        self.closed.append(path)

    def subscribe(self, topic, flags, callback):
        self.heard[topic] = callback

    def publish(self, topic, value):
        self.published.append((topic, value))
        if topic.endswith("s/gpi/0/ctrl") and value == 0:
            self.send()

    def send(self):
        power, pin = (next(t for t in self.heard if t.endswith(f"{s}/!data")) for s in ("s/p", "s/gpi/0"))
        count = 1_200_000
        watts = np.full(count, 0.005, np.float32)
        for n, start in enumerate(range(0, count, 5000)):
            if n not in self.missing:
                self.tell(power, 2 * start + 1_000_000, watts[start : start + 5000])
        levels = np.ones(count, np.uint8)
        for fall in (100_000, 1_100_000):  # microseconds after the first sample of power
            levels[fall + 3000 : fall + 3010] = 0  # the input's first sample lies 3000 samples before it
        for start in range(0, count - 4096, 4096):
            bits = np.packbits(levels[start : start + 4096], bitorder="little")
            self.tell(pin, 2 * start + 1_000_000 - 6000, bits)

    def tell(self, topic, sample_id, data):
        self.heard[topic](topic, {"sample_id": sample_id, "decimate_factor": 2, "sample_rate": 2_000_000, "data": data})


@pytest.fixture
def library(monkeypatch):
    class Fresh(Driver):
        pass

    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", SimpleNamespace(Driver=Fresh))
    return Fresh


def test_js220(library):
    with Js220() as meter:
        meter.start()
        recording = meter.stop()
        driver = meter._driver
    assert recording.edges == (100, 1100)
    assert recording.window() == (pytest.approx(5000, rel=1e-5), 1.0)
    assert ("u/js220/001122/s/p/ctrl", 1) in driver.published and ("u/js220/001122/s/p/ctrl", 0) in driver.published
    assert driver.closed == ["u/js220/001122", "driver"]


def test_js220_tells_lost_samples(library):
    library.missing = (100,)
    with Js220() as meter, pytest.raises(LinkError, match="lost samples"):
        meter.start()
        meter.stop().window()


@pytest.mark.parametrize(("paths", "words"), [((), "There is no Joulescope"), (("u/js220/1", "u/js220/2"), "There are 2")])
def test_js220_one_at_a_time(library, paths, words):
    library.paths = paths
    with pytest.raises(LinkError, match=words):
        Js220()


def test_js220_without_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(LinkError, match="not installed") as caught:
        Js220()
    assert "mcuml[joulescope]" in caught.value.try_next


def test_an_estimate_is_power_times_time():
    told = estimate(replace_energy(volts=3.3, milliamps_active=6.0), 50.0)
    assert told is not None and told.kind == "estimated" and told.uj == pytest.approx(3.3 * 6 * 50)
    assert "a test" in told.source
    assert estimate(replace_energy().model_copy(update={"energy": None}), 50.0) is None

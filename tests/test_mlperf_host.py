"""The host's end of MLPerf Tiny: the procedure and its session folder, with a device in Python, with the firmware on the virtual
board, and with that behind a pseudo-terminal."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from commandline import ROOT, in_process
from device import BOARD, build
from mcuml.errors import LinkError, RequestError
from mcuml.instruments.figures import BoardFigures
from mcuml.link.base import Link
from mcuml.link.repeats import RepeatingBoard
from mcuml.mlperf import folder, inputs, procedure, scores
from mcuml.mlperf.conversation import Conversation
from mcuml.mlperf.folder import Folder
from mcuml.mlperf.scores import Outcome
from mcuml.run import suites

STUB = replace(suites.SUITES["kws"], elements=16, classes=4, performance=(7, 2), energy=(7, 2))
MODELS = ROOT.parent / "shared" / "models" / "mlperf_tiny"


class Device(Link):
    """A device of others in Python: MLPerf Tiny's commands and none of mcuml's. each_us: microseconds of an inference, the
    next one for each `infer`; model, energy: what it says it is; spoils: whether a loaded byte is wrong."""

    name, kind = "serial", "measured"

    def __init__(self, each_us=(1000,), model="kws01", energy=False, spoils=False, classes=4, end=""):
        self.each_us, self.model, self.energy, self.spoils = list(each_us), model, energy, spoils
        self.classes, self.end = classes, end
        self.now, self.held, self.out, self.size = 0, b"", b"", 0
        self.infers: list[tuple[int, int]] = []

    def write(self, data: bytes) -> None:
        for command in data.decode().split("%")[:-1]:
            self.out += "".join(f"{line}\r\n" for line in [*self.answer(command.split()), "m-ready"]).encode()

    def answer(self, words: list[str]) -> list[str]:
        match words:
            case []:
                return []
            case ["name"]:
                return ["m-name-dut-[others]"]
            case ["profile"]:
                return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self.model}]"]
            case ["timestamp"]:
                return [] if self.energy else [f"m-lap-us-{self.now}"]
            case ["db", "load", count]:
                self.held, self.size = b"", int(count)
                return [f"m-[Expecting {count} bytes]"]
            case ["db", "print"]:
                told = bytes([self.held[0] ^ self.spoils]) + self.held[1:]
                return [f"m-buffer-{told[i : i + 8].hex('-')}" for i in range(0, len(told), 8)] + [""] * bool(len(told) % 8)
            case ["db", digits]:
                self.held += bytes.fromhex(digits)
                return ["m-load-done"] if len(self.held) == self.size else []
            case ["infer", n, w]:
                self.infers.append((int(n), int(w)))
                each = self.each_us.pop(0) if len(self.each_us) > 1 else self.each_us[0]
                begin = self.now + int(w) * each
                self.now = begin + int(n) * each
                laps = [f"m-lap-us-{at % (1 << 32)}" for at in (begin, self.now)]
                return [f"m-warmup-start-{w}", "m-warmup-done", f"m-infer-start-{n}", *laps, "m-infer-done", self.results()]
            case ["results"]:
                return [self.results()]
        return [f"e-[Unknown command: {words[0]}]"]

    def results(self) -> str:
        best = self.held[0] % 4
        return f"m-results-[{','.join('0.900' if c == best else '0.033' for c in range(self.classes))}{self.end}]"

    def read(self, timeout_s: float) -> bytes:
        said, self.out = self.out, b""
        return said

    def reset(self) -> None: ...

    def close(self) -> None: ...


def go(device: Link, meter=None, verify=True, samples=None, suite=STUB):
    log: list[str] = []
    talk = Conversation(device)
    talk.greet()
    return procedure.windows(talk, suite, samples or inputs.random(suite), meter, verify, log.append, lambda *_: None), log


# the procedure


def test_counts_are_raised_until_a_window_lasts_ten_seconds():
    device = Device([1000])
    found, log = go(device)
    assert device.infers[0] == (7, 2), "the official script's numbers come first"
    assert [w.infer.iterations for w in found] == [10200] * 5 and len(device.infers) == 6
    assert all(w.seconds == pytest.approx(10.2) and w.throughput == pytest.approx(1000) for w in found)
    assert any("7 inferences take 0.007 s; taking 10200." in line for line in log)
    assert len({w.sample.data for w in found}) == 5, "five different inputs"


def test_a_script_whose_count_is_enough_is_left_alone():
    device = Device([2_000_000])
    found, _ = go(device)
    assert device.infers == [(7, 2)] * 5 and found[0].seconds == 14


def test_a_device_that_runs_faster_later_gets_more():
    device = Device([1000, 1000, 900])
    found, _ = go(device)
    assert all(w.seconds >= 10 for w in found)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device([0]), "clock does not advance"),
        (Device([1000, 500, 250, 125, 62, 31, 15, 7]), "No count of inferences"),
        (Device(spoils=True), "other bytes than those of random_7_0"),
        (Device(classes=5), "answers with 5 scores; the test 'kws' has 4"),
    ],
    ids=["frozen", "unsteady", "damaged", "another model"],
)
def test_what_is_no_figure_is_an_error(device, words):
    with pytest.raises(LinkError, match=words):
        go(device)


@pytest.mark.parametrize(
    ("device", "energy", "words"),
    [
        (Device(model="ic01"), False, "not one of MLPerf Tiny's test 'kws'"),
        (Device(energy=True), False, "in energy mode"),
        (Device(), True, "in performance mode"),
    ],
)
def test_another_device_is_noticed(device, energy, words):
    talk = Conversation(device)
    assert talk.greet() is None, "the firmware of others"
    with pytest.raises(LinkError, match=words) as caught:
        talk.check(STUB, energy)
    assert "--suite kws" in caught.value.try_next


def test_a_list_of_scores_that_ends_in_a_comma():
    """As that of the official reference firmware for visual wake words."""
    assert len(go(Device([2_000_000], end=","))[0][0].infer.scores) == 4


def test_a_clock_that_wraps_within_a_window():
    device = Device([2_000_000])
    device.now = (1 << 32) - 9_000_000
    assert go(device)[0][0].seconds == 14


# the virtual board


@pytest.fixture
def short(monkeypatch):
    """Windows of 20 ms of device time: a stub's inference takes 14 us."""
    monkeypatch.setattr(procedure, "WINDOW_S", 0.02)
    monkeypatch.setattr(procedure, "AIM_S", 0.0205)
    monkeypatch.setattr(folder, "WINDOW_S", 0.02)


def test_performance_of_the_firmware_on_the_virtual_board(short):
    with RepeatingBoard(build("virtual", suite=STUB), BOARD) as link:
        found, _ = go(link, verify=True)
    times = [w.seconds / w.infer.iterations for w in found]
    assert all(w.seconds >= 0.02 for w in found) and max(times) / min(times) < 1.01 and 5e-6 < times[0] < 1e-4
    for window in found:
        steps = np.frombuffer(window.sample.data, np.int8).astype(int).reshape(4, 4).sum(1)
        halved = np.trunc(np.trunc(steps / 4) / 2)
        assert window.infer.scores == pytest.approx((halved + 128) / 256, abs=6e-4)


def test_energy_of_the_firmware_on_the_virtual_board(short):
    """Energy is power times the time that performance mode tells."""
    board = replace_energy()
    with RepeatingBoard(build("virtual", suite=STUB, energy=True), BOARD) as link:
        found, log = go(link, BoardFigures(board, lambda: link.edges))
    with RepeatingBoard(build("virtual", suite=STUB), BOARD) as link:
        timed, _ = go(link)
    watts = 3.0 * 0.010
    for window, other in zip(found, timed, strict=True):
        assert window.infer.laps == ()
        assert window.per_inference_uj == pytest.approx(watts * 1e6 * other.seconds / other.infer.iterations, rel=0.06)  # 1 ms
    assert any("Energy/Inf" in line for line in log)


def replace_energy(**figures):
    from mcuml import board

    held = board.load("nano33ble")
    given = {"volts": 3.0, "milliamps_active": 10.0, "source": "a test", **figures}
    return held.model_copy(update={"energy": board.Energy(**given)})


def test_a_board_without_figures_has_no_energy():
    with pytest.raises(RequestError, match="no energy figures"):
        BoardFigures(replace_energy().model_copy(update={"energy": None}), list)


def test_our_host_drives_the_firmware_through_a_pseudo_terminal(short):
    """The bytes of a real serial line: pyserial on one end, the firmware on the other."""
    pytest.importorskip("tty")
    from mcuml import board
    from mcuml.link.pty import serve
    from mcuml.link.serial.line import SerialLink

    path: list[str] = []
    ready = threading.Event()

    class Stop(Exception):
        pass

    class Served(RepeatingBoard):
        over = False

        def read(self, timeout_s: float) -> bytes:
            if self.over:
                raise Stop
            return super().read(timeout_s)

    link = Served(build("virtual", suite=STUB), BOARD)

    def run() -> None:
        with pytest.raises(Stop):
            serve(link, lambda name: (path.append(name), ready.set()))

    server = threading.Thread(target=run)
    server.start()
    try:
        assert ready.wait(10)
        with SerialLink(path[0], board.load("nano33ble")) as line:
            talk = Conversation(line)
            identity = talk.greet()
            assert identity is not None and identity.simulated, "a simulator is noticed behind a port too"
            talk.check(STUB, energy=False)
            over_port, _ = go(line)
    finally:
        link.over = True
        server.join(10)
    with RepeatingBoard(build("virtual", suite=STUB), BOARD) as direct:
        found, _ = go(direct)
    assert [w.infer.scores for w in over_port] == [w.infer.scores for w in found]
    each = [[w.seconds / w.infer.iterations for w in ws] for ws in (over_port, found)]
    assert each[0] == pytest.approx(each[1], rel=1e-2)


# the session folder


def test_the_official_checker_finds_its_figures(tmp_path):
    """The patterns are those of mlcommons/tiny's submission_checker.py at 1afd2c9."""
    found, _ = go(Device([1000]))
    with Folder(tmp_path) as made:
        made.say("begun")
        made.save(folder.performance(found, "Simulated: a test."), found, "performance", "measured")
    assert re.fullmatch(r"\d{8}_\d{6}", made.path.name)
    assert sorted(p.name for p in made.path.iterdir()) == ["log.txt", "results.json", "results.txt"]
    lines = (made.path / "results.txt").read_text().splitlines()
    medians = [m[1] for x in lines if (m := re.match(r".* Median throughput is\s+([\d\.]+) inf\./sec\..*", x))]
    assert medians == ["1000.000"] and lines[0] == "Simulated: a test."
    told = json.loads((made.path / "results.json").read_text())
    assert len(told) == 5 and {r["mode"] for r in told} == {"p"} and {r["kind"] for r in told} == {"measured"}
    assert {"start_time", "end_time", "elapsed_time", "iterations", "warmups", "throughput", "results"} <= set(told[0]["infer"])
    assert told[0]["infer"]["elapsed_time"] == 10_200_000


def test_energy_results(tmp_path):
    board = replace_energy()
    device = Device([1_500_000], energy=True)
    device.answer = lambda words, plain=device.answer: [x for x in plain(words) if not x.startswith("m-lap")]  # type: ignore
    pulses: list[tuple[int, int]] = []

    class Meter(BoardFigures):
        def stop(self):
            at = device.now * 64
            pulses.extend([(at - 640_000_000 * 2, 0), (at - 640_000_000 * 2 + 640, 1), (at, 0), (at + 640, 1)])
            return super().stop()

    found, _ = go(device, Meter(board, lambda: pulses))
    assert [w.seconds for w in found] == [20.0] * 5
    text = "\n".join(folder.energy(found, "Estimated."))
    assert re.findall(r"Median energy cost is ([\d\.]+) uJ/inf", text) == [f"{20 * 0.03 * 1e6 / 7:.4f}"]
    with Folder(tmp_path) as made:
        made.say("begun")
        made.save(text.splitlines(), found, "energy", "estimated")
    told = json.loads((made.path / "results.json").read_text())
    assert told[0]["power"]["voltage"] == 3.0
    assert told[0]["power"]["timestamps"] == [["00", 0], ["01", 20000]] and len(told[0]["power"]["samples"]) == 20000
    assert sum(told[0]["power"]["samples"]) == pytest.approx(0.6)


def test_accuracy_of_a_whole_set(tmp_path):
    """Files whose first byte tells the class that the device gives; one of eight has another label."""
    data = tmp_path / "set"
    data.mkdir()
    rows = []
    for n in range(8):
        (data / f"{n}.bin").write_bytes(bytes([n]) + bytes(15))
        rows.append(f"{n}.bin,4,{n % 4 if n else 1}")
    (data / "y_labels.csv").write_text("\n".join(rows) + "\n")
    talk = Conversation(Device([900]))
    talk.greet()
    said: list[str] = []
    samples = inputs.official(data, STUB)
    outcomes, answers = procedure.accuracy(talk, STUB, samples, True, said.append, lambda *_: None)
    assert scores.top1(outcomes) == 7 / 8 and len(answers) == 8
    line = next(x for x in folder.accuracy(outcomes, "") if "Top-1" in x)
    assert re.match(r".* Top[- ]1%?\s?[:=] ([\d\.]+).*", line)[1] == "87.5"  # type: ignore[index]
    assert any(re.match(r".* AUC\s?[:=] ([\d\.]+).*", x) for x in folder.accuracy(outcomes, ""))


@pytest.mark.parametrize(
    ("end", "logged", "left"),
    [
        (LinkError("The cable fell out."), True, ["log.txt"]),
        (LinkError("No port."), False, None),
        (KeyboardInterrupt(), True, None),
    ],
    ids=["failed", "nothing logged", "interrupted"],
)
def test_a_run_that_ends_early_leaves_its_log_or_nothing(tmp_path, end, logged, left):
    with pytest.raises(type(end)), Folder(tmp_path) as made:
        if logged:
            made.say("begun")
        raise end
    assert (sorted(p.name for p in made.path.iterdir()) if made.path.exists() else None) == left
    if left:
        assert f"Ended without a result: {end}" in (made.path / "log.txt").read_text()


@pytest.mark.parametrize(("writes", "left"), [(0, None), (1, ["log.txt"]), (2, ["log.txt"])])
def test_a_full_disk_leaves_no_half_session(tmp_path, monkeypatch, writes, left):
    """`writes` files find room; the log is asked for again when what lay in its way is gone."""
    from mcuml import results

    found, _ = go(Device([2_000_000]))
    room, save = [True] * writes + [False] + [writes > 0], results.save

    def full(text, path):
        if not room.pop(0):
            raise RequestError(f"Cannot write {path}.", "No space left on device")
        save(text, path)

    monkeypatch.setattr(results, "save", full)
    with pytest.raises(RequestError, match="Cannot write"), Folder(tmp_path) as made:
        made.say("begun")
        made.save(folder.performance(found, "A test."), found, "performance", "measured")
    assert (sorted(p.name for p in made.path.iterdir()) if made.path.exists() else None) == left


# inputs and quality figures


def test_windows_of_a_longer_file(tmp_path):
    """Anomaly detection: 2560 bytes every 512, as many as fit; performance takes the first of each file."""
    ad = suites.SUITES["ad"]
    content = np.random.default_rng(1).bytes(2560 + 3 * 512 + 100)
    (tmp_path / "a.bin").write_bytes(content)
    (tmp_path / "y_labels.csv").write_text("".join("a.bin,2,1,2560,512\n" for _ in range(5)))
    found = list(inputs.official(tmp_path, ad, 1))
    assert [s.data for s in found] == [content[n * 512 : n * 512 + 2560] for n in range(4)]
    assert [(s.segment, s.segments, s.label) for s in found] == [(n, 4, 1) for n in range(4)]
    assert [s.data for s in inputs.first(tmp_path, ad)] == [content[:2560]] * 5


@pytest.mark.parametrize(
    ("labels", "size", "words"),
    [
        ("a.bin,12,7\n", 489, "489 bytes; the test 'kws' takes 490"),
        ("a.bin,12,7\n", 490, "lists 1 files; a run takes 5"),
        ("a.bin,12\n", 490, "Rows are"),
        ("b.bin,12,1\n", 490, "cannot be read"),
        ("a.bin,12,7,2560,512\n", 490, "windows of 2560 bytes"),
        ("\n", 490, "lists no files"),
    ],
)
def test_wrong_data_is_named(tmp_path, labels, size, words):
    (tmp_path / "a.bin").write_bytes(bytes(size))
    (tmp_path / "y_labels.csv").write_text(labels)
    with pytest.raises(RequestError) as caught:
        inputs.first(tmp_path, suites.SUITES["kws"])
    assert words in str(caught.value)


def test_auc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(2)
    values = np.round(rng.normal(size=60), 1)  # with ties
    labels = rng.integers(0, 2, 60)
    outcomes = [Outcome(str(n), int(label), ((float(v),),)) for n, (v, label) in enumerate(zip(values, labels, strict=True))]
    pairs = [(u > d) + (u == d) / 2 for u in values[labels == 1] for d in values[labels == 0]]
    assert scores.auc(outcomes) == pytest.approx(np.mean(pairs))
    three = [Outcome(str(n), n % 3, (tuple(rng.random(3)),)) for n in range(30)]
    each = []
    for c in range(3):
        mine = [o.mean[c] for o in three if o.label == c]
        rest = [o.mean[c] for o in three if o.label != c]
        each.append(np.mean([(u > d) + (u == d) / 2 for u in mine for d in rest]))
    assert scores.auc(three) == pytest.approx(np.mean(each))
    assert np.isnan(scores.auc([Outcome("a", 1, ((1.0,),))]))


def test_windows_of_one_file_are_averaged():
    two = Outcome("a", 0, ((0.2, 0.8), (0.9, 0.1)))
    assert two.mean == pytest.approx([0.55, 0.45]) and scores.top1([two]) == 1
    assert Outcome("a", 0, ((2.0, 2.0), (0.0, 0.0))).mean == pytest.approx([0.5, 0.5])


# the command


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "X", "--suite", "sww"], 2, "There is no MLPerf Tiny test 'sww'"),
        (["run", "X", "--suite", "kws", "--mode", "fast"], 2, "--mode is 'fast'"),
        (["walk", "X", "--suite", "kws"], 2, "knows no 'walk'"),
        (["run", "X", "--suite", "kws", "--samples", "0"], 2, "--samples is '0'"),
        (["run", "X", "--suite", "kws", "--meter", "js220"], 2, "--meter is for energy mode"),
        (["run", "DIGITS", "--suite", "kws"], 3, "no model for MLPerf Tiny's test 'kws'"),
    ],
)
def test_wrong_requests(words, status, said):
    digits = str(ROOT / "examples" / "digits" / "digits_int8.tflite")
    done = in_process("mlperf", *[{"X": "x.tflite", "DIGITS": digits}.get(w, w) for w in words])
    assert done.exit_code == status and said in done.output, done.output


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the shared models: ../shared/models/mlperf_tiny")
@pytest.mark.parametrize("mode", ["performance", "accuracy"])
def test_the_command_on_the_virtual_board(mode, tmp_path, monkeypatch):
    """Anomaly detection whole: floats go to the device, its score is the oracle's."""
    from mcuml import reference

    monkeypatch.setattr(procedure, "WINDOW_S", 0.05)
    monkeypatch.setattr(procedure, "AIM_S", 0.051)
    monkeypatch.setattr(suites, "SUITES", {"ad": replace(suites.SUITES["ad"], performance=(2, 1))})
    ad = MODELS / "ad01_int8.tflite"
    samples = inputs.random(suites.SUITES["ad"], 6)
    data = tmp_path / "set"
    data.mkdir()
    for n, sample in enumerate(samples):
        (data / f"{n}.bin").write_bytes(sample.data)
    (data / "y_labels.csv").write_text("".join(f"{n}.bin,2,{n % 2},2560,512\n" for n in range(6)))
    out = tmp_path / "sessions"
    done = in_process("mlperf", "run", ad, "--suite", "ad", "--mode", mode, "--data", data, "-o", out, "--board", "nano33ble")
    assert done.exit_code == 0, done.output
    (made,) = out.iterdir()
    told = json.loads((made / "results.json").read_text())
    log = (made / "log.txt").read_text()
    assert "Simulated: virtual board nano33ble" in log and {r["kind"] for r in told} == {"estimated"}
    assert mode == "accuracy" or "estimated" in done.output
    values = [np.frombuffer(s.data, "<f4").reshape(1, 640) for s in samples]
    steps = [np.clip(np.round(v / np.float32(0.3910152316093445)) + 89, -128, 127).astype(np.int8) for v in values]
    outputs = [(o[0].astype(np.float32) - 96) * np.float32(0.36449846625328064) for o in reference.run(ad, [[s] for s in steps])]
    want = [float(((o - v) ** 2).mean()) for o, v in zip(outputs, values, strict=True)]
    got = [r["infer"]["results"] for r in told]
    assert got == [[pytest.approx(score, rel=1e-5, abs=1e-3)] for score in want[: len(got)]]
    assert len(got) == (5 if mode == "performance" else 6)

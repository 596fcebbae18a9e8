"""`mcuml mlperf run`: build or find the device, go through the official procedure, write the session folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mcuml import __version__, bench, build
from mcuml.board import Board
from mcuml.errors import RequestError
from mcuml.fit import check_fit
from mcuml.instruments.base import Instrument
from mcuml.instruments.figures import BoardFigures
from mcuml.link.base import Kind, Link
from mcuml.link.repeats import RepeatingBoard
from mcuml.link.serial.line import SerialLink
from mcuml.link.virtual import check_simulated, counts_cycles
from mcuml.mlperf import folder, inputs, procedure, scores
from mcuml.mlperf.conversation import Conversation
from mcuml.mlperf.folder import Folder
from mcuml.mlperf.procedure import Progress, Window
from mcuml.plan import Plan
from mcuml.run import suites
from mcuml.run.protocol import Identity
from mcuml.run.suites import Suite

Mode = Literal["performance", "accuracy", "energy"]
REPEATED = (
    "Of each input the first inference is executed and counted. Its repetitions, the same input from the same state, each take "
    "the same time; the model is executed again only where its arena is not, byte for byte, what it was before."
)


@dataclass(frozen=True)
class Request:
    """What to run. port: the serial port of a device that holds the test's firmware; "": the virtual board. data: the official
    data set's folder or zip. files: how many of its files for accuracy, None all. meter: the instrument of an energy run on a
    serial port."""

    suite: Suite
    mode: Mode
    board: Board
    place: Path
    port: str = ""
    data: Path | None = None
    files: int | None = None
    meter: Instrument | None = None


@dataclass(frozen=True)
class Session:
    """A finished run: its folder, whether its figures are measured or estimated, what was done, and the figure: inferences a
    second, microjoules an inference, or the share of right answers (AUC for anomaly detection)."""

    path: Path
    kind: Kind
    windows: tuple[Window, ...]
    value: float
    lines: tuple[str, ...]


def run(plan: Plan, request: Request, progress: Progress) -> Session:
    """Go through the procedure with the model of `plan`. Raises RequestError, ModelError, FitError, BuildError, LinkError; where
    a device was reached, the log of what was done until then is in the session folder."""
    suites.check(request.suite, plan.graph)
    if request.mode == "accuracy" and request.data is None:
        raise RequestError(
            f"Accuracy of the test '{request.suite.name}' needs its data set, and none was given.",
            "Its files are listed in mlcommons/tiny, benchmark/evaluation/datasets; its README says how to get them.",
            "Name its folder or zip, with y_labels.csv in it: --data PATH",
        )
    samples = None
    if request.mode != "accuracy":
        samples = inputs.first(request.data, request.suite) if request.data else inputs.random(request.suite)
    link = _link(plan, request, progress)
    with link, Folder(request.place) as written:
        device = Conversation(link)
        identity = device.greet()
        if identity is not None:
            device.identify(plan.graph.sha256)
        device.check(request.suite, request.mode == "energy")
        kind: Kind = "estimated" if link.kind == "estimated" or (identity and identity.simulated) else "measured"
        about = _about(request, link, identity, kind)
        for line in (*_headings(plan, request), about):
            written.say(line)
        verify = link.name == "serial"
        if samples is None:
            return _accuracy(device, request, written, about, kind, verify, progress)
        return _windows(device, request, written, about, kind, verify, samples, progress)


def _windows(
    device: Conversation, request: Request, written: Folder, about: str, kind: Kind, verify: bool,
    samples: Sequence[inputs.Sample], progress: Progress,
) -> Session:  # fmt: skip
    meter = _meter(device.link, request) if request.mode == "energy" else None
    if meter is not None:
        about += f" Energy {meter.kind}: {meter.name}."
        kind = "estimated" if "estimated" in (meter.kind, kind) else "measured"
        written.say(about)
    found = procedure.windows(device, request.suite, samples, meter, verify, written.say, progress)
    lines = folder.energy(found, about) if meter else folder.performance(found, about)
    written.save(lines, found, request.mode, kind)
    value = scores.median(w.per_inference_uj if meter else w.throughput for w in found)
    return Session(written.path, kind, tuple(found), value, tuple(lines))


def _accuracy(
    device: Conversation, request: Request, written: Folder, about: str, kind: Kind, verify: bool, progress: Progress
) -> Session:
    assert request.data is not None, "run() asks for it"
    if request.files is not None:
        about += f" Only the first {request.files} files of the set: not the official procedure."
    samples = inputs.official(request.data, request.suite, request.files)
    outcomes, answers = procedure.accuracy(device, request.suite, samples, verify, written.say, progress)
    lines = folder.accuracy(outcomes, about)
    written.save(lines, answers, request.mode, kind)
    value = scores.auc(outcomes) if request.suite.metric == "AUC" else scores.top1(outcomes)
    return Session(written.path, kind, tuple(answers), value, tuple(lines))


def _link(plan: Plan, request: Request, progress: Progress) -> Link:
    """The device: on the serial port at the rate of the test and mode, or a virtual board with firmware built now."""
    board, energy = request.board, request.mode == "energy"
    if request.port:
        if energy and request.meter is None:
            raise RequestError(
                "An energy run on a board needs an energy meter.", "", "Name one: --meter lpm01a:PORT or --meter js220"
            )
        return SerialLink(request.port, suites.at_rate(board, request.suite, energy))
    check_simulated(board)
    if request.mode != "accuracy" and not counts_cycles(board):
        raise RequestError(
            f"mcuml has no cycle model of a {board.core}, so the virtual {board.name} knows no time.", "",
            "Take a board with a core that has one (mcuml boards), or a board on a port: --port PORT",
        )  # fmt: skip
    check_fit(plan, board)
    progress("build")
    image = build.build_firmware(bench.firmware_files(plan, board, request.suite, energy), board)
    waits = bool(board.flash.wait_states)
    return RepeatingBoard(image.elf, board, count=request.mode != "accuracy", waits=waits)


def _meter(link: Link, request: Request) -> Instrument:
    if isinstance(link, RepeatingBoard):
        return BoardFigures(request.board, lambda: link.edges)
    assert request.meter is not None, "_link() asks for it"
    return request.meter


def _headings(plan: Plan, request: Request) -> list[str]:
    suite, graph = request.suite, plan.graph
    given = request.data.name if request.data else f"random inputs (seed {inputs.SEED})"
    return [
        f"mcuml {__version__}, MLPerf Tiny, {suite.title} ({suite.model}), {request.mode} mode",
        f"Model {graph.name}, sha256 {graph.sha256}; data: {given}",
        f"The closed division asks for the official model, neither pruned nor trained again, and {suite.metric} of at least "
        f"{suite.target:g}; anything else is the open division. Nothing here was verified by MLCommons.",
    ]


def _about(request: Request, link: Link, identity: Identity | None, kind: Kind) -> str:
    """What the figures are worth, in a sentence or two."""
    if isinstance(link, RepeatingBoard):
        time = f"Times are estimated, by the core's cycle table (error: {request.board.cycle_error}). {REPEATED}"
        return f"Simulated: virtual board {request.board.name}. " + (time if request.mode != "accuracy" else "It tells no times.")
    if identity is None:
        return f"Device on {request.port}: firmware of others; times are by its own clock, which mcuml knows nothing about."
    if identity.simulated:
        return f"Device on {request.port}: a simulator of {identity.board}; times are estimated."
    return f"Device on {request.port}: {identity.board}; times are measured by its own counter ({identity.counter})."

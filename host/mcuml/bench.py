"""The procedure of `mcuml bench`: prepare, fit, build, run on the virtual board, measure, verify, score -> Result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from mcuml import __version__, anchors, build, dataset, results
from mcuml.board import Board
from mcuml.dataset import Dataset
from mcuml.errors import RequestError
from mcuml.graph import Graph, shown
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.instruments.figures import estimate
from mcuml.link.virtual import counts_cycles
from mcuml.plan import Plan
from mcuml.run import device, flash
from mcuml.run.measure import Figures, Progress, Samples, measure, of_counter, of_virtual, on_board, tensors
from mcuml.run.on_hardware import of_board
from mcuml.runtimes import HostArena, Job, Runtime, firmware_files, prepared

__all__ = ["Bench", "Oracle", "Progress", "Request", "Samples", "bench", "firmware_files", "measure", "on_board"]
TOLERANCE = 1e-5  # of float outputs, relative to max(1, |expected|)


@dataclass(frozen=True)
class Request:
    """What to bench. `samples`: how many of the data (None: all). `board_samples`: how many of those run on the virtual
    board; where there are more, all run on a host build of the same C. `runs`: counted inferences, on different samples; None:
    one, on hardware as many as a median needs. `link`: one of run/device.py's ways to a device; `port`: the serial port's name
    ("": found by the board's USB id); `flash`: as run/flash.py's on_port. `runtime`: what runs the model; `host_arena`: for
    tflm, as Job's."""

    model: Path
    board: Board
    data: Path | None = None
    labels: Path | None = None
    samples: int | None = 20
    board_samples: int = 20
    runs: int | None = None
    command: tuple[str, ...] = ()
    link: device.LinkName = "virtual"
    port: str = ""
    flash: bool | None = None
    runtime: Runtime = "aot"
    host_arena: HostArena | None = None


@dataclass(frozen=True)
class Bench:
    """The Result, and what it was computed from: the data and the board's outputs, sample by sample."""

    result: results.Result
    data: Dataset
    outputs: Samples


Oracle = Callable[[Path, Samples], tuple[str, Samples]]  # (model file, inputs) -> (its name and version, outputs)


def silent(stage: str, done: int | None = None, total: int | None = None) -> None:
    """Progress that nobody watches."""


def bench(plan: Plan, request: Request, oracle: Oracle | None, progress: Progress) -> Bench:
    """Bench a prepared model. Without `oracle` nothing is verified and the Result says nothing about it.

    Raises RequestError for data that does not match, BuildError, LinkError, and what runtimes.prepared() raises."""
    board, way = request.board, device.way(request.link)
    way.check(board)
    inputs = [plan.graph.tensors[t] for t in plan.graph.inputs]
    if request.data is None:
        data = dataset.random(inputs, request.samples or request.board_samples)
    else:
        data = dataset.load(request.data, inputs, request.labels, request.samples)
    _check_labels(data, plan.graph)
    firmware = way.firmware_port(board, request.runtime == "tflm")
    job = Job(request.runtime, request.model, board, firmware, host_arena=request.host_arena)
    plan, files = prepared(plan, job, progress)
    graph = plan.graph
    if request.runtime == "tflm":
        request = replace(request, board_samples=len(data))  # nothing of it runs on this computer
    image, cycles, figures = _at_device(files, plan, data, request, firmware, progress)
    latency, outputs = figures.latency, figures.outputs
    host = on_host(files, plan, data, progress) if len(data) > len(outputs) else []
    verify = expected = None
    if oracle is not None:
        progress("ask the oracle")
        name, expected = oracle(request.model, data.samples())
        verify = compare(name, outputs, host, expected, graph)
    return Bench(
        results.Result(
            schema=results.SCHEMA,
            mcuml=__version__,
            when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            command=list(request.command),
            model=results.ModelPart(
                name=graph.name, sha256=graph.sha256, bytes=graph.file_bytes, macs=graph.macs, scheme=graph.scheme
            ),
            board=results.BoardPart(name=board.name, core=board.core, clock_hz=board.clock_hz),
            runtime=request.runtime,
            optimize=plan.objective or None,
            link=request.link,
            latency=latency,
            instructions=figures.instructions,
            memory=figures.memory,
            layers=_layers(plan, cycles),
            verify=verify,
            accuracy=_accuracy(data, outputs, host, expected),
            toolchain=dict(image.toolchain),
            energy=estimate(board, latency.ms) if latency else None,
            anchors=(_anchors(graph, board, latency) if latency else None) or None,
            device=figures.device,
            warnings=[*build.doubts_of(files), *figures.warnings] or None,
        ),
        data,
        outputs,
    )


def _at_device(
    files: Mapping[str, str], plan: Plan, data: Dataset, request: Request, firmware: str, progress: Progress
) -> tuple[build.Image, Sequence[int] | None, Figures]:
    """(what was built, the layers' cycles where they were counted, the figures) of the device that `request` asks for,
    with the port `firmware`."""
    board, sha256, count, runs = request.board, plan.graph.sha256, request.board_samples, request.runs
    if request.link == "serial":
        with flash.on_port(files, board, sha256, request.port, request.flash, firmware, progress) as (session, image, port):
            return image, None, of_board(session, image, port, plan, data, count, runs, progress)
    progress("build")
    image = build.build_firmware(files, board, port=firmware)
    if request.link != "virtual":
        with device.opened(image, sha256, request.link, request.port) as session:
            return image, None, of_counter(session, image, plan, data, count, runs or 1, progress)
    cycles = None
    if counts_cycles(board):
        progress("build for the layers' cycles")
        profiled = build.build_firmware(files, board, profile=True, port=firmware)
        progress("count the layers' cycles")
        cycles = device.layer_cycles(profiled, sha256, data.raw(0))
    return image, cycles, of_virtual(image, plan, data, count, runs or 1, progress)


def _check_labels(data: Dataset, graph: Graph) -> None:
    classes = graph.tensors[graph.outputs[0]].elements
    if data.labels is not None and data.labels.max() >= classes:
        raise RequestError(
            f"{data.name} has a label {int(data.labels.max())}; the model has {classes} outputs.",
            "",
            "Give the labels of this model's classes.",
        )


def on_host(files: Mapping[str, str], plan: Plan, data: Dataset, progress: Progress) -> Samples:
    """Outputs of all samples on a host build of the same C."""
    progress("build for the host")
    outputs = []
    model = HostModel(host_library(files), plan)
    for n in range(len(data)):
        if n % 100 == 0:
            progress("run samples on the host build", n, len(data))
        outputs.append(tensors(model.run(data.raw(n)), plan.graph))
    return outputs


def compare(oracle: str, board: Samples, host: Samples, expected: Samples, graph: Graph) -> results.Verify:
    """The board's and the host build's outputs against the oracle's, sample by sample."""
    floats = any(graph.tensors[t].dtype.startswith("float") for t in graph.outputs)
    verdicts = [_difference(n, got, want) for n, (got, want) in enumerate(zip(board, expected, strict=False))]
    on_host = [_difference(n, got, want) for n, (got, want) in enumerate(zip(host, expected, strict=False))]
    first = next((where for agrees, _, where in [*verdicts, *on_host] if not agrees), None)
    worst = max((gap for _, gap, _ in [*verdicts, *on_host]), default=0.0)
    return results.Verify(
        oracle=oracle,
        samples=len(board),
        max_abs_diff=worst,
        identical=worst == 0.0,
        matching=sum(agrees for agrees, _, _ in verdicts),
        tolerance=TOLERANCE if floats else None,
        host_samples=len(host) or None,
        host_matching=sum(agrees for agrees, _, _ in on_host) if host else None,
        first_difference=first,
    )


def deviation(got: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(|got - expected|, what 1 of it is relative to, which elements are wrong) of two flat arrays of one type: float64,
    float64, bool. Integers must be equal, floats within TOLERANCE; an infinity or a NaN is only near itself."""
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = got.astype(np.float64), expected.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        gap = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf))
        scale = np.maximum(1.0, np.abs(np.nan_to_num(b, posinf=1.0, neginf=1.0)))
        # int64 values may lie further apart than float64 tells; beside an infinity or a NaN any tolerance is too wide
        wrong = (gap > TOLERANCE * scale) | np.isinf(gap) if got.dtype.kind == "f" else got != expected
    return gap, scale, wrong


def _difference(sample: int, got: list[np.ndarray], want: list[np.ndarray]) -> tuple[bool, float, results.Difference | None]:
    """(agrees, largest absolute difference, where the first element out of tolerance is)."""
    worst = 0.0
    for output, (mine, theirs) in enumerate(zip(got, want, strict=True)):
        a, b = mine.ravel(), np.asarray(theirs).ravel()
        gap, _, wrong = deviation(a, b)
        worst = max(worst, float(gap.max(initial=0.0)))
        if wrong.any():
            at = int(wrong.argmax())
            return (
                False,
                worst,
                results.Difference(sample=sample, output=output, element=at, got=float(a[at]), expected=float(b[at])),
            )
    return True, worst, None


def _accuracy(data: Dataset, board: Samples, host: Samples, expected: Samples | None) -> results.Accuracy | None:
    """Top-1 over all samples: from the host build where it ran, which `compare` holds against the board's outputs."""
    labels = data.labels
    if labels is None:
        return None

    def top1(outputs: Samples) -> float:
        return float(np.mean([int(np.argmax(o[0])) == label for o, label in zip(outputs, labels, strict=True)]))

    return results.Accuracy(
        dataset=data.name,
        samples=len(data),
        metric="top-1",
        value=top1(host or board),
        host_samples=len(host) or None,
        board_samples=len(board),
        oracle_value=top1(expected) if expected is not None else None,
    )


def _layers(plan: Plan, cycles: Sequence[int] | None) -> list[results.Layer]:
    """The generated layers (views have no code and no entry); with their cycles and share of the sum, where these were
    counted."""
    graph, total = plan.graph, max(1, sum(cycles or ()))
    nodes = [node for node in graph.nodes if node.kernel and not node.kernel.view]
    counted: Sequence[int | None] = cycles if cycles is not None else [None] * len(nodes)
    return [
        results.Layer(
            index=n,
            name=graph.tensors[shown(node)].name,
            op=node.code,
            macs=node.kernel.macs if node.kernel else 0,
            cycles=spent,
            share=None if spent is None else round(spent / total, 4),
            shape=list(graph.tensors[shown(node)].shape),
            operator=node.index,
        )
        for n, (node, spent) in enumerate(zip(nodes, counted, strict=True))
    ]


def _anchors(graph: Graph, board: Board, latency: results.Latency) -> list[results.AnchorPart]:
    """What others need for this model on this core. Cycles that were measured have waits for flash in them, so ours must too."""
    waiting = latency.board_cycles or latency.cycles
    return [
        results.AnchorPart(
            system=a.system,
            cycles_per_mac=round(a.cycles / a.macs, 3),
            ratio=round((waiting if a.kind == "measured" else latency.cycles) / a.cycles, 4),
            kind=a.kind,
            cycles=a.cycles,
            arena_bytes=a.arena_bytes,
            source=a.source,
        )
        for a in anchors.find(graph.sha256, graph.name, graph.macs, board.core)
    ]

"""What each runtime makes of a model for a board: mcuml's own C, or TensorFlow Lite Micro behind the same interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mcuml import build, ops, tflite, toolchain, vendor
from mcuml.board import Board
from mcuml.build import Image, Sources
from mcuml.errors import FitError, LinkError, ModelError, RequestError
from mcuml.fit import check_fit
from mcuml.graph import Graph
from mcuml.plan import Plan
from mcuml.render import render_model
from mcuml.run import device, suites
from mcuml.run.firmware import config_header
from mcuml.run.measure import Progress
from mcuml.run.suites import Suite
from mcuml.tflm import arena, files, library
from mcuml.tflm.library import SETTING

Runtime = Literal["aot", "tflm"]
RUNTIMES: tuple[Runtime, ...] = ("aot", "tflm")
HostArena = Callable[[Path], int | None]  # what this computer's TFLite Micro takes of its arena for a model file


@dataclass(frozen=True)
class Job:
    """What to make: `runtime` (one of RUNTIMES) of the model file `model` for `board`, with the firmware's port of that name, a
    device of an MLPerf Tiny test where `suite` is given. host_arena: for tflm; without it the arena's size begins as a guess."""

    runtime: Runtime
    model: Path
    board: Board
    port: str = "virtual"
    suite: Suite | None = None
    energy: bool = False
    host_arena: HostArena | None = None


def check(name: str) -> Runtime:
    """The runtime of that name. Raises RequestError: there is none."""
    for runtime in RUNTIMES:
        if name == runtime:
            return runtime
    raise RequestError(f"There is no runtime '{name}'.", "", f"The runtimes are {' and '.join(RUNTIMES)}.")


def prepared(plan: Plan, job: Job, progress: Progress) -> tuple[Plan, Mapping[str, str]]:
    """(the layers and the arena as the runtime has them, all that build_firmware() takes) for `job`; `plan` is mcuml's own of the
    model. Raises FitError (the board is too small), ModelError (tflm: the library lacks an operator, or does not run the model),
    BuildError (tflm: the compiler, the library), RequestError (tflm: not with that framework), LinkError (tflm: the virtual board
    on which its arena is tried)."""
    if job.runtime == "tflm":
        return _tflm(plan, job, progress)
    check_fit(plan, job.board)
    return plan, firmware_files(plan, job.board, job.suite, job.energy)


def firmware_files(plan: Plan, board: Board, suite: Suite | None = None, energy: bool = False) -> dict[str, str]:
    """All that build_firmware() takes: the generated model and the firmware's configuration. With `suite` the device is one of
    that MLPerf Tiny test, in performance mode or, with `energy`, in energy mode. Raises ModelError: no model for that test."""
    config = _config(plan.graph, board, suite, energy)
    return {**render_model(plan, command=f"mcuml build {plan.graph.name}.tflite"), "mcuml_config.h": config}


def _config(graph: Graph, board: Board, suite: Suite | None, energy: bool) -> str:
    if suite:
        suites.check(suite, graph)
    size = sum(graph.tensors[t].bytes for t in graph.inputs)
    return config_header(
        board=board.name, vendor=board.vendor, clock_hz=board.clock_hz,
        model_id=graph.name, model_sha256=graph.sha256, input_bytes=size,
        baud=suites.at_rate(board, suite, energy).serial.baud, suite=suite, energy=energy,
    )  # fmt: skip


def _tflm(plan: Plan, job: Job, progress: Progress) -> tuple[Plan, Sources]:
    """For TensorFlow Lite Micro. Sizes of its arena are tried on the virtual board; of a board that is not simulated, the first
    guess stands."""
    board, virtual = job.board, job.board.simulators.virtual
    data, raw = files.read(job.model)
    if len(data) > board.flash_available:
        raise FitError(
            f"'{plan.graph.name}' does not fit {board.name}: the model file alone has {len(data):,} bytes.",
            f"The board has {board.flash_available:,} bytes of flash, {len(data) - board.flash_available:,} too few.",
            "Take a board with more flash, or a smaller model: `mcuml inspect MODEL` lists where it fits.",
        )
    progress("find TensorFlow Lite Micro")
    found = library.find()
    own = replace(plan, graph=_as_in_file(job.model, len(raw.operators)), objective="")
    config = _config(own.graph, board, job.suite, job.energy)
    framework = job.port in board.platformio.frameworks  # which has a compiler of its own
    if framework:
        vendor.check_library(board, job.port, found.spec)
    cxx, ar = ((), ()) if framework and not virtual else _cplusplus(board)
    called, doubts = files.prepared(found, cxx, ar), files.doubts(raw, found)

    def with_arena(size: int, trial: bool = False) -> Sources:
        text = files.render(data, raw, replace(own, arena_bytes=size), found, f"mcuml build {own.graph.name}.tflite", trial)
        return Sources({**text, "mcuml_config.h": config}, called, doubts)

    def made(size: int, trial: bool) -> Image:
        progress(f"build with an arena of {size:,} bytes")
        return build.build_firmware(with_arena(size, trial), board, port=virtual.port if virtual else "")

    progress("ask the host's interpreter for its arena")
    taken = job.host_arena(job.model) if job.host_arena else None
    size = arena.first_guess(taken, plan.arena_bytes)
    if virtual:
        inputs = sum(own.graph.tensors[t].bytes for t in own.graph.inputs)
        size = arena.fitted(made, lambda image: _arena_use(image, found.title), size, arena.most(board, inputs))
    return replace(own, arena_bytes=size), with_arena(size)


def _cplusplus(board: Board) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The C++ compiler and the archiver for firmware without a framework. Raises BuildError."""
    tools = toolchain.find(board.cpu)
    return toolchain.cplusplus(tools, board.cpu), toolchain.archiver(tools)


def _arena_use(image: Image, library: str) -> arena.Use:
    """What `image` tells of its arena on the virtual board. Raises ModelError where `library` lays the model out in it, but does
    not run it."""
    used = None
    try:
        with device.opened(image, "", count=False) as session:
            used = session.memory().arena_used or 0
            session.infer(1)
    except LinkError as error:
        if used:
            raise ModelError(
                f"{library} does not run this model.", error.evidence,
                f"Run it with --runtime aot, or name a newer TensorFlow Lite Micro in {SETTING} (docs/TFLM.md).",
            ) from error  # fmt: skip
        return arena.Use(0, error.what if used is None else error.evidence, used is None)
    return arena.Use(used)


def _as_in_file(model: Path, count: int) -> Graph:
    """The model's first `count` operators, those of its main graph, as they are in the file: an interpreter runs them one by one,
    in that order, and all of them take time. What control flow calls is part of it; all its MACs still count."""
    graph = ops.lower(tflite.load(model))
    nodes = sorted({node.index: node for node in graph.nodes if node.index < count}.values(), key=lambda node: node.index)
    seen = tuple(replace(n, kernel=replace(n.kernel, view=False)) if n.kernel and n.kernel.view else n for n in nodes)
    kept = replace(graph, nodes=seen)
    return replace(kept, dropped_macs=graph.macs - kept.macs)

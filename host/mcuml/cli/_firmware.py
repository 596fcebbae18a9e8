"""From a model and a board's name to linked firmware, as the verbs that need no figures do it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcuml.board import Board
    from mcuml.build import Image
    from mcuml.plan import Plan
    from mcuml.run.measure import Progress


def sources(
    model: Path,
    board: "Board",
    port: str,
    progress: "Progress",
    optimize: str = "balanced",
    tuned: Path | None = None,
    suite: str = "",
    energy: bool = False,
    runtime: str = "aot",
) -> "tuple[Plan, Mapping[str, str]]":
    """(layers and arena, all files to build) of `model` for `board` with the firmware's port of that name; `suite` and `energy`
    make it a device of that MLPerf Tiny test, in that mode; `runtime` is what runs the model."""
    from rich.markup import escape

    from mcuml import reference, runtimes
    from mcuml.build import doubts_of
    from mcuml.cli._console import tell
    from mcuml.cli._options import prepare
    from mcuml.run import suites

    wanted = runtimes.check(runtime)
    test = suites.find(suite) if suite else None
    progress("read the model and plan its memory")
    plan = prepare(model, optimize, tuned, board.core)
    job = runtimes.Job(wanted, model, board, port, test, energy, reference.arena_bytes)
    plan, files = runtimes.prepared(plan, job, progress)
    for doubt in doubts_of(files):
        tell(f"[bold yellow]warning:[/] {escape(doubt)}")
    return plan, files


def firmware(
    model: Path,
    board: str,
    quiet: bool,
    folder: Path | None = None,
    simulated: bool = False,
    optimize: str = "balanced",
    tuned: Path | None = None,
    suite: str = "",
    energy: bool = False,
    bare: bool = False,
    runtime: str = "aot",
) -> "tuple[Plan, Image]":
    """Build for `board` ("": the default one) in `folder` (None: in the cache). `simulated` asks for a simulator as well; `bare`
    for the board itself, without a framework; the others as for sources()."""
    from mcuml import build
    from mcuml.board import load
    from mcuml.cli._console import stages
    from mcuml.cli._defaults import default_board
    from mcuml.link.virtual import check_simulated

    target = load(board or default_board())
    if simulated:
        check_simulated(target)
    port = _bare_port(target) if bare else "virtual"
    with stages(quiet) as progress:
        plan, files = sources(model, target, port, progress, optimize, tuned, suite, energy, runtime)
        progress("build")
        return plan, build.build_firmware(files, target, folder, port=port)


def vendors(
    model: Path,
    board: str,
    quiet: bool,
    folder: Path | None,
    framework: str,
    build: bool,
    optimize: str = "balanced",
    tuned: Path | None = None,
    suite: str = "",
    energy: bool = False,
    runtime: str = "aot",
) -> Path:
    """Write the project with the vendor's framework ("": the one that the board's file names first), as firmware() does with
    its own. With `build` PlatformIO builds it, and the ELF's path is returned, else the folder's."""
    from mcuml import vendor
    from mcuml.board import load
    from mcuml.cli._console import stages
    from mcuml.cli._defaults import default_board
    from mcuml.run import flash

    target = load(board or default_board())
    framework = vendor.framework_of(target, framework, runtime == "tflm")
    with stages(quiet) as progress:
        _, files = sources(model, target, framework, progress, optimize, tuned, suite, energy, runtime)
        if build and folder is None:  # where mcuml flash builds too
            progress("build with PlatformIO, which fetches the vendor's platform the first time")
            with flash.built(files, target, framework) as image:
                return image.elf
        project = vendor.vendor_project(files, target, folder, framework)
        if not build:
            return project.folder
        progress("build with PlatformIO, which fetches the vendor's platform the first time")
        return vendor.vendor_build(project)


def _bare_port(board: "Board") -> str:
    from mcuml.errors import RequestError

    if board.bare:
        return board.bare
    raise RequestError(
        f"{board.name} has no firmware without a framework.",
        "Its file names no port under `bare`.",
        f"Leave --framework out, or take {' or '.join(board.platformio.frameworks)}." if board.platformio.frameworks else "",
    )

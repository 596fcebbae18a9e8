"""Is a board's file good? It renders for each of its frameworks, PlatformIO takes the projects, and an image links and fits."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mcuml import assets, bench, pio, pipeline, toolchain, vendor
from mcuml.board import Board
from mcuml.doctor import Check
from mcuml.errors import UserError
from mcuml.fit import fit_linked
from mcuml.plan import Plan

MODEL = "digits_int8.tflite"  # of the bundled example


def check(board: Board) -> list[Check]:
    """What was looked at in the file of `board`, which was read already, so that its keys and values are of the right kinds.
    Starts a compiler where there is one for its core; asks no network and no device."""
    plan = pipeline.prepare(assets.folder("examples") / "digits" / MODEL)
    rows = [Check(f"board file {board.name}", f"read; {len(board.sources)} sources", "all verbs", "", needed=True)]
    rows += [_project(board, framework, plan) for framework in board.platformio.frameworks]
    if not board.platformio.frameworks:
        rows.append(Check("frameworks", "", "mcuml flash", "name platform, board and frameworks under [platformio]"))
    rows += _image(board, plan)
    ids = ", ".join(f"{usb.vid:04X}:{usb.pid:04X} {usb.role}" for usb in board.usb)
    rows.append(Check("USB ids", ids, "mcuml ports finds it", "add [[usb]] with vid, pid and role"))
    energy = f"{board.energy.milliamps_active:g} mA at {board.energy.volts:g} V" if board.energy else ""
    rows.append(Check("energy figures", energy, "estimated energy", "add [energy] with the figure's source, or measure it"))
    simulators = ", ".join(board.simulators.model_dump(exclude_none=True))
    rows.append(Check("simulators", simulators, "mcuml bench without the board", "add [simulators.virtual], for an Arm core"))
    return rows


def _project(board: Board, framework: str, plan: Plan) -> Check:
    found, wrong = "", ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            vendor.vendor_project(bench.firmware_files(plan, board), board, Path(folder), framework)
            wrong = "; ".join(pio.check_config(Path(folder)))
            found = "" if wrong else f"{board.platformio.platform}, board {board.platformio.board}"
        except UserError as error:
            wrong = str(error)
    return Check(f"{framework} project", found, "mcuml flash", f"correct [platformio]: {wrong}", needed=True)


def _image(board: Board, plan: Plan) -> list[Check]:
    try:
        tools = toolchain.find(board.cpu)
    except UserError as error:
        return [Check("compiler", "", "an image without PlatformIO", str(error.try_next or error))]
    rows = [Check("compiler", f"{tools.name} {tools.version}", "an image without PlatformIO", "")]
    found, wrong = "", ""
    try:
        needs = fit_linked(bench.firmware_files(plan, board), board)
        told = f"flash {needs.flash_needed:,} of {board.flash_available:,}, RAM {needs.ram_needed:,} of {board.ram_available:,}"
        found, wrong = (told, "") if needs.fits else ("", told)
    except UserError as error:
        wrong = str(error)
    return [*rows, Check("linked image", found, f"{MODEL} for it", f"correct the memory or the core: {wrong}", needed=True)]

"""What continuous integration needs in a user's repository: a workflow, a Robot test, and the files that Renode runs."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

from mcuml import __version__, baseline, bench, board, build, pipeline, results
from mcuml.baseline import Entry
from mcuml.errors import RequestError
from mcuml.fit import check_fit
from mcuml.link import renode
from mcuml.render import render_file

WORKFLOW = Path(".github", "workflows", "mcuml.yml")
ROBOT = Path("tests", "mcuml.robot")


def files(root: Path, place: Path, with_renode: bool) -> dict[Path, str]:
    """The files to write below `root`, a repository with the baseline at `place`: path from `root` -> text. Raises RequestError:
    no baseline, one outside the repository, or (with_renode) none of its boards is known to Renode."""
    held = baseline.load(place)
    if not held.entries:
        raise RequestError(f"{place} holds no models.", "", "Add one: mcuml check --update MODEL --board NAME")
    facts: dict[str, Any] = {
        "version": __version__,
        "quoted": shlex.quote,
        "baseline": _within(root, place),
        "robot": ROBOT.as_posix() if with_renode else "",
    }
    if not with_renode:
        return {WORKFLOW: render_file("ci/workflow.yml.j2", **facts)}
    entry = _for_renode(held.entries, place)
    target = _board(entry, place)
    facts["model"] = _within(root, baseline.located(entry.model, place))
    facts["board"] = _within(root, baseline.located(entry.board, place)) if entry.board.endswith(".toml") else entry.board
    up = "../" * (len(ROBOT.parts) - 1)
    robot = render_file("ci/mcuml.robot.j2", uart=renode.platform(target).uart, name=entry.result.model.name, up=up, **facts)
    return {WORKFLOW: render_file("ci/workflow.yml.j2", **facts), ROBOT: robot}


def write(root: Path, texts: dict[Path, str]) -> None:
    """Write all of `texts`, or none where one is there already. Raises RequestError naming it."""
    there = [path for path in texts if (root / path).exists()]
    if there:
        raise RequestError(
            f"{' and '.join(path.as_posix() for path in there)} {'are' if len(there) > 1 else 'is'} there already.",
            "Nothing was written.",
            "Move it away, or write into another folder and compare: mcuml ci init -o FOLDER",
        )
    for path in texts:
        results.check_place(root / path)
    for path, text in texts.items():
        results.save(text, root / path)


def renode_files(model: Path, target: board.Board, folder: Path) -> list[Path]:
    """Write the firmware of `model` for Renode's model of `target`, and the scripts that load it, into `folder`. Raises
    RequestError where Renode has none, FitError, BuildError."""
    held = renode.platform(target)
    plan = pipeline.prepare(model)
    check_fit(plan, target)
    image = build.build_firmware(bench.firmware_files(plan, target), target, port=held.port)
    texts = renode.scripts(target, start=False)
    for name in texts:
        results.check_place(folder / name)
    shutil.copyfile(image.elf, folder / renode.ELF)
    for name, text in texts.items():
        results.save(text, folder / name)
    return [folder / name for name in (renode.ELF, *texts)]


def _within(root: Path, path: Path) -> str:
    relative = Path(os.path.relpath(path.resolve(), root.resolve()))
    if relative.parts[:1] == ("..",) or relative.is_absolute():
        raise RequestError(f"{path} is not in the repository {root.resolve()}.", "", "Run this in the repository's own folder.")
    return relative.as_posix()


def _board(entry: Entry, place: Path) -> board.Board:
    return board.load(baseline.located(entry.board, place) if entry.board.endswith(".toml") else entry.board)


def _for_renode(entries: tuple[Entry, ...], place: Path) -> Entry:
    for entry in entries:
        if _board(entry, place).simulators.renode:
            return entry
    served = ", ".join(b.name for b in board.load_all() if b.simulators.renode)
    raise RequestError(
        f"Renode knows none of the boards in {place}: {', '.join(sorted({e.board for e in entries}))}.",
        f"It serves: {served}.",
        "Add one of these: mcuml check --update MODEL --board NAME",
    )

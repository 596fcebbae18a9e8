"""One verb on several boards at once: each in a process of its own, which Ctrl-C and SIGTERM end as they would end one alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from mcuml.cli._console import Progress, show, stages, tell
from mcuml.errors import RequestError
from mcuml.results import Result, from_json, save, to_json

POLL_S = 0.1
END_S = 10.0  # for a process that was asked to end


@dataclass(frozen=True)
class Done:
    """What became of one board: its Result, where there is one, the process's status and what it said on stderr."""

    where: str
    result: Result | None
    status: int
    said: str


def pairs(boards: Sequence[str], ports: Sequence[str]) -> list[tuple[str, str]]:
    """(board, port) of each, in order: one board's name serves all ports, and no ports are found by USB id. Raises RequestError
    for numbers that do not fit, and for a port that is named twice."""
    if len(set(ports)) < len(ports):
        raise RequestError("A port is named twice.", f"Ports: {', '.join(ports)}.", "Each board has a port of its own.")
    if len(boards) == 1:
        return [(boards[0], port) for port in ports or [""]]
    if ports and len(ports) != len(boards):
        raise RequestError(
            f"There are {len(boards)} boards and {len(ports)} ports.",
            f"Boards: {', '.join(boards)}; ports: {', '.join(ports)}.",
            "Give each --board its --port, in the same order, or no port at all.",
        )
    return list(zip(boards, ports or [""] * len(boards), strict=True))


def tell_all(verb: Sequence[str], targets: Sequence[tuple[str, str]], json: str, quiet: bool) -> None:
    """Run them, show each Result and each failure, write the Results to `json` as one list. Exits with the first failure's
    status."""
    import typer

    from mcuml import report

    with stages(quiet) as progress:
        done = run(verb, targets, progress)
    text = "[" + ",".join(to_json(one.result).rstrip() for one in done if one.result) + "]\n"
    if json == "-":
        print(text, end="")
    elif json:
        save(text, Path(json))
    for one in done:
        if one.result and json != "-" and not quiet:
            show(report.result(one.result))
        if one.status:
            tell(f"{escape(one.where)}: {escape(one.said)}")
    if failed := [one.status for one in done if one.status]:
        raise typer.Exit(failed[0])


def run(verb: Sequence[str], targets: Sequence[tuple[str, str]], progress: Progress) -> list[Done]:
    """`mcuml <verb> --board B [--port P] --json FILE --quiet` for all targets at the same time. On any exception, Ctrl-C above
    all, every process is asked to end and waited for."""
    with tempfile.TemporaryDirectory(prefix="mcuml-") as folder:
        started: list[tuple[str, Path, subprocess.Popen[str]]] = []
        try:
            for n, (board, port) in enumerate(targets):
                place = Path(folder) / f"{n}.json"
                words = [*verb, "--board", board, *(["--port", port] if port else []), "--json", str(place), "--quiet"]
                process = subprocess.Popen([sys.executable, "-m", "mcuml", *words], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
                started.append((f"{board} on {port}" if port else board, place, process))
            while any(process.poll() is None for *_, process in started):
                over = sum(process.poll() is not None for *_, process in started)
                progress(f"bench on {len(started)} boards", over, len(started))
                time.sleep(POLL_S)
            return [_done(where, place, process) for where, place, process in started]
        except BaseException:
            for *_, process in started:
                process.terminate()
            for *_, process in started:
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
            raise


def _done(where: str, place: Path, process: subprocess.Popen[str]) -> Done:
    _, said = process.communicate()
    result = from_json(place.read_text(encoding="utf-8"), where) if place.exists() else None
    return Done(where, result, process.returncode, said.strip())

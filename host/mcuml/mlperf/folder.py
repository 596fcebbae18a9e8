"""The session folder as the official runner lays it out: sessions/YYYYMMDD_HHMMSS with log.txt, results.txt and results.json.

Layout: mlcommons/tiny at 1afd2c9, benchmark/runner; what its submission checker looks for is written letter for letter. Added
are the lines that say what a figure is worth; its label "Top 1%" is put right to "Top-1", which the checker takes as well."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mcuml import results
from mcuml.errors import RequestError
from mcuml.mlperf.procedure import WINDOW_S, Window
from mcuml.mlperf.scores import Outcome, auc, median, top1

LOG, RESULTS_TEXT, RESULTS_JSON = "log.txt", "results.txt", "results.json"
RULE = "---------------------------------------------------------"
LETTERS = {"performance": "p", "accuracy": "a", "energy": "e"}  # what the official runner calls its modes


class Folder:
    """A new folder under `place`; nothing is in it until save(). Raises RequestError where none can be made."""

    def __init__(self, place: Path):
        when = datetime.now()
        try:
            place.mkdir(parents=True, exist_ok=True)
            while (place / f"{when:%Y%m%d_%H%M%S}").exists():
                when += timedelta(seconds=1)
            self.path = place / f"{when:%Y%m%d_%H%M%S}"
            self.path.mkdir()
        except OSError as error:
            raise RequestError(
                f"Cannot make a session folder in {place}.", f"{error.strerror or error}", "Choose another place with -o."
            ) from error
        self._log: list[str] = []

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Of a run that failed the log stays, with the reason. Nothing stays of one that was interrupted, of one in which nothing
        was logged, or where not even the log can be written."""
        if value is None:
            return
        for name in (RESULTS_TEXT, RESULTS_JSON):  # of which save() wrote one before the disk was full
            (self.path / name).unlink(missing_ok=True)
        if self._log and isinstance(value, Exception):
            self.say(f"Ended without a result: {value}")
            with contextlib.suppress(RequestError):  # `value` is what is told
                self._save_log()
                return
        self.path.rmdir()

    def say(self, text: str) -> None:
        """One line of the log, with its time."""
        self._log.append(f"{_now()} ulp-mlperf: {text}")

    def save(self, lines: Sequence[str], answers: Sequence[Window], mode: str, kind: str) -> None:
        """Write all three files; `lines` are those of results.txt."""
        self._log += lines
        results.save("\n".join(lines) + "\n", self.path / RESULTS_TEXT)
        told = [_entry(answer, mode, kind) for answer in answers]
        results.save(json.dumps(told, indent=1) + "\n", self.path / RESULTS_JSON)
        self._save_log()

    def _save_log(self) -> None:
        results.save("\n".join(self._log) + "\n", self.path / LOG)


def performance(windows: Sequence[Window], about: str) -> list[str]:
    """results.txt of a performance run. about: what the figures are worth."""
    lines = [about]
    for number, window in enumerate(windows, 1):
        lines += [
            f"Performance results for window {number}",
            f"    # Inferences : {window.infer.iterations}",
            f"    Runtime: {window.seconds} sec.",
            f"    Throughput: {window.throughput} inf./sec.",
        ]
        if window.seconds >= WINDOW_S:
            lines.append("    Runtime requirements have been met.")
    middle = median(window.throughput for window in windows)
    return lines + [f"{_now()} ulp-mlperf: {x}" for x in (RULE, f"Median throughput is {middle:>10.3f} inf./sec.", RULE)]


def accuracy(outcomes: Sequence[Outcome], about: str) -> list[str]:
    """results.txt of an accuracy run: top-1 where there are classes, and the area under the ROC curve where it is defined."""
    lines, area = [about], auc(outcomes)
    if len(outcomes[0].mean) > 1:
        lines.append(f"{_now()} ulp-mlperf: Top-1 = {100 * top1(outcomes):2.1f}%")
    if not math.isnan(area):
        lines.append(f"{_now()} ulp-mlperf: AUC = {area:.3f}")
    return lines


def energy(windows: Sequence[Window], about: str) -> list[str]:
    """results.txt of an energy run."""
    lines = ["Power Edition Output", about]
    for trial, window in enumerate(windows):
        total = window.microjoules or 0.0
        lines += [
            f"Energy data for trial {trial}",
            f"  Elapsed time  : {window.seconds}{'' if window.seconds >= WINDOW_S else '  <<<< below minimum duration'}",
            f"  Inferences    : {window.infer.iterations}",
            f"  Power         : {total / 1000 / window.seconds:5.4f} mW.",
            f"  Total Energy  : {total:.3f} uJ",
            f"  Energy/Inf    : {window.per_inference_uj:.3f} uJ/inf",
        ]
    return [*lines, RULE, f"Median energy cost is {median(w.per_inference_uj for w in windows):5.4f} uJ/inf.", RULE]


def _entry(window: Window, mode: str, kind: str) -> dict[str, Any]:
    """One window or sample of results.json, by the official runner's keys, and `kind`: measured or estimated."""
    infer: dict[str, Any] = {"results": list(window.infer.scores), "total_inferences": 1}
    if window.infer.laps:
        begin, end = window.infer.laps
        infer |= {"start_time": begin, "end_time": end, "elapsed_time": window.infer.us}
    infer |= {"iterations": window.infer.iterations, "warmups": window.infer.warmups}
    if mode == "performance":
        infer["throughput"] = window.throughput
    told: dict[str, Any] = {**window.sample.row, "total_length": window.sample.segments, "infer": infer}
    if window.recording is not None:
        held = window.recording
        told["power"] = {
            "samples": [None if math.isnan(j) else j for j in np.asarray(held.joules).tolist()],
            "timestamps": [[f"{held.first + n:02}", at] for n, at in enumerate(held.edges)],
            "extracted_power": None,
            **({} if held.volts is None else {"voltage": held.volts}),
        }
    return {**told, "mode": LETTERS[mode], "kind": kind}


def _now() -> str:
    return f"{datetime.now():%m%d.%H%M%S}"

"""Goes through MLPerf Tiny's procedure with its four models on the virtual board and writes docs/results/mlperf.md.

usage: record_mlperf.py MODELS [-o FILE] [--data FOLDER] [--board NAME] [--sessions FOLDER] [--only TEST] [--files N]

Performance with random inputs or, where the official set is in the data folder, with that; accuracy where it is; energy where
the board's file has figures. --files N takes the first N files alone for accuracy, which the page then says. Sessions that are
there already (build/mlperf/TEST-MODE) are taken as they are: delete them to run again.
"""

import argparse
import json
import sys
from pathlib import Path

from mcuml import __version__, pipeline
from mcuml.board import Board, load
from mcuml.mlperf import inputs, scores
from mcuml.mlperf.run import Mode, Request, run
from mcuml.run import suites
from mcuml.run.suites import Suite

MODELS = {"kws": "kws_ref_model", "vww": "vww_96_int8", "ic": "pretrainedResnet_quant", "ad": "ad01_int8"}
SETS = {name: f"mlperf_tiny_{name}01.zip" for name in MODELS}  # in the data folder, as mlcommons/tiny's datasets are named


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path)
    ap.add_argument("-o", "--output", type=Path, default=Path("docs/results/mlperf.md"))
    ap.add_argument("--data", type=Path)
    ap.add_argument("--board", default="nano33ble")
    ap.add_argument("--sessions", type=Path, default=Path("build/mlperf"))
    ap.add_argument("--only", default="")
    ap.add_argument("--files", type=int)
    args = ap.parse_args()
    board = load(args.board)
    told: dict[tuple[str, str], Path] = {}
    for name, stem in MODELS.items():
        data = (args.data or args.models.parent / "data") / SETS[name]
        modes: list[Mode] = ["performance"]
        modes += ["accuracy"] if data.is_file() else []
        modes += ["energy"] if board.energy else []
        for mode in modes:
            place = args.sessions / f"{name}-{mode}"
            if not list(place.glob("*/results.json")) and args.only in ("", name):
                print(f"{name}, {mode}", flush=True)
                model = next(args.models.rglob(f"{stem}.tflite"))
                plan = pipeline.prepare(model, "balanced", None)
                given = data if data.is_file() else None
                run(plan, Request(suites.find(name), mode, board, place, "", given, args.files), lambda *_: None)
            found = sorted(place.glob("*/results.json"))
            if found:
                told[name, mode] = found[-1].parent
    if not told:
        return 1
    args.output.write_text(page(told, board), encoding="utf-8")
    return 0


def page(told: dict[tuple[str, str], Path], board: Board) -> str:
    """Markdown: one row for each test, then what the sessions' results.txt hold."""
    lines = [
        "# MLPerf Tiny's four tests on the virtual board", "",
        f"mcuml {__version__}, virtual board {board.name} ({board.core} at {board.clock_hz / 1e6:g} MHz). **Simulated: times are "
        f"estimated** (error: {board.cycle_error}), nothing was measured on hardware, and nothing was verified by MLCommons.", "",
        "Written by `make mlperf`, which does for each test what this does:", "",
        f"    mcuml mlperf run MODEL --suite TEST --mode MODE --board {board.name}", "",
        "Performance: five different inputs, a window of at least 10 s of the device's time each, the median counts.", "",
        "| Test | Model | Inputs | N | Windows (s) | Inferences/s | ms | Quality | Asked for |",
        "|---|---|---|--:|---|--:|--:|---|---|",
    ]  # fmt: skip
    lines += [_row(suites.find(name), told) for name in MODELS if (name, "performance") in told]
    missing = [name for name in MODELS if (name, "performance") not in told]
    if missing:
        lines += ["", f"Not run yet: {', '.join(missing)}."]
    if not board.energy:
        lines += ["", f"Energy: none is told, for the file of {board.name} has no figures of it."]
    for (name, mode), folder in told.items():
        text = (folder / "results.txt").read_text(encoding="utf-8").rstrip().splitlines()
        lines += ["", f"## {name}, {mode}: results.txt", "", *(f"    {line}".rstrip() for line in text)]
    return "\n".join(lines) + "\n"


def _row(suite: Suite, told: dict[tuple[str, str], Path]) -> str:
    windows = json.loads((told[suite.name, "performance"] / "results.json").read_text(encoding="utf-8"))
    rate = scores.median(w["infer"]["throughput"] for w in windows)
    lasted = sorted(w["infer"]["elapsed_time"] / 1e6 for w in windows)
    counts = sorted({w["infer"]["iterations"] for w in windows})
    official = "class" in windows[0]
    quality = "not run yet" if official else "not told: the official data set is not here"
    if (suite.name, "accuracy") in told:
        said = (told[suite.name, "accuracy"] / "results.txt").read_text(encoding="utf-8")
        answers = json.loads((told[suite.name, "accuracy"] / "results.json").read_text(encoding="utf-8"))
        label = "AUC" if suite.metric == "AUC" else "Top-1"
        value = next(line.split(f"{label} = ")[1] for line in said.splitlines() if f"{label} = " in line)
        quality = f"{value} {suite.metric} of {len({a['file'] for a in answers}):,} files"
    given = "official set" if official else f"random (seed {inputs.SEED})"
    span = f"{lasted[0]:.3f} to {lasted[-1]:.3f}"
    figures = f"{'/'.join(map(str, counts))} | {span} | {rate:.3f} | {1000 / rate:.3f}"
    return f"| {suite.name} | {MODELS[suite.name]} | {given} | {figures} | {quality} | {suite.metric} {suite.target:g} |"


if __name__ == "__main__":
    sys.exit(main())

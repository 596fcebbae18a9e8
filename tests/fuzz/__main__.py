"""python -m fuzz graphs: random graphs against TFLite Micro, layer by layer. python -m fuzz files: damaged models, board
files, commands and replies. Both print each failure, write it to a folder and can record a page."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from fuzz import page
from fuzz.sweep import damage, sweep

ROOT = Path(__file__).parents[2]


def graphs(arguments: argparse.Namespace) -> int:
    start, operators, failures = time.monotonic(), Counter[str](), Counter[str]()
    for number, (_, counted, failure) in enumerate(sweep(arguments.seed, arguments.count, arguments.jobs, arguments.failures), 1):
        operators += counted
        if failure:
            failures[failure[0]] += 1
            print(failure[1], flush=True)
        if number % 100 == 0:
            print(f"{number} graphs, {sum(failures.values())} failures, {time.monotonic() - start:.0f} s", flush=True)
    if arguments.output:
        text = page.graphs(arguments.count, arguments.seed, time.monotonic() - start, operators, failures)
        page.record(arguments.output, "Random graphs", text)
    return 1 if failures else 0


def files(arguments: argparse.Namespace) -> int:
    start, counts, failed = time.monotonic(), {}, 0
    for what, outcomes, escapes in damage(arguments.seed, arguments.count, arguments.jobs, arguments.failures, arguments.models):
        counts[what] = outcomes
        failed += len(escapes)
        print(f"{what}: {dict(outcomes)}, {time.monotonic() - start:.0f} s", *escapes, sep="\n", flush=True)
    if arguments.output:
        text = page.files(arguments.count, arguments.seed, time.monotonic() - start, counts)
        page.record(arguments.output, "Damaged files", text)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("what", choices=("graphs", "files"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first one; the others follow it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--models", type=Path, help="a folder with .tflite files to damage, besides the example and drawn ones")
    parser.add_argument("--failures", type=Path, default=ROOT / "build" / "fuzz", help="where what fails is written")
    parser.add_argument("-o", "--output", type=Path, help="record the result in this page")
    arguments = parser.parse_args()
    return {"graphs": graphs, "files": files}[arguments.what](arguments)


if __name__ == "__main__":
    sys.exit(main())

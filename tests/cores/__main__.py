"""python -m cores: every core, compiler and simulator runs the cases; a page tells what came out."""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from pathlib import Path

from cores import cases, matrix
from mcuml import __version__


def main() -> int:
    parser = argparse.ArgumentParser(prog="cores", description=__doc__)
    parser.add_argument("--per-table", type=int, default=2, help="cases of each operator's table, at least (default 2)")
    parser.add_argument("--core", default="", help="only this one")
    parser.add_argument("-o", "--output", type=Path, help="write the page here")
    arguments = parser.parse_args()
    chosen = cases.choose(arguments.per_table)
    outcomes = []
    for core, compiler, simulator in matrix.combinations():
        if arguments.core in ("", core):
            try:
                outcomes.append(matrix.run(core, compiler, simulator, chosen))
            except AssertionError as error:  # it does not compile, or the simulator stopped
                outcomes.append(matrix.Outcome(core, compiler, simulator, wrong={"all": str(error)}))
            print(row(outcomes[-1]), flush=True)
            for name, told in outcomes[-1].wrong.items():
                print(f"  {name}: {told}", file=sys.stderr, flush=True)
    if arguments.output:
        arguments.output.write_text(page(outcomes, chosen), encoding="utf-8")
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def row(one: matrix.Outcome) -> str:
    if one.skipped:
        return f"| {one.core} | {one.compiler} | {one.simulator} | not run: {one.skipped} | | |"
    agree = f"{one.models - len(one.wrong)} of {one.models}" if one.models else "none"
    return f"| {one.core} | {one.compiler} | {one.simulator} | {agree} | {one.identical:,} | {one.samples - one.identical:,} |"


def page(outcomes: list[matrix.Outcome], chosen: list[cases.Chosen]) -> str:
    whole = [one.name for one in chosen if isinstance(one.case, cases.Model)]
    lines = [
        "# Every core",
        "",
        f"{datetime.date.today().isoformat()}, mcuml {__version__}, on {platform.system()} {platform.machine()}.",
        "Written by `make cores`.",
        "",
        f"The same {len(chosen)} models everywhere: {', '.join(whole)}, and small models of every operator and type, from the",
        f"tables of tests/ops. Together they run on {sum(one.samples for one in chosen):,} inputs.",
        "",
        "A model *agrees* if all its outputs do with the oracle of its operator's tests: integers bit for bit; floats within",
        "1e-5 of the largest value (the libraries' `expf`, `sinf` and so on differ in their last bits). *Identical* inputs",
        "gave the oracle's bytes.",
        "",
        "| Core | Compiler | Run by | Models that agree | Identical | Within tolerance |",
        "|---|---|---|--:|--:|--:|",
        *(row(one) for one in outcomes),
        "",
        "The Cortex-M55 is built with Helium and run by QEMU alone: Unicorn has no Armv8.1-M. Xtensa is not here: its boards",
        "take the portable C, which every core above without the DSP extension runs.",
    ]
    failed = [f"- {one.core}, {one.compiler}, {one.simulator}: {name}" for one in outcomes for name in one.wrong]
    return "\n".join([*lines, *(["", "## What differs", "", *failed] if failed else [])]) + "\n"


if __name__ == "__main__":
    sys.exit(main())

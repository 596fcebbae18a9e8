"""python -m faults: a session with one fault at each byte, over the firmware compiled for this computer and over the virtual
board; prints what came of them and records it in a page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults import device, page
from faults.walk import Outcome, converse, converse_plainly, walk
from mcuml.link.base import Link
from mcuml.link.virtual import VirtualBoard

GOOD = ("repaired", "refused")


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="bytes between two faults of a kind, in this computer's firmware")
    parser.add_argument("--board-step", type=int, default=200, help="the same on the virtual board, which takes longer")
    parser.add_argument("-o", "--output", type=Path, help="record the result in this page")
    arguments = parser.parse_args()
    sha256, inputs = device.prepared(device.DIGITS).graph.sha256, device.sample()

    def whole(link: Link) -> object:
        return converse(link, sha256, inputs)

    def firmware() -> Link:
        return device.FirmwareDevice(device.library())

    board = VirtualBoard(device.image().elf, device.image().board)
    walks: dict[str, Callable[[], Iterator[Outcome]]] = {
        page.WHOLE: lambda: walk(firmware, whole, arguments.step),
        page.BOARD: lambda: walk(lambda: device.Hurried(board), whole, arguments.board_step),
        page.PLAIN: lambda: walk(firmware, lambda link: converse_plainly(link, inputs), arguments.step),
    }
    began, found, bad = time.monotonic(), {}, 0
    for name, outcomes in walks.items():
        found[name] = []
        for outcome in outcomes():
            found[name].append(outcome)
            if outcome.came not in GOOD and (name != page.PLAIN or outcome.came != "WRONG"):
                bad += 1
                print(outcome, flush=True)
        print(f"{name}: {len(found[name])} faults, {time.monotonic() - began:.0f} s", flush=True)
        if arguments.output:
            arguments.output.write_text(page.text(found, arguments.step, arguments.board_step), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

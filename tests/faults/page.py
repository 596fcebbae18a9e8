"""docs/results/faults.md: what came of the faults, one table for each walk."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from faults.device import BAUD
from faults.walk import DELAYS, LATEST_S, Outcome
from mcuml import __version__

WHOLE, BOARD, PLAIN = "The whole session", "The virtual board", "MLPerf Tiny's commands without checks"
ABOUT = {
    WHOLE: "The firmware with the example model, compiled for this computer: `mcuml key`, `id`, `put`, `run`, `get`, `mem`, "
    "`layers`, then `db load` of another input, `infer`, `get`.",
    BOARD: "The same conversation with the image that the virtual board runs, at fewer bytes.",
    PLAIN: "What the official commands can do with a device that is not mcuml's (`name`, `db load`, `db print`, `infer`, "
    "`results`). *Wrong* are altered timestamps, which nothing in the official lines can show; the scores were right in all.",
}


def text(found: Mapping[str, Sequence[Outcome]], step: int, board_step: int) -> str:
    """The page. `found`: by walk, those that were gone through."""
    board = f" (on the virtual board: {each(board_step)})" if BOARD in found else ""
    delays = ", ".join(f"{d:g}" for d in DELAYS)
    sections = "\n\n".join(f"## {name}\n\n{ABOUT[name]}\n\n{table(outcomes)}" for name, outcomes in found.items())
    return f"""# One fault at each byte

{datetime.date.today()}, mcuml {__version__}: `make faults STEP={step} BOARD_STEP={board_step}`. What is protected how is in
[PROTOCOL.md](../PROTOCOL.md); the faults are those of `host/mcuml/link/fault.py`: one in each session, of every kind,
at {each(step)} sent and received{board}, flips of all eight bits, delays of {delays} s.

*Repaired*: every figure (identity, cycles of each run and layer, outputs, memory, MLPerf's window and scores) equals that of
the session without a fault, the window to the microsecond that its timestamps are told in. *Refused*: LinkError, exit 6.
Seconds are those of a simulated line of {BAUD} baud with the limits that boards have; none of them was waited for. More than
{LATEST_S:g} s would count as a hang.

{sections}
"""


def each(step: int) -> str:
    return "each byte" if step == 1 else f"one byte of {step}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Counts and seconds by kind."""
    others = sorted({o.came for o in outcomes} - {"repaired", "refused"})
    columns = ["repaired", "refused", *others]
    rows = ["| fault | " + " | ".join(["tried", *columns, "mean s", "longest s"]) + " |", "|---|" + "---:|" * (len(columns) + 3)]
    kinds = list(dict.fromkeys(o.fault.kind for o in outcomes))
    for name, chosen in [*((k, [o for o in outcomes if o.fault.kind == k]) for k in kinds), ("**all**", list(outcomes))]:
        seconds = [o.seconds for o in chosen]
        counts = [len(chosen), *(sum(o.came == c for o in chosen) for c in columns)]
        told = [*(f"{n:,}" for n in counts), f"{sum(seconds) / len(seconds):.1f}", f"{max(seconds):.1f}"]
        rows.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(rows)

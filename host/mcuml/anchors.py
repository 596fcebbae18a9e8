"""What other systems need for the same model: data/anchors.csv, looked up by the model file's hash or name and MACs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from mcuml import assets


@dataclass(frozen=True)
class Anchor:
    """One row: `cycles` per inference of `system` on `core`. `role`: "tflm" and "tflm-reference" were built and counted
    with the virtual board's own cost table (zero wait states); "published" was measured by others on a real board."""

    sha256: str
    model: str
    macs: int
    core: str
    system: str
    role: str
    kind: Literal["measured", "estimated"]
    clock_hz: int | None
    cycles: int
    flash_bytes: int | None
    code_bytes: int | None
    arena_bytes: int | None
    stack_bytes: int | None
    source: str


@cache
def all_anchors() -> tuple[Anchor, ...]:
    def number(text: str) -> int | None:
        return int(text) if text else None

    with (assets.folder("data") / "anchors.csv").open(encoding="utf-8", newline="") as f:
        return tuple(
            Anchor(
                row["sha256"], row["model"], int(row["macs"]), row["core"], row["system"], row["role"],
                cast(Literal["measured", "estimated"], row["kind"]), number(row["clock_hz"]), int(row["cycles"]),
                number(row["flash_bytes"]), number(row["code_bytes"]), number(row["arena_bytes"]), number(row["stack_bytes"]),
                row["source"],
            )
            for row in csv.DictReader(f)
        )  # fmt: skip


def find(sha256: str, name: str, macs: int, core: str) -> tuple[Anchor, ...]:
    """The anchors of this model on this core, TFLM first; empty where nobody has published one."""
    return tuple(a for a in all_anchors() if a.core == core and (a.sha256 == sha256 or (a.model == name and a.macs == macs)))

"""How far a figure may move from its baseline: "+2%", "0", "+512", "-0.2%", read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcuml.errors import RequestError

_FORM = re.compile(r"([+-]?)(\d+(?:\.\d+)?)(%?)")
_ROUNDING = 1e-9  # of the arithmetic here, not of figures: 1.02 * 50 is not 51


@dataclass(frozen=True)
class Limit:
    """`amount` percent of the baseline, or in the figure's own unit; a share (an accuracy, 0 to 1) moves in percentage points.
    falls: the figure must not fall by more, else it must not rise by more."""

    text: str
    amount: float
    percent: bool
    falls: bool = False

    def allows(self, before: float, now: float) -> bool:
        """Whether `now` is within this limit of `before`."""
        worse = before - now if self.falls else now - before
        share = 1.0 if self.falls else abs(before)  # a share's percent are points: 0.2 % of 90 % would be 0.18
        most = self.amount / 100 * share if self.percent else self.amount
        return worse <= most + _ROUNDING * max(1.0, abs(before))


def parse(option: str, text: str, falls: bool = False) -> Limit:
    """The limit that `option` was given as `text`. Raises RequestError, with examples, for any other form and for a sign that
    would ask for an improvement."""
    found = _FORM.fullmatch(text.strip())
    wrong = "+" if falls else "-"
    if not found or (found[1] == wrong and float(found[2])) or (falls and not found[3] and float(found[2])):
        raise RequestError(
            f"{option} is '{text}', which is no limit.",
            "It says how far the figure may fall below the baseline's, in percentage points."
            if falls
            else "It says how far the figure may rise above the baseline's, in percent or in its own unit.",
            f"Give for example {option} -0.2% or {option} 0." if falls else f"Give for example {option} +2%, +500 or 0.",
        )
    return Limit(text.strip(), float(found[2]), bool(found[3]), falls)

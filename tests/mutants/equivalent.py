"""Changes that no test can see, each with the reason: the program that they make is as right as the one they change."""

from __future__ import annotations

from mutants.sites import Mutant

STATUS = "any status but 0 says that it failed"
TAIL = "the loop behind it does the same, one element at a time"
CLOSE = "less than the last bit of a float32 where this polynomial is used"
SAME = "both ways give the same at equality"
REASONS: dict[tuple[str, str, str], str] = {  # (file, how the line begins, change) -> reason
    ("gather.c.j2", "if (lookup", "1 becomes 2"): STATUS,
    ("lut8.c.j2", "for (; elements >= 4;", ">= becomes >"): TAIL,
    ("lut8.c.j2", "for (; elements >= 4;", "4 becomes 5"): TAIL,
    ("arithmetic.c.j2", "for (; elements >= 4;", ">= becomes >"): TAIL,
    ("arithmetic.c.j2", "for (; elements >= 4;", "4 becomes 5"): TAIL,
    ("fixedpoint.c.j2", "if (!(size > 0.25f))", "315 becomes 316"): CLOSE,
    ("fixedpoint.c.j2", "if (!(size > 0.25f))", "2835 becomes 2836"): CLOSE,
    ("unary.c.j2", "if (x >= 0) return requantize(x,", ">= becomes >"): SAME,
}


def reason(mutant: Mutant) -> str:
    """Why the change makes no difference, "" when it should."""
    change = f"{mutant.before} becomes {mutant.after}"
    return next(
        (why for (n, s, c), why in REASONS.items() if (n, c) == (mutant.path.name, change) and mutant.line.startswith(s)), ""
    )

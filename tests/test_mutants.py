"""What `make mutants` rests on: it finds the tokens to change, sees a change on which a test fails, and knows those that change
nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

if os.name != "posix":
    pytest.skip("Trials are forked processes, which this system has not.", allow_module_level=True)

from mutants.sites import Mutant, mutants
from mutants.trial import Suite, attempt, prepare
from ops import test_activation

ROOT = Path(__file__).parents[1]
LUT8 = ROOT / "templates" / "kernels" / "lut8.c.j2"
TEXT = """{# a + b #}
{% set x = 1 + 2 %}
/* 1 < 2 */
#if A < 3
for (i = 0; i < {{ n + 1 }}; i += 2) out[i] = "%1" + a[8];
int32_t low = x < 4 ? 4 : x, room[5];
#endif
"""


def test_tokens_of_the_c_are_changed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.c.j2"
    path.write_text(TEXT)
    changes = [(m.number, m.before, m.after) for m in mutants(path, tmp_path)]
    assert changes == [(5, "0", "1"), (5, "<", "<="), (5, "+=", "-="), (5, "2", "3"), (5, "+", "-"), (5, "8", "9"),
                       (6, "<", ">="), (6, "4", "5")]  # fmt: skip


def change(line: str, before: str, after: str) -> Mutant:
    found = next(m for m in mutants(LUT8, ROOT) if line in m.line and m.before == before)
    return replace(found, after=after)


@pytest.mark.parametrize(
    "line, before, after, verdict",
    [
        ("uint32_t a = table", "8", "9", "killed"),
        ("for (; elements >= 4;", "-=", "+=", "killed"),  # runs away
        ("for (; elements >= 4;", ">=", ">", "survived"),
        ("uint32_t a = table", "8", "8 + nothing", "invalid"),
        ("uint32_t a = table", "8", "8 ", "survived"),
    ],
)
def test_a_trial_tells_what_the_cases_say(line: str, before: str, after: str, verdict: str) -> None:
    table = test_activation.test_matches_tflite_micro.table
    suites = [Suite(test_activation.test_matches_tflite_micro, tuple(n for n in table.cases if n.startswith("ELU-int8"))[:1])]
    prepare(suites)
    mutant = change(line, before, after)
    said, code = attempt(mutant, suites, "host")
    assert said == verdict
    if verdict == "survived":
        assert (code == attempt(None, suites, "host")[1]) == (after == "8 "), "the machine code tells whether anything changed"
    assert LUT8.read_text() == mutant.text, "the file itself stays as it is"


def test_a_change_of_what_the_cases_do_not_render_is_unused() -> None:
    suites = [Suite(test_activation.test_matches_tflite_micro, tuple(test_activation.test_matches_tflite_micro.table.cases)[:1])]
    prepare(suites)
    other = mutants(ROOT / "templates" / "kernels" / "softmax.c.j2", ROOT)[0]
    assert attempt(other, suites, "host") == ("unused", "")

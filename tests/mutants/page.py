"""docs/results/mutants.json, one line per row of docs/OPERATORS.md, and its summary mutants.md."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

HEAD = """# Tests that were seen failing

Written by `make mutants`. For each row of [OPERATORS.md](../OPERATORS.md) up to three changes of one token (an operator or a
number) are made in the kernel templates that the row's cases run, or in the operator's Python where it has no C, and the row's
own cases run: a few on the host, the same on a simulated Cortex-M4F, then all of them, then the other tests of their files.
*Killed*: one failed. Changes that do not compile, or that leave the generated C or the machine code as it was, do not count.
*Equivalent*: no test can fail, for a reason given in `tests/mutants/equivalent.py`. A row is proven by two killed mutants and
no survivor. Each mutant is in [mutants.json](mutants.json).
"""


def operators(root: Path) -> str:
    return (root / "docs" / "OPERATORS.md").read_text(encoding="utf-8")


def write(path: Path, results: dict) -> None:
    lines = [f"{json.dumps(row, ensure_ascii=False)}: {json.dumps(results[row], ensure_ascii=False)}" for row in sorted(results)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def summary(path: Path, rows: dict, results: dict, fewest: int) -> list[str]:
    """Write the page; the rows that are not proven."""
    counts: dict[str, Counter] = defaultdict(Counter)
    survivors, unproven = [], []
    for row in rows:
        mutants = results.get(row, {}).get("mutants", [])
        counted = Counter(m["verdict"] for m in mutants)
        proven = counted["killed"] >= fewest and not counted["survived"]
        unproven += [] if proven else [row]
        survivors += [f"- {row}: {m['mutant']} in `{m['line']}`" for m in mutants if m["verdict"] == "survived"]
        counts[row.split()[0]] += counted + Counter(rows=1, proven=int(proven))
    keys = ("rows", "proven", "killed", "equivalent", "survived")
    tried = [row for row in unproven if row in results]
    total = sum(counts.values(), Counter())
    lines = [
        HEAD,
        f"{total['proven']} of {total['rows']} rows proven; {total['killed']} mutants killed, {total['equivalent']} equivalent, "
        f"{total['survived']} survived.",
        "",
        *(["Survived:", "", *survivors, ""] if survivors else []),
        *([f"Not proven: {'; '.join(tried)}.", ""] if tried else []),
        *([f"Not tried: {len(unproven) - len(tried)} rows.", ""] if len(unproven) > len(tried) else []),
        f"| operator | {' | '.join(keys)} |",
        f"|---|{'--:|' * len(keys)}",
        *(f"| {code} | {' | '.join(str(counted[key]) for key in keys)} |" for code, counted in sorted(counts.items())),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return unproven

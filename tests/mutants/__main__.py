"""python -m mutants: small changes of what serves each row of docs/OPERATORS.md, which the row's own cases must see.

A row's kernel templates are changed (its Python, where it has no C). Results are kept per row; rows whose sources and tests did
not change since are not tried again. Writes docs/results/mutants.json and mutants.md."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import json
import random
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

from mcuml import __version__, ops, render
from mcuml.graph import Node
from mutants import page
from mutants.equivalent import reason
from mutants.sites import Mutant, imported, mutants
from mutants.trial import KINDS, REST, Suite, attempt, prepare

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tools")]
from list_operators import title, types  # noqa: E402

ENOUGH = 3  # real mutants of a row
FEWEST = 2  # killed ones that make a row proven
ATTEMPTS = 200
FIRST = 6  # cases tried first, spread over the row's; all of them when those see nothing
ROW = re.compile(r"^\| ([\w]+) \| (.*?) \| \d+ \| .*? \| (.*?) \|$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose operator or test file matches this pattern")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further row after so long")
    parser.add_argument("--again", action="store_true", help="try rows again although nothing changed")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    store, start = arguments.output / "mutants.json", time.monotonic()
    kept = json.loads(store.read_text()) if store.exists() else {}
    rows = {f"{code} {kinds}": re.findall(r"\[(\w+)\]", files) for code, kinds, files in ROW.findall(page.operators(ROOT))}
    results = {row: kept[row] for row in rows if row in kept}
    wanted = [row for row in rows if re.search(arguments.only, f"{row} {' '.join(rows[row])}")]
    for files in sorted({tuple(rows[row]) for row in wanted}):
        found = cases(files)
        for row in (row for row in wanted if tuple(rows[row]) == files):
            if time.monotonic() - start > 60 * arguments.minutes:
                break
            digest = state(found[row], arguments.seed)
            if arguments.again or results.get(row, {}).get("digest") != digest:
                began = time.monotonic()
                results[row] = {"digest": digest, "mutants": examine(row, found[row], arguments.seed)}
                verdicts = [m["verdict"] for m in results[row]["mutants"]]
                print(f"{row}: {', '.join(verdicts)} ({time.monotonic() - began:.0f} s)", flush=True)
                page.write(store, results)
        del found
    page.write(store, results)
    open_rows = page.summary(arguments.output / "mutants.md", rows, results, FEWEST)
    print(f"{len(rows) - len(open_rows)} of {len(rows)} rows proven, mcuml {__version__}, {time.monotonic() - start:.0f} s")
    return 1 if open_rows else 0


def cases(files: tuple[str, ...]) -> dict[str, list[tuple[Suite, list[Node]]]]:
    """Row -> the test functions in `files`, each with the cases that hold the row, and the row's nodes in them."""
    found: dict[str, dict] = defaultdict(dict)
    for file in files:
        for test in [t for t in vars(importlib.import_module(f"ops.test_{file}")).values() if hasattr(t, "table")]:
            for name in test.table.cases:
                graph = test.table.model(name).planned.graph
                for node in graph.nodes:
                    names, nodes = found[f"{title(node.code)} {types(node, graph)}"].setdefault(test, ([], []))
                    names += [name] if name not in names else []
                    nodes.append(node)
    return defaultdict(list) | {
        row: [(Suite(test, tuple(names)), nodes) for test, (names, nodes) in tests.items()] for row, tests in found.items()
    }


def sources(found: list[tuple[Suite, list[Node]]]) -> tuple[list[Path], list[Path]]:
    """(the templates and partials, the Python) that serve a row."""
    nodes = [node for _, nodes in found for node in nodes if node.kernel]
    kernels = sorted({n.kernel.template for n in nodes if n.kernel and not n.kernel.view})
    templates = {path for name in kernels for path in imported(ROOT / "templates" / "kernels" / f"{name}.c.j2")}
    classes = {ops.registry()[node.code] for node in nodes}
    return sorted(templates), sorted({Path(inspect.getfile(c)) for c in classes})


def spoken(node: Node) -> str:
    """The C of the node's kernel, with names for what the plan would put there."""
    if node.kernel is None or node.kernel.view:
        return ""
    io = render.Io(
        ("in",) * len(node.inputs), ("out",) * len(node.outputs), "scratch", {c.role: c.role for c in node.kernel.constants}
    )
    return "".join(render._kernel(node, node.kernel, io))


def state(found: list[tuple[Suite, list[Node]]], seed: int) -> str:
    """What a row's result depends on: its sources, its tests' sources, the seed."""
    tests = {Path(inspect.getfile(sys.modules[suite.table._make.__module__])) for suite, _ in found}
    digest = hashlib.sha256(str(seed).encode())
    for path in (*sources(found)[0], *sources(found)[1], *sorted(tests)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def examine(row: str, found: list[tuple[Suite, list[Node]]], seed: int) -> list[dict]:
    """Up to ENOUGH mutants that change what the row's cases run, each with its verdict."""
    suites = [suite for suite, _ in found]
    few = [Suite(s.test, s.names[:: -(-len(s.names) // FIRST)]) for s in sorted(suites, key=lambda s: -len(s.names))[:2]]
    if not few:
        return []
    prepare(few)
    text = "".join(spoken(node) for _, nodes in found for node in nodes)
    rng, results = random.Random(f"{seed} {row}"), list[dict]()
    in_c, in_python = ([m for path in paths for m in mutants(path, ROOT)] for paths in sources(found))
    in_c = [m for m in in_c if m.chunk in text]
    rng.shuffle(in_c)
    rng.shuffle(in_python)
    plain: dict[tuple[str, int], str] = {}
    for mutant in [*in_c, *in_python][:ATTEMPTS]:
        if sum(r["verdict"] != "equivalent" for r in results) >= (ENOUGH if mutant.path.suffix == ".j2" else FEWEST):
            break
        verdict, by = judge(mutant, few, suites, plain)
        if verdict in ("killed", "survived"):
            why = reason(mutant, row) if verdict == "survived" else ""
            line = {"line": mutant.line} if verdict == "survived" else {}
            results.append({"mutant": str(mutant), "verdict": "equivalent" if why else verdict, "by": why or by} | line)
    return results


def judge(mutant: Mutant, few: list[Suite], suites: list[Suite], plain: dict[tuple[str, int], str]) -> tuple[str, str]:
    """A few cases on this computer, then on the core with the DSP extension, then all cases, then the tests beside them."""
    changed = False
    for some in (few, suites):
        for kind in KINDS:
            verdict, said = attempt(mutant, some, kind)
            if verdict != "survived":
                return verdict, said
            key = kind, sum(len(s.names) for s in some)
            if key not in plain:
                plain[key] = attempt(None, some, kind)[1]
            changed |= said != plain[key]
        if not changed:
            return "same", ""
        prepare(suites)
    return attempt(mutant, few, REST)


if __name__ == "__main__":
    sys.exit(main())

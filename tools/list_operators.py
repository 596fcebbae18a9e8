"""Writes docs/OPERATORS.md from the code: every operator, and the types in which a test compares it with an oracle.

usage: list_operators.py [-o FILE]        (needs the test extra)

A row's types are those of the operator's data tensors in the cases of tests/ops; each case runs on the host and on a
simulated Cortex-M4F. A fast path is C between `#if MCU_DSP` or `#if MCU_FPU` in what such a case renders.
"""

import argparse
import importlib
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from mcuml import ops, render  # noqa: E402
from mcuml.graph import ABSENT, Graph, Node  # noqa: E402

FAST = {  # what a kernel's C uses -> the cores that have an instruction for it
    re.compile(r"\b(MCU_DSP|smlad|sxta?b16\w*|smmulr)\b"): "M4, M7, M33, M55",
    re.compile(r"\bMCU_FPU\b"): "M4F, M7, M33, M55",
}


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "OPERATORS.md")
    args = ap.parse_args()
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    fast: dict[tuple[str, str], set[str]] = defaultdict(set)
    files: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    held: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in sorted((ROOT / "tests" / "ops").glob("test_*.py")):
        module = importlib.import_module(f"ops.{path.stem}")
        for table in (t.table for t in vars(module).values() if hasattr(t, "table")):
            for name in table.cases:
                try:
                    graph = table.model(name).planned.graph
                except Exception as error:
                    print(f"{path.name}: {name}: {error}", file=sys.stderr)
                    continue
                for node in graph.nodes:
                    code, kinds = title(node.code), types(node, graph)
                    if len(graph.nodes) == 1:
                        text = render.render_model(table.model(name).planned)["model.c"]
                        body = text[text.index("_output_info[") :]
                        fast[code, kinds] |= {cores for sign, cores in FAST.items() if sign.search(body)}
                    found[code][kinds] += 1
                    weight = 1 if len(graph.nodes) == 1 else 0.01
                    files[code][path.stem] += weight
                    held[code, kinds][path.stem] += weight
    served = sorted({title(code) for code in ops.registry()})
    missing = [code for code in served if code not in found and code != "VAR_HANDLE"]
    args.output.write_text(page(served, found, fast, files, held), encoding="utf-8")
    print(f"{len(served)} operators; without a case of their own: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


def title(code: str) -> str:
    """A custom operator's own name; IF for its mark IF:else."""
    return code.removeprefix("CUSTOM:").partition(":")[0]


def types(node: Node, graph: Graph) -> str:
    """ "int8 x int8 -> int8": the types of a node's first input, of a second one that is no index or shape, and its output."""
    held = [graph.tensors[t].dtype for t in node.inputs[:2] if t != ABSENT]
    outputs = [graph.tensors[t].dtype for t in node.outputs[:1]]
    return " x ".join(held) + (f" → {outputs[0]}" if outputs else "")


def most(files: dict[str, float]) -> list[str]:
    """The files that hold at least a third of an operator's cases: its own, not those that use it in passing."""
    return sorted(name for name, count in files.items() if 3 * count >= max(files.values()))


def page(served: list[str], found: dict, fast: dict, files: dict, held: dict) -> str:
    lines = [
        "# Operators",
        "",
        "Written by `make operators` from the code and its tests. A row is an operator in types in which tests/ops compares it",
        "with TFLite Micro bit for bit (float32: within 1e-5), on the host and on a simulated Cortex-M4F, some of the cases on a",
        "Cortex-M0+ too. *Cases* counts those comparisons' models. Every core runs the portable C; *fast path* names those with",
        "instructions of their own. FAKE_QUANT and float32 activations with int8 or float16 weights, which TFLite Micro refuses,",
        "are compared with LiteRT's reference kernels.",
        "",
        "| Operator | Types: input x second input → output | Cases | Fast path | Tests |",
        "|---|---|--:|---|---|",
    ]
    for code in served:
        for kinds, count in sorted(found.get(code, {}).items()):
            paths = ", ".join(sorted(fast[code, kinds])) or "-"
            own = [name for name in most(files[code]) if name in held[code, kinds]] or most(held[code, kinds])
            tests = ", ".join(f"[{name.removeprefix('test_')}](../tests/ops/{name}.py)" for name in own)
            lines.append(f"| {code} | {kinds} | {count} | {paths} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

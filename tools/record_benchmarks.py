"""Benches every model of a folder by each objective and writes docs/BENCHMARKS.md: one table beside TFLM and the best published.

usage: record_benchmarks.py MODELS [-o FILE] [--boards NAME ...] [--only SUBSTRING]

The first board's figures are the table's; of the others the latency is told."""

import argparse
import datetime
import sys
from pathlib import Path

from bench_run import bench

BOARDS = ("nucleo_l4r5zi", "nano33ble")  # those with a cycle model that one can buy
OBJECTIVES = ("balanced", "speed", "ram", "size")
SAMPLES = "5"


def result(model: Path, board: str, objective: str) -> dict | None:
    """The Result; None where mcuml does not serve the model or the board has no room for it."""
    run = bench(model, "--board", board, "--optimize", objective, "--samples", SAMPLES)
    print(f"{model.name} {board} {objective}: exit {run.code}", flush=True)
    if run.code and not run.refused:
        raise SystemExit(run.said)
    return run.result


def row(runs: dict[str, dict[str, dict]]) -> str:
    """A model's line. `runs`: board -> objective -> Result."""
    first = next(iter(runs.values()))
    run = first["balanced"]
    latency, memory, macs = run["latency"], run["memory"], run["model"]["macs"]
    tflm = next((a for a in run.get("anchors", []) if "CMSIS-NN" in a["system"] and a.get("kind") == "estimated"), {})
    best = next((a for a in run.get("anchors", []) if a.get("kind") == "measured"), {})
    cells = [
        run["model"]["name"], f"{macs:,}", f"{latency['cycles']:,}", f"{latency['cycles'] / macs:.2f}" if macs else "",
        number(tflm.get("cycles")), f"{tflm['ratio']:.2f}" if tflm else "",
        f"{best['cycles_per_mac']:.2f}" if best else "", f"{best['ratio']:.2f}" if best else "",
        number(memory["arena_bytes"]), number(tflm.get("arena_bytes")), number(memory["code_bytes"]),
        number(memory["weights_bytes"]), number(memory.get("stack_bytes")),
        *(f"{held['balanced']['latency']['ms']:.2f}" for held in runs.values()),
        number(first["speed"]["latency"]["cycles"]), number(first["ram"]["memory"]["arena_bytes"]),
        number(first["size"]["memory"]["flash_bytes"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def page(rows: list[dict[str, dict[str, dict]]], left_out: list[str]) -> str:
    first = next(iter(rows[0].values()))["balanced"]
    boards = [held["balanced"] for held in rows[0].values()]
    errors = "; ".join(f"{b['board']['name']}: {b['latency'].get('error', 'unknown')}" for b in boards)
    head = [
        "Model", "MACs", "Cycles", "per MAC", "TFLM", "Ratio", "Best published, per MAC", "Ratio", "Arena", "TFLM's", "Code",
        "Weights", "Stack", *(f"ms, {b['board']['name']}" for b in boards), "Cycles, speed", "Arena, ram", "Flash, size",
    ]  # fmt: skip
    compiler = " ".join(first["toolchain"][key] for key in ("name", "version"))
    lines = [
        "# Benchmarks",
        "",
        f"{datetime.date.today().isoformat()}, mcuml {first['mcuml']}, {compiler} -O3,",
        "on the virtual board. Written by `make bench`, which runs for each model, board and objective",
        "",
        f"    mcuml bench MODEL --board BOARD --optimize GOAL --samples {SAMPLES} --json FILE",
        "",
        "All latencies are **estimated**. Cycles are those of a Cortex-M4F with zero-wait memory; ms count the waits for the",
        "board's flash. Error of the ms ([CYCLES.md](CYCLES.md)):",
        f"{errors}.",
        "",
        "TFLM is TFLite Micro with CMSIS-NN, counted alike; *best published* is the best MLPerf Tiny submission measured on a",
        "board with this core. Ratios are mcuml's cycles over theirs.",
        "Columns but for the last three are of `--optimize balanced`, the default; *speed* is for time only, *ram* for RAM only,",
        "*size* for flash only. Bytes; code is the whole firmware's, the serial protocol included.",
        "",
        f"| {' | '.join(head)} |",
        f"|---|{'--:|' * (len(head) - 1)}",
        *map(row, rows),
    ]
    lines += ["", "Left out, for mcuml or a board does not serve them: " + ", ".join(left_out) + "."] if left_out else []
    return "\n".join(lines) + "\n"


def side_by_side(recorded: Path) -> str:
    """The page of `make tflm` as this one's last section; nothing where that was never run."""
    if not recorded.is_file():
        return ""
    _, text = recorded.read_text(encoding="utf-8").split("\n", 1)
    return "\n## Both runtimes, built by mcuml\n" + text.replace("](../", "](")


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path)
    ap.add_argument("-o", "--output", type=Path, default=Path("docs/BENCHMARKS.md"))
    ap.add_argument("--boards", nargs="+", default=BOARDS)
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    rows: list[dict[str, dict[str, dict]]] = []
    left_out: list[str] = []
    for model in sorted(args.models.rglob("*.tflite")):
        if args.only not in model.name:
            continue
        wanted = [(b, o) for b in args.boards for o in (OBJECTIVES if b == args.boards[0] else OBJECTIVES[:1])]
        found = {pair: result(model, *pair) for pair in wanted}
        if any(run is None for run in found.values()):
            left_out.append(model.stem)
            continue
        rows.append({b: {o: found[b, o] or {} for board, o in wanted if board == b} for b in args.boards})
    if rows:
        text = page(rows, left_out) + side_by_side(args.output.parent / "results" / "tflm.md")
        args.output.write_text(text, encoding="utf-8")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())

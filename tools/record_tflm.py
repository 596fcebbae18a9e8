"""Compares mcuml's C with TensorFlow Lite Micro on the virtual board for every model of a folder; writes docs/results/tflm.md.

usage: record_tflm.py MODELS [-o FILE] [--board NAME] [--samples N] [--only SUBSTRING]

Which library is compared MCUML_TFLM says, as for `mcuml compare`; the page names its version and its sources' hash."""

import argparse
import datetime
import sys
from pathlib import Path

from bench_run import bench

HEAD = ("Model", "Cycles, aot", "tflm", "Ratio", "ms, aot", "tflm", "Flash, aot", "tflm", "Ratio", "RAM, aot", "tflm", "Ratio",
        "Arena, aot", "tflm", "Stack, aot", "tflm", "Outputs, aot", "tflm", "tflm / recorded TFLM")  # fmt: skip


def compared(model: Path, board: str, samples: int) -> dict | None:
    """What `mcuml compare --json` wrote; None where a runtime does not serve the model or the board has no room for it."""
    run = bench(model, "--board", board, "--samples", str(samples), verb="compare")
    print(f"{model.name}: exit {run.code}", flush=True)
    if run.code and not run.refused:
        raise SystemExit(run.said)
    return run.result


def row(held: dict) -> str:
    """A model's line. The last column is this build's cycles over those that data/anchors.csv has of TFLM with CMSIS-NN."""
    cells = [held["results"][0]["model"]["name"]]
    for name, decimals, ratio in (
        ("cycles", 0, True), ("ms", 2, False), ("flash_bytes", 0, True), ("ram_bytes", 0, True), ("arena_bytes", 0, False),
        ("stack_bytes", 0, False),
    ):  # fmt: skip
        figure = held["figures"].get(name)
        cells += [f"{v:,.{decimals}f}" for v in figure["values"]] if figure else ["", ""]
        if ratio:
            cells.append(f"{figure['ratios'][1]:.2f}" if figure else "")
    cells += [outputs(result) for result in held["results"]]
    recorded = next((a for a in held["results"][1].get("anchors", []) if "CMSIS-NN" in a["system"]), None)
    cells.append(f"{recorded['ratio']:.2f}" if recorded else "")
    return f"| {' | '.join(cells)} |"


def outputs(result: dict) -> str:
    """How many samples' outputs are the oracle's."""
    verify = result.get("verify")
    if not verify:
        return "not verified"
    told = "identical" if verify["identical"] else f"differ by {verify['max_abs_diff']:g} at most"
    return f"{verify['matching']} of {verify['samples']}, {told}"


def page(held: list[dict], left_out: list[str], samples: int) -> str:
    aot, tflm = held[0]["results"]
    tools, board = tflm["toolchain"], aot["board"]
    oracle = tflm["verify"]["oracle"] if "verify" in tflm else "no oracle"
    lines = [
        "# Both runtimes side by side",
        "",
        f"{datetime.date.today().isoformat()}, mcuml {aot['mcuml']}, {tools['name']} {tools['version']}, both runtimes at -O3,",
        f"virtual {board['name']} ({board['core']}, {board['clock_hz'] / 1e6:g} MHz). Written by `make tflm`, for each model by",
        "",
        f"    mcuml compare MODEL --runtime aot,tflm --board {board['name']} --samples {samples} --json FILE",
        "",
        f"aot is mcuml's own C, tflm TensorFlow Lite Micro as in the library {tools['library']}"
        + (f" of {tools['library_source']}," if "library_source" in tools else ","),
        f"sha256 of its sources `{tools['library_sha256']}` ([TFLM.md](../TFLM.md)).",
        "Cycles and ms are **estimated**; ms with the waits for the board's flash. Ratios are tflm's over aot's. Bytes; flash",
        f"and RAM are the whole firmware's. Outputs are compared with {oracle} on this computer.",
        "*Recorded TFLM* are the cycles of TFLM with CMSIS-NN in data/anchors.csv, counted alike; that build was not mcuml's.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|---|{'--:|' * (len(HEAD) - 1)}",
        *map(row, held),
    ]
    lines += ["", "Left out, for a runtime or the board does not serve them: " + ", ".join(left_out) + "."] if left_out else []
    return "\n".join(lines) + "\n"


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path)
    ap.add_argument("-o", "--output", type=Path, default=Path("docs/results/tflm.md"))
    ap.add_argument("--board", default="nano33ble")
    ap.add_argument("--samples", type=int, default=5)
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    models = [m for m in sorted(args.models.rglob("*.tflite")) if args.only in m.name]
    found = {m.stem: compared(m, args.board, args.samples) for m in models}
    held = [value for value in found.values() if value]
    if held:
        args.output.write_text(page(held, [name for name, value in found.items() if not value], args.samples), encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

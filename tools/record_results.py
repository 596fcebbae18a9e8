"""Benches every model of a folder and writes docs/results: one JSON per model and a page that says what was run.

usage: record_results.py MODELS [-o FOLDER] [--data FOLDER] [--board NAME] [--only SUBSTRING]

Models that mcuml does not serve are listed with the reason that it gave.
"""

import argparse
import datetime
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from bench_run import bench

# Labelled data for a model, by file name in the data folder; the others are verified on random inputs.
DATA = {
    "kws_ref_model": ("mlperf_tiny_kws01.zip", "all"),
    "4_fashion_mnist_model": ("fashion_mnist.npz", "1000"),
    "13_fashion_mnist_integeronly_model": ("fashion_mnist.npz", "1000"),
}
VERIFIED = "20"


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path)
    ap.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    ap.add_argument("--data", type=Path)
    ap.add_argument("--board")
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    data = args.data or args.models.parent / "data"
    runs, refused, failed = [], [], []
    for model in sorted(args.models.rglob("*.tflite")):
        if args.only not in model.name:
            continue
        target = args.output / f"{model.stem}.json"
        board = ["--board", args.board] if args.board else []
        run = bench(model, *board, *sample_options(model, data), target=target)
        print(f"{model.name}: exit {run.code}", flush=True)
        if run.result is not None:
            runs.append(run.result)
        elif run.refused:
            refused.append((model.name, " ".join(run.said.removeprefix("error: ").split())))
        if run.code and not run.refused:
            failed.append(model.name)
            print(run.said, file=sys.stderr)
    if runs:
        (args.output / "README.md").write_text(page(runs, refused), encoding="utf-8")
    print(f"{len(runs)} models measured, {len(refused)} not served, {len(failed)} failed; see {args.output}")
    return 1 if failed or not runs else 0


def sample_options(model: Path, data: Path) -> list[str]:
    name, count = DATA.get(model.stem, ("", ""))
    if not name or not (data / name).is_file():
        return ["--samples", VERIFIED]
    return ["--data", str(real_values(data / name)), "--samples", count]


def real_values(path: Path) -> Path:
    """Grey levels as these models were trained on them, float32 from 0 to 1, in a file below build/."""
    if path.suffix != ".npz":
        return path
    made = Path("build") / path.name
    made.parent.mkdir(exist_ok=True)
    with np.load(path) as held:
        np.savez(made, x=held["x_test"].astype(np.float32) / 255, y=held["y_test"])
    return made


def page(runs: list[dict], refused: list[tuple[str, str]]) -> str:
    first, board = runs[0], runs[0]["board"]
    compilers = sorted({f"{r['toolchain']['name']} {r['toolchain']['version']}" for r in runs})
    versions = sorted({r["mcuml"] for r in runs})
    lines = [
        "# Recorded results",
        "",
        f"{datetime.date.today().isoformat()}, mcuml {', '.join(versions)}, `{'`, `'.join(compilers)}`, "
        f"on {platform.system()} {platform.machine()}.",
        f"Board: {board['name']}, {board['core']} at {board['clock_hz'] / 1e6:g} MHz, {first['link']} link.",
        f"Latency is **{first['latency']['kind']}**: {first['latency']['method']}.",
        "",
        "Written by `make bench`, which runs for each model",
        "",
        "    mcuml bench MODEL --samples 20 --json docs/results/MODEL.json",
        "",
        "TFLM is TFLite Micro with CMSIS-NN, built with arm-none-eabi-gcc -O3 and counted with the same cycle model. *Best",
        "published* is the best MLPerf Tiny submission on a board with this core, measured there with its flash wait states",
        "([data/anchors.csv](../../data/anchors.csv) has every source). Ratios are mcuml's cycles over theirs: below 1, mcuml is",
        "faster.",
    ]
    figures = ("MACs", "Cycles", "Cycles/MAC", "ms", "TFLM", "Ratio", "Best published", "Ratio")
    lines += table("Cycles", ("Model", "Type"), figures, map(cycles_row, runs))
    sizes = ("Arena", "TFLM's arena", "Code", "Weights", "RAM", "Stack")
    lines += table("Memory, in bytes", ("Model",), sizes, map(memory_row, runs))
    lines += ["", "Code is the whole firmware's: kernels, start-up, serial protocol."]
    lines += table("Outputs", ("Model", "Against the oracle", "Accuracy"), (), map(output_row, runs))
    if refused:
        lines += ["", "## Not served", ""] + [f"- `{name}`: {reason}" for name, reason in refused]
    return "\n".join(lines) + "\n"


def table(title: str, words: Sequence[str], figures: Sequence[str], rows: Iterable[str]) -> list[str]:
    """A section with one table, whose columns of words come first."""
    rule = "---|" * len(words) + "--:|" * len(figures)
    return ["", f"## {title}", "", f"| {' | '.join((*words, *figures))} |", f"|{rule}", *rows]


def anchor(run: dict, words: str) -> dict:
    return next((a for a in run.get("anchors", []) if words in a["system"]), {})


def published(run: dict) -> dict:
    return next((a for a in run.get("anchors", []) if a.get("kind") == "measured"), {})


def cycles_row(run: dict) -> str:
    latency, macs, tflm, best = run["latency"], run["model"]["macs"], anchor(run, "CMSIS-NN"), published(run)
    model, per_mac = run["model"], latency["cycles"] / max(1, macs)
    return (
        f"| {model['name']} | {model['scheme']} | {macs:,} | {latency['cycles']:,} | {per_mac:.2f} | {latency['ms']:.2f} "
        f"| {number(tflm.get('cycles'))} | {ratio(tflm)} | {number(best.get('cycles'))} | {ratio(best)} |"
    )


def memory_row(run: dict) -> str:
    m, tflm = run["memory"], number(anchor(run, "CMSIS-NN").get("arena_bytes"))
    return (
        f"| {run['model']['name']} | {m['arena_bytes']:,} | {tflm} | {m['code_bytes']:,} | {m['weights_bytes']:,} "
        f"| {m['ram_bytes']:,} | {number(m.get('stack_bytes'))} |"
    )


def output_row(run: dict) -> str:
    verify, accuracy = run.get("verify"), run.get("accuracy")
    told = "not compared"
    if verify:
        same = "identical" if verify["identical"] else f"within {verify['tolerance']:g}" if verify.get("tolerance") else "differs"
        told = f"{same}: {verify['matching']} of {verify['samples']} on the board"
        if verify.get("host_samples"):
            told += f", {verify['host_matching']} of {verify['host_samples']} on the host build"
        told += f" ({verify['oracle']})"
    scored = (
        f"{100 * accuracy['value']:.2f} % {accuracy['metric']} over {accuracy['samples']:,} of {accuracy['dataset']}"
        if accuracy
        else ""
    )
    if accuracy and "oracle_value" in accuracy:
        scored += f"; oracle {100 * accuracy['oracle_value']:.2f} %"
    return f"| {run['model']['name']} | {told} | {scored} |"


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def ratio(held: dict) -> str:
    return f"{held['ratio']:.2f}" if held else ""


if __name__ == "__main__":
    sys.exit(main())

"""Repeats the experiment of arXiv 2204.10183 (CNN_on_MCU) with `mcuml optimize`: its network on both of its data sets, every row
of its tables and more sequences, over several seeds; and writes the figures beside the paper's. Resumable: run it again."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mcuml import results
from mcuml.optimize import frameworks
from mcuml.optimize.report import Report, Row, cells, checks, headings, table

ROOT = Path(__file__).resolve().parents[1]
RECIPES = Path("examples/cnn_on_mcu/recipes.toml")
DATA = {"Fashion-MNIST": "fashion_mnist.npz", "MNIST": "mnist.npz"}
H5 = 271_400  # bytes of the paper's baseline: .h5 with the optimizer's state


@dataclass(frozen=True)
class Paper:
    """A row of the paper's tables (shared/anchors/seed_results.md, 1.3): bytes of the .tflite, gzip -9 of it and accuracy, for
    Fashion-MNIST and MNIST. None: not told."""

    size: int
    gzip: tuple[int | None, int | None]
    accuracy: tuple[float | None, float | None]


PAPER = {
    "baseline": Paper(83_280, (77_132, 76_929), (0.8919, 0.9804)),
    "dynamic": Paper(22_480, (16_654, 17_944), (0.8917, 0.9803)),
    "float16": Paper(42_972, (39_151, 38_978), (0.8919, 0.9804)),
    "int8": Paper(23_208, (16_609, 17_914), (0.8916, 0.9805)),
    "pruned": Paper(83_280, (23_474, 23_615), (0.8886, 0.9784)),
    "pruned, dynamic": Paper(22_480, (7_305, 7_457), (0.8881, 0.9785)),
    "pruned, float16": Paper(42_972, (14_698, 14_788), (0.8887, 0.9785)),
    "pruned, int8": Paper(23_208, (7_561, 7_727), (0.8881, 0.9785)),
    "qat, int8": Paper(24_064, (7_457, 13_594), (0.8826, 0.9710)),
    "separable": Paper(83_480, (76_932, 76_743), (0.8578, 0.9647)),
    "separable, dynamic": Paper(22_680, (16_504, 17_647), (0.8594, 0.9646)),
    "separable, float16": Paper(43_700, (39_224, 39_025), (0.8578, 0.9647)),
    "separable, int8": Paper(23_816, (16_814, 17_983), (0.8620, 0.9642)),
    "graph, int8": Paper(23_224, (17_110, 17_604), (0.8970, 0.9807)),
}


def network(path: Path) -> None:
    """The paper's network, untrained: 28x28, 12 filters of 3x3, pooling, 10 logits; 20,410 parameters."""
    layers = frameworks.keras().layers
    model = frameworks.keras().Sequential(
        [
            layers.InputLayer((28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name="cnn_on_mcu",
    )
    model.save(path, include_optimizer=False)


def page(reports: dict[str, Report], command: str) -> str:
    """The Markdown page of all reports."""
    lines = ["# CNN_on_MCU repeated", "", f"Written by `{command}`, which runs, for each data set:", ""]
    lines += [f"- `{' '.join(report.command)}`" for report in reports.values()]
    for number, (name, report) in enumerate(reports.items()):
        paper = ["paper: accuracy %", ".tflite B", "gzip B", "x of its .h5"]
        heads = [*headings(report), *(f">{h}" for h in paper)]
        lines += ["", f"## {name}", ""]
        lines += table(heads, [[*cells(report, row), *_paper(row, number)] for row in report.rows])
        lines += ["", *(f"- {r.kind}: {r.name}: {r.reason}" for r in report.recommended), f"- {checks(report)}"]
        lines += [f"- {recipe}, seed {seed}, did not come to an end: {why}" for recipe, seed, why in report.failures]
    lines += ["", "## Recipes", "", f"Ahead of each: `{next(iter(reports.values())).before}`", ""]
    lines += [f"- {row.recipe}: `{row.steps}`" for row in next(iter(reports.values())).rows]
    return "\n".join(lines) + "\n"


def _paper(row: Row, data: int) -> list[str]:
    paper = PAPER.get(row.recipe)
    if paper is None:
        return ["", "", "", ""]
    accuracy, gzip = paper.accuracy[data], paper.gzip[data]
    told = "" if accuracy is None else f"{100 * accuracy:.2f}", f"{paper.size:,}", "" if gzip is None else f"{gzip:,}"
    return [*told, f"{H5 / paper.size:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with fashion_mnist.npz and mnist.npz")
    parser.add_argument("--work", type=Path, default=Path("build/reproduce-cnn"), help="where models and finished steps are kept")
    parser.add_argument("--output", "-o", type=Path, default=Path("docs/results/cnn_on_mcu"), help="written: .json and .md")
    parser.add_argument("--board", action="append", help="boards to account on")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    model = given.work / "cnn_on_mcu.h5"
    if not model.exists():
        network(model)
    reports = {}
    for name, file in DATA.items():
        folder = given.work / Path(file).stem
        words = ["optimize", str(model), "--data", str(given.data / file), "--recipe", str(RECIPES), "-o", str(folder)]
        words += ["--seeds", str(given.seeds), "--jobs", str(given.jobs), "--paper-accounting"]
        words += [word for board in given.board or ["nano33ble", "nucleo_l4r5zi"] for word in ("--board", board)]
        print(f"{name}: mcuml {' '.join(words)}", flush=True)
        ended = subprocess.run([sys.executable, "-m", "mcuml", *words], cwd=ROOT, check=False).returncode
        if ended not in (0, 7):
            sys.exit(ended)
        reports[name] = Report.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    bits = {"rows": {"__all__": {"accounts": {"__all__": {"correct_validation", "correct_test"}}}}}
    held = {name: report.model_dump(mode="json", exclude_none=True, exclude=bits) for name, report in reports.items()}
    results.save(json.dumps(held, indent=1) + "\n", given.output.with_suffix(".json"))
    results.save(page(reports, "make reproduce-cnn"), given.output.with_suffix(".md"))


if __name__ == "__main__":
    main()

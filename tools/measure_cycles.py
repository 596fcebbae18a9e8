"""Measures kernels on the virtual board and writes data/kernel_cycles.json, from which cost.py estimates cycles.

usage: measure_cycles.py [MODELS] [-o FILE] [--board NAME]

Layers are those of the models below MODELS and of graphs drawn here: for several input shapes, each operator by itself on the
input, with every kernel that serves it. Per kernel the coefficients are fitted by least squares of the relative error, with
as few of them as do as well, and none negative."""

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from mcuml import board, pipeline, tune
from mcuml.cost import COUNTS, counts, keys
from mcuml.errors import UserError
from mcuml.schedule import chosen

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import modelmaker as make

SHAPES = ((1, 16, 16, 8), (1, 12, 10, 32), (1, 25, 24, 3), (1, 7, 7, 48), (1, 9, 20, 20))
KINDS = ("int8", "float32")
WINDOWS = ((3, 1, 16), (3, 2, 24), (1, 1, 32), (5, 1, 8), (3, 1, 40))  # of convolutions: taps, stride, channels
FEWEST = 3  # layers that a fit needs
NOISE = 1.1  # a fit with fewer coefficients may be so much worse
Rows = dict[str, list[tuple[tuple[int, ...], int]]]


def drawn(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> bytes:
    """A model whose operators all read its input."""
    x = make.random_tensor(rng, "x", kind, shape)
    flat, depth = int(np.prod(shape)), shape[3]
    same = {
        "padding": "SAME",
        "stride_w": 2,
        "stride_h": 2,
        "filter_width": 2,
        "filter_height": 2,
        "fused_activation_function": "NONE",
    }
    layers = [
        make.conv(rng, x, channels, (taps, taps), (stride, stride), name=f"conv{n}")
        for n, (taps, stride, channels) in enumerate(WINDOWS)
    ]
    layers += [
        make.conv(rng, x, depth, (taps, taps), (stride, stride), name=f"line{taps}{stride}", depthwise=True)
        for taps, stride in ((3, 1), (3, 2), (5, 1))
    ]
    for layer in layers:
        quietly(layer)
    layers += [op for n in (0, 2) for op in behind(rng, x, *WINDOWS[n])]
    rows = make.random_tensor(rng, "rows", kind, (1, flat))
    flatten = make.op("RESHAPE", [x], [rows], new_shape=[1, flat])
    rows.scale, rows.zero_point = x.scale, x.zero_point
    layers += [flatten, make.fully_connected(rng, rows, 10, name="few"), make.fully_connected(rng, rows, 33, name="many")]
    half = (1, -(-shape[1] // 2), -(-shape[2] // 2), depth)
    for name, code, size, options in (
        ("add", "ADD", shape, {"fused_activation_function": "NONE"}),
        ("mul", "MUL", shape, {"fused_activation_function": "NONE"}),
        ("max", "MAX_POOL_2D", half, same),
        ("average", "AVERAGE_POOL_2D", half, same),
        ("softmax", "SOFTMAX", shape, {"beta": 1.0}),
    ):
        y = make.random_tensor(rng, name, kind, size)
        if "POOL" in code:
            y.scale, y.zero_point = x.scale, x.zero_point
        if code == "SOFTMAX" and kind == "int8":
            y.scale, y.zero_point = (1 / 256,), (-128,)
        layers.append(make.op(code, [x, x] if code in ("ADD", "MUL") else [x], [y], **options))
    read = {id(t) for layer in layers for t in layer.inputs}
    return make.model(layers, [x], [y for layer in layers for y in layer.outputs if id(y) not in read])


def behind(rng: np.random.Generator, x: make.TensorSpec, taps: int, stride: int, channels: int) -> list[make.OpSpec]:
    """Convolutions with a pool and with a sum behind them, which become one kernel each."""
    wide = make.conv(rng, x, channels, (taps, taps), (stride, stride), name=f"pooled{taps}")
    same = make.conv(rng, x, x.shape[3], (taps, taps), (stride, stride), name=f"added{taps}")
    quietly(wide), quietly(same)
    batch, height, width, _ = wide.outputs[0].shape
    pool = make.tensor(f"pool{taps}", x.dtype, (batch, height // 2, width // 2, channels))
    pool.scale, pool.zero_point = wide.outputs[0].scale, wide.outputs[0].zero_point
    total = make.random_tensor(rng, f"sum{taps}", x.dtype, x.shape)
    window = {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}
    none = {"fused_activation_function": "NONE"}
    added = make.op("ADD", [same.outputs[0], x], [total], **none)
    return [wide, make.op("MAX_POOL_2D", [wide.outputs[0]], [pool], **window, **none), same, added]


def quietly(layer: make.OpSpec) -> None:
    """Give the output a scale that makes its multipliers shifts to the right, as in trained models."""
    layer.outputs[0].scale = (1.0,) if layer.outputs[0].dtype == "int8" else None


def record(path: Path, target: board.Board, rows: Rows) -> None:
    """Add the layers of the model at `path`, with each of their kernels, to `rows`."""
    graph = pipeline.lowered(path)
    cycles, _ = tune.measure(graph, target, lambda *_: None)
    for k, spent in enumerate(cycles):
        made = chosen(graph, [min(k, len(node.candidates) - 1) for node in graph.nodes])
        for node, taken in zip(made.nodes, spent, strict=True):
            if node.kernel and taken and k < len(node.candidates):
                for key in keys(node, graph, node.kernel):
                    rows.setdefault(key, []).append((counts(node, graph, node.kernel), taken))


def fitted(layers: list[tuple[tuple[int, ...], int]]) -> tuple[dict[str, float], float]:
    """(coefficients by name of COUNTS, the root of the mean square of the relative error)."""
    features = np.array([f for f, _ in layers], float)
    cycles = np.array([c for _, c in layers], float)
    best: tuple[float, dict[str, float]] = (np.inf, {})
    for size in range(1, len(COUNTS) + 1):
        for some in itertools.combinations(range(len(COUNTS)), size):
            scaled = features[:, some] / cycles[:, None]
            found, *_ = np.linalg.lstsq(scaled, np.ones(len(cycles)), rcond=None)
            if (found < 0).any():
                continue
            error = float(np.sqrt(np.mean((scaled @ found - 1) ** 2)))
            if error * NOISE < best[0]:
                best = error, {COUNTS[i]: float(f"{c:.4g}") for i, c in zip(some, found, strict=True)}
    return best[1], best[0]


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path, nargs="?")
    ap.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / "data" / "kernel_cycles.json")
    ap.add_argument("--board", default="nucleo_l4r5zi")
    args = ap.parse_args()
    target, rows = board.load(args.board), Rows()
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(args.models.rglob("*.tflite")) if args.models else []
        for n, (kind, shape) in enumerate(itertools.product(KINDS, SHAPES)):
            paths.append(Path(folder) / f"{kind}_{'x'.join(map(str, shape))}.tflite")
            paths[-1].write_bytes(drawn(np.random.default_rng(n), kind, shape))
        for path in paths:
            print(path.name, flush=True)
            try:
                record(path, target, rows)
            except UserError as error:
                print(f"  left out: {error.what}", file=sys.stderr)
    table = {}
    for key in sorted(rows):
        if len(rows[key]) >= FEWEST:
            cycles, error = fitted(rows[key])
            table[key] = {"cycles": cycles, "error": round(error, 3), "layers": len(rows[key])}
            print(f"{key}: {len(rows[key])} layers, {100 * error:.0f} % off")
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in table.items()]
    args.output.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

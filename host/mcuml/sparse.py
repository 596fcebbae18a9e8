"""Weights that are mostly zero, as a walk over the others: how far to the next one, and its value.

A row of a matrix (N, K) is a run of elements: a step from the one before (the first from the row's begin) and a value. A step
has 2, 4 or 8 bits, whatever is the least; a step that is too long goes through elements of value 0. Elements come in turns
of a fixed number, the last of a row filled up with steps of 0 and values of 0. At 80 % zeros an int8 takes 12.5 bits with
steps of four bits, which is 2.5 bits for each of the matrix; a bitmap would take 2.6, and be slower to read.

Zeros are left out of sums, which a float input that is infinite or NaN would show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuml import halves, lanes
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.weighted import is_hybrid, weighted

TURN = {2: 16, 4: 8, 8: 4}  # elements per turn by the bits of a step: its steps fill a word
MOST = 0.7  # share of weights that are not zero, above which no form of a walk is smaller
CODE = 360  # bytes of the kernel's functions on a Cortex-M4
QUAD, AROUND, ROW = 17, 7, 75  # Cortex-M4 cycles of four elements, a turn, and a row, as counted
FLOAT, FLOAT_ROW, QUANTIZE = 12, 50, 45  # and of an element and a row of floats, and of a float made an int8


@dataclass(frozen=True, eq=False)
class Walk:
    """`steps` bits each; `data` the turns of all rows, bytes (T, B), each turn a word of steps and then its values; `turns` (N,)
    int32, how many of them are a row's."""

    steps: int
    data: np.ndarray
    turns: np.ndarray


def walk(matrix: np.ndarray, values: np.ndarray | None = None) -> Walk:
    """The smallest walk over `matrix` (N, K), int8 or float32. `values` (N, K): what is stored for its elements, if not they."""
    kept = matrix if values is None else values
    return min((_walk(matrix != 0, kept, steps) for steps in TURN), key=lambda w: w.data.nbytes)


def _walk(marked: np.ndarray, values: np.ndarray, steps: int) -> Walk:
    turn, longest = TURN[steps], (1 << steps) - 1
    rows = [_elements(np.flatnonzero(marks), row, longest, turn) for marks, row in zip(marked, values, strict=True)]
    distance = np.concatenate([d for d, _ in rows]).reshape(-1, turn // 4, 4).astype(np.uint32)
    stored = np.concatenate([v for _, v in rows]).astype(values.dtype)
    # Four elements' steps lie a byte apart, so that one AND has them ready for UXTAB; the next four's are `steps` bits higher.
    places = np.arange(4)[None, :] * 8 + np.arange(turn // 4)[:, None] * steps
    words = np.bitwise_or.reduce((distance << places.astype(np.uint32)).reshape(-1, turn), axis=1).astype("<u4")
    raw = stored.reshape(-1, turn).view(np.int8)
    turns = np.array([len(d) // turn for d, _ in rows], np.int32)
    data = np.concatenate([words.view(np.int8).reshape(-1, 4), raw], 1)
    return Walk(steps, data if len(data) else np.zeros((1, data.shape[1]), np.int8), turns)  # C has no array of nothing


def _elements(places: np.ndarray, row: np.ndarray, longest: int, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a row whose weights lie at `places`, in whole turns."""
    gaps = np.diff(places, prepend=0)
    between = np.maximum(-(-gaps // longest), 1) - 1  # elements of value 0 on the way
    count = int(np.sum(between + 1))
    steps, values = np.zeros(-(-count // turn) * turn, np.int64), np.zeros(-(-count // turn) * turn, row.dtype)
    at = np.cumsum(between + 1) - 1
    steps[:count] = longest
    steps[at], values[at] = gaps - between * longest, row[places]
    return steps, values


def dense(node: Node, graph: Graph, usual: Kernel, real: list[float]) -> Iterator[Kernel]:
    """The kernels of a FULLY_CONNECTED that walk its weights, where that takes less flash than its `usual` one: at most one.
    `real`: the rows' real multipliers, of an int8 layer."""
    source, weights, bias, _ = weighted(node, graph)
    assert weights.data is not None
    matrix: np.ndarray = weights.data
    rows, depth = matrix.shape
    if source.dtype == "int16" or np.count_nonzero(matrix) > MOST * matrix.size:
        return
    hybrid, half = is_hybrid(source, weights), halves.is_half(graph, matrix)
    made = walk(matrix, halves.bits(matrix) if half else None)
    count, batch, scratch = len(made.data), source.elements // depth, 0
    cycles = rows * ROW + count * (AROUND + QUAD * TURN[made.steps] // 4)
    sums = matrix.sum(1, dtype=np.int64)
    if source.dtype == "int8":
        # The sum over x - zero point, for any x: what the zero point adds is known, and goes into the bias.
        scaling = lanes.requantization(None if bias is None else bias.data, real)
        columns = [scaling.bias - source.zero_point * sums, scaling.multiplier, scaling.shift, made.turns]
        constants = [_table("channels", columns)]
    elif hybrid:
        constants, scratch = [_table("channels", [made.turns, sums]), *usual.constants[1:]], depth
        cycles += rows * FLOAT + depth * QUANTIZE
    else:
        constants = [_table("channels", [made.turns]), *usual.constants[1:]]
        cycles = rows * FLOAT_ROW + count * (AROUND + FLOAT * TURN[made.steps])
    kept = {key: usual.params[key] for key in ("low", "high", "out_zero", "scale", "asymmetric") if key in usual.params}
    params: dict[str, Any] = kept | {
        "kind": "hybrid" if hybrid else "s8" if source.dtype == "int8" else "f16" if half else "f32",
        "batch": batch, "depth": depth, "rows": rows, "steps": made.steps, "turn": TURN[made.steps], "bytes": made.data.shape[1],
    }  # fmt: skip
    found = Kernel(
        "fully_connected_sparse",
        params,
        (Constant("weights", made.data.reshape(-1)), *constants),
        scratch,
        macs=batch * matrix.size,
        cycles=60 + batch * cycles,
        packed=True,
    )
    if found.constant_bytes + CODE < usual.constant_bytes:
        yield found


def _table(role: str, columns: list[np.ndarray]) -> Constant:
    """int32 (N, columns), taken modulo 2**32."""
    return Constant(role, (np.stack(columns, 1).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.int32))

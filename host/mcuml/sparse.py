"""FULLY_CONNECTED over weights that are mostly zero, by a walk over the others (walks.py).

Zeros are left out of sums, which a float input that is infinite or NaN would show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mcuml import halves, lanes
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.walks import TURN, walk
from mcuml.weighted import is_hybrid, weighted

MOST = 0.7  # share of weights that are not zero, above which no form of a walk is smaller
CODE = 400  # bytes of the kernel's functions on a Cortex-M4
QUAD, AROUND, ROW = 17, 7, 75  # Cortex-M4 cycles of four elements, a turn, and a row, as counted
FLOAT, FLOAT_ROW, QUANTIZE = 12, 50, 45  # and of an element and a row of floats, and of a float made an int8


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

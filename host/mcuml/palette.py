"""FULLY_CONNECTED in int8 over weights of few distinct values: indices of two or four bits into a palette.

A palette serves all rows, or each row has its own: where scales are per channel, values that were one before quantization are not
afterwards. Before a row (or all of them) 256 words are computed in scratch, the weights that each byte of indices stands for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcuml import lanes
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.weighted import plain_table, weighted

TURN = 16  # weights per turn of the loop; what is left of a row lies behind its indices as it is
CODE = 450  # bytes of the kernel's functions on a Cortex-M4
TABLE = 256  # words of scratch
CYCLES = {4: 50, 2: 45}  # Cortex-M4 cycles of a turn, by bits of an index, as counted
ROW, REST, FILL = 90, 10, 1500  # and of a row, a weight of its rest, and of the table


def dense(node: Node, graph: Graph, usual: Kernel, real: list[float]) -> Iterator[Kernel]:
    """The kernels of a FULLY_CONNECTED that read its weights so, where that takes less flash than its `usual` one: at most one.
    `real`: the rows' real multipliers."""
    source, weights, bias, _ = weighted(node, graph)
    if source.dtype != "int8" or weights.data is None:
        return
    matrix: np.ndarray = weights.data
    rows, depth = matrix.shape
    made = min(
        (m for m in map(lambda b: indexed(matrix, b), CYCLES) if m), key=lambda m: sum(a.nbytes for a in m[1:]), default=None
    )
    if made is None:
        return
    bits, palettes, stream = made
    scaling = lanes.requantization(None if bias is None else bias.data, real)
    # The sum over x - zero point, for any x: what the zero point adds is known, and goes into the bias, modulo 2**32.
    offset = scaling.bias - source.zero_point * matrix.sum(1, dtype=np.int64)
    offset = (offset & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    table = plain_table(lanes.Requantization(offset, scaling.multiplier, scaling.shift))
    constants = (Constant("weights", stream), Constant("palettes", palettes), table)
    batch, turns = source.elements // depth, depth // TURN
    kept = {key: usual.params[key] for key in ("low", "high", "out_zero")}
    params = kept | {
        "batch": batch, "depth": depth, "rows": rows, "bits": bits, "turn": TURN, "turns": turns, "own": len(palettes) > 1,
    }  # fmt: skip
    each = ROW + turns * CYCLES[bits] + depth % TURN * REST + FILL * params["own"]
    cycles = 60 + batch * rows * each + FILL * (not params["own"])
    found = Kernel("fully_connected_palette", params, constants, TABLE * 4, macs=batch * matrix.size, cycles=cycles, packed=True)
    if found.constant_bytes + CODE < usual.constant_bytes:
        yield found


def indexed(matrix: np.ndarray, bits: int) -> tuple[int, np.ndarray, np.ndarray] | None:
    """(bits, palettes (1 or N, 2**bits) int8, stream int8) of `matrix` (N, K) int8, None where a row has too many values.

    A row of the stream is a word for each 32 / bits weights, in the order in which the kernel has its activations, and the rest
    of fewer than TURN weights, filled up to words."""
    count = 1 << bits
    shared = np.unique(matrix)
    found = [shared] if len(shared) <= count else [np.unique(row) for row in matrix]
    if max(map(len, found)) > count:
        return None
    palettes = np.zeros((len(found), count), np.int8)
    for palette, values in zip(palettes, found, strict=True):
        palette[: len(values)] = values
    rows, depth = matrix.shape
    whole = depth - depth % TURN
    places = np.stack([np.searchsorted(found[n % len(found)], matrix[n, :whole]) for n in range(rows)]).astype(np.uint8)
    each = 8 // bits
    if bits == 4:  # a byte holds elements 0 and 2 or 1 and 3 of four: those that SXTB16 widens together
        places = places.reshape(rows, -1, 2, 2).swapaxes(2, 3)
    places = places.reshape(rows, -1, each) << np.arange(0, 8, bits, dtype=np.uint8)
    packed = np.bitwise_or.reduce(places, axis=2).astype(np.uint8).view(np.int8).reshape(rows, -1)
    rest = np.zeros((rows, -(-(depth - whole) // 4) * 4), np.int8)
    rest[:, : depth - whole] = matrix[:, whole:]
    return bits, palettes, np.concatenate([packed, rest], 1).reshape(-1)

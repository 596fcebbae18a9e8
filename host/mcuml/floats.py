"""float32 layers with weights: what partials/gemm_f32.c.j2 needs for four output channels times four pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcuml.geometry import Axis
from mcuml.graph import Constant, Kernel, Overlap

TOGETHER = 4  # output channels of the matrix kernel
ELEMENT = 41  # Cortex-M4 cycles of one element of four windows times four channels: 9 for eight loads, 32 for 16 products
TURN, SEGMENT, GROUP = 12, 14, 110  # and of a turn of its loop, of a segment, of four channels' bias and stores
DIRECT, QUAD, COPY = 90, 200, 75  # and of finding four windows, without and with a look at each, and of a copied row
UNROLLED = 5  # elements that are worth generating for a loop
WHOLE = 12  # and without one
REACH = 1020  # bytes from an address register that VLDR can name


def clamp(low: float, high: float) -> str:
    """How the kernels clamp: "none", "relu" (0 is the lowest), "relu_high" (0 and `high`) or "both"."""
    if low == 0:
        return "relu" if high == math.inf else "relu_high"
    return "none" if (low, high) == (-math.inf, math.inf) else "both"


def padded(values: np.ndarray, role: str) -> Constant:
    """float32 of at least 4 channels: `values` (N, ...), filled up with zeros."""
    filled = np.zeros((max(len(values), 4), *values.shape[1:]), np.float32)
    filled[: len(values)] = values
    return Constant(role, filled)


@dataclass(frozen=True)
class Windows:
    """How four windows of the input, or of copies, are taken. `direct`: they all lie inside the input, so nothing is copied.
    A window has a segment per row; `body` elements of it are taken per turn of a loop, and `rest` behind that. `whole`:
    (segments, elements of each, bytes from one to the next) if there is no loop at all."""

    direct: bool
    body: int
    rest: int
    whole: tuple[int, int, int] | None

    @property
    def params(self) -> dict[str, Any]:
        return {"direct": self.direct, "body": self.body, "rest": self.rest, "whole": self.whole}


def windows(vertical: Axis, horizontal: Axis, depth: int) -> Windows:
    """For windows of `depth` channels."""
    direct = vertical.all_inside and horizontal.all_inside and horizontal.dilation == 1
    length = horizontal.taps * depth
    pitch = vertical.dilation * horizontal.size * depth * 4
    if direct and vertical.taps * length <= WHOLE and (vertical.taps - 1) * pitch + 4 * length <= REACH:
        return Windows(True, length, 0, (vertical.taps, length, pitch))
    choices = [(length // body * TURN + length % body, body) for body in range(1, UNROLLED + 1) if body <= length]
    _, body = min(c for c in choices if c[1] + length % c[1] <= UNROLLED)
    return Windows(direct, body, length % body, None)


def cycles(found: Windows, vertical: Axis, horizontal: Axis, depth: int, channels: int, across: int = 4) -> int:
    """Of four windows, `across` of them side by side, times all channels; an average over a map."""
    segments, length = vertical.taps, horizontal.taps * depth
    loops = 0 if found.whole else segments * (length // found.body * TURN + SEGMENT)
    products = -(-channels // 4) * (segments * length * ELEMENT + loops + GROUP)
    if found.direct:
        return products + DIRECT
    whole = vertical.inside / vertical.out * max(0, horizontal.inside - across) / horizontal.out
    return products + QUAD + int((1 - whole) * 4 * segments * (COPY + length * 5))


def convolution(
    params: Mapping[str, Any], filters: np.ndarray, limits: tuple[float, float], bias: np.ndarray, overlap: Overlap, macs: int
) -> Kernel:
    """The kernel of a convolution with `filters` (N, KH, KW, C) and `bias` (N,); `params` holds the axes.

    Four pixels are written while the windows of the first are still read, so that the output stays behind by them."""
    vertical, horizontal = params["height"], params["width"]
    channels, taps, _, depth = filters.shape
    found = windows(vertical, horizontal, depth)
    length = horizontal.taps * depth
    more = {"low": limits[0], "high": limits[1], "clamp": clamp(*limits), "largest": False, **found.params}
    return Kernel(
        "conv_2d_f32",
        {**params, **more},
        (padded(filters.reshape(channels, -1), "weights"), padded(bias, "bias")),
        0 if found.direct else 4 * taps * length * 4,
        (replace(overlap, distance=overlap.distance + 4 * channels * 4),),
        macs,
        -(-vertical.out * horizontal.out // 4) * cycles(found, vertical, horizontal, depth, channels),
    )


def dense(params: Mapping[str, Any], matrix: np.ndarray, limits: tuple[float, float], bias: Constant, macs: int) -> Kernel:
    """The kernel that multiplies `matrix` (N, K) with vectors: as many rows at a time as cost least, up to eight, and as many
    elements of each at a time as the registers hold."""
    rows, depth = matrix.shape

    def cost(together: int, body: int) -> int:
        elements = depth * 3 * together + depth + -(-depth // wide(together, body))  # a load after another one saves a cycle
        waits = depth if together == 1 else 0  # for the sum before
        return -(-rows // together) * (elements + waits + depth // body * (together + 5) + 100 + 14 * together)

    def wide(together: int, body: int) -> int:
        return min((32 - together) // (together + 1), body)

    choices = [(t, b) for t in range(1, min(rows, 8) + 1) for b in range(1, min(depth, 8) + 1)]
    spent, _, together, body = min((cost(t, b), t * (b + depth % b), t, b) for t, b in choices)
    more = {"low": limits[0], "high": limits[1], "together": together, "body": body, "rest": depth % body,
            "wide": wide(together, body)}  # fmt: skip
    constants = (Constant("weights", np.ascontiguousarray(matrix)), bias)
    return Kernel("fully_connected_f32", {**params, **more}, constants, macs=macs, cycles=macs // matrix.size * spent + 80)

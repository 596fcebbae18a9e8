"""A 1x1 convolution of one input channel and the MAX_POOL_2D behind it, int8 and float32: constants and cost of
kernels/conv_pool_point.c.j2.

Each output channel is a function of one number, and a monotone one: multiplying by the weight, adding the bias, rounding and
clamping keep the order of two numbers, or turn it where the weight is negative. So the largest of a pool's outputs is that of
the largest of its inputs or of the least one, and these two are found once for all output channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuml import floats, lanes
from mcuml.geometry import Axis
from mcuml.graph import Constant, Kernel, Overlap

TAPS = 16  # of a pool whose comparisons are worth generating


def serves(filters: np.ndarray, pools: tuple[Axis, Axis]) -> bool:
    """Whether `filters` (N, KH, KW, C) are 1x1 of one channel and the pool's windows, which may overlap, lie inside their map."""
    return filters[0].size == 1 and all(a.all_inside for a in pools) and pools[0].taps * pools[1].taps <= TAPS


def int8(
    filters: np.ndarray, table: np.ndarray, convs: tuple[Axis, Axis], pools: tuple[Axis, Axis], zeros: tuple[int, int],
    limits: tuple[int, int],
) -> Kernel:  # fmt: skip
    """The kernel for `filters` (N, 1, 1, 1) and lanes.channel_table's `table` (N, 3); the zero points of input and output. A word
    holds a pool's largest input in its low half and the least one in its high half, both less the zero point, and so does each
    channel's word hold twice the weight in the half that is for its sign: int32 (N, 5) with lanes.with_addends()'s numbers."""
    weights = 2 * filters.reshape(-1).astype(np.int64)
    words = np.where(weights < 0, weights << 16, weights & 0xFFFF).astype(np.uint32).view(np.int32)
    stream = np.concatenate([words[:, None], lanes.with_addends(table, zeros[1])], 1).astype(np.int32).reshape(-1)
    low, high = limits
    more = {"away": low < zeros[1], "clamp": limits != (-128, 127), "low": low, "high": high, "in_zero": zeros[0]}
    return _kernel("s8", more, (Constant("channels", stream),), len(filters), convs, pools, 9 + 6 * more["clamp"])


def float32(
    filters: np.ndarray, bias: np.ndarray, convs: tuple[Axis, Axis], pools: tuple[Axis, Axis], limits: tuple[float, float]
) -> Kernel:
    """The kernel for `filters` (N, 1, 1, 1) and `bias` (N,): float32 (N, 2) of both."""
    stream = np.stack([filters.reshape(-1), bias], 1).astype(np.float32).reshape(-1)
    more = {"clamp": floats.clamp(*limits), "low": limits[0], "high": limits[1], "in_zero": 0}
    return _kernel("f32", more, (Constant("channels", stream),), len(filters), convs, pools, 10)


def _kernel(
    kind: str, more: dict[str, Any], constants: tuple[Constant, ...], channels: int, convs: tuple[Axis, Axis],
    pools: tuple[Axis, Axis], output: int,
) -> Kernel:  # fmt: skip
    """`output`: cycles of a Cortex-M4 for each output. In place, a row of outputs is written when its inputs were read."""
    item = 1 if kind == "s8" else 4
    (vertical, horizontal), (down, across) = pools, (convs[0].stride, convs[1].stride)
    row_in, row_out = convs[1].size * item, horizontal.out * channels * item
    step = vertical.stride * down * convs[1].size
    params = {
        "kind": kind, "numbers": constants[0].data.size, "taps_h": vertical.taps, "taps_w": horizontal.taps,
        "out_channels": channels, **more,
        "shape": (vertical.out, horizontal.out, down * convs[1].size, across, step, horizontal.stride * across),
    }  # fmt: skip
    taps = vertical.taps * horizontal.taps
    pixel = 12 + (7 if kind == "s8" else 10) * taps
    distance = max(0, (vertical.out - 1) * (row_out - vertical.stride * down * row_in))
    return Kernel(
        "conv_pool_point",
        params,
        constants,
        horizontal.out * (4 if kind == "s8" else 8),
        (Overlap(0, 0, distance),),
        convs[0].out * convs[1].out * channels,
        vertical.out * (60 + horizontal.out * pixel + channels * (24 + output * horizontal.out)),
    )

"""int8 depthwise convolution of any window, stride and dilation, four channels at a time, from where the input lies: constants
and cost of kernels/depthwise_apart.c.j2.

For each output pixel a table has where each tap's channels lie; all groups of four channels share it. There is nothing
that neighbouring windows share, so this pays where they have little in common: strides as long as the window, few outputs."""

from __future__ import annotations

import numpy as np

from mcuml.depthwise_lines import GROUP, ZerosAndRange
from mcuml.geometry import Axis, overlap_distance
from mcuml.graph import Constant, Kernel, Overlap
from mcuml.lanes import with_addends

LONGEST_BODY = 10  # taps per turn of the loop


def kernel(
    vertical: Axis, horizontal: Axis, weights: np.ndarray, table: np.ndarray, zeros: ZerosAndRange, macs: int
) -> Kernel | None:
    """The kernel for weights (KH, KW, C) int8 and lanes.channel_table's `table` (C, 3); None for less than four channels."""
    height, width, channels = weights.shape
    if channels < GROUP:
        return None
    taps = height * width
    body = min(range(1, LONGEST_BODY + 1), key=lambda n: (_products(taps, n), -n))
    turns = -(-taps // body)
    params = {
        "height": vertical, "width": horizontal, "channels": channels, "body": body, "turns": turns, "in_zero": zeros.in_zero,
        "away": zeros.low < zeros.out_zero, "clamp": zeros.clamps, "low": zeros.low, "high": zeros.high,
    }  # fmt: skip
    constants = stream(weights.reshape(taps, channels), with_addends(table, zeros.out_zero), body * turns)
    # A pixel's channels are written four by four while its window's later channels, and for a rest the same, are still needed.
    distance = overlap_distance(vertical, horizontal, channels, channels) + channels
    group = 13 + _products(taps, body) + 4 * (9 + zeros.clamps * 6 + params["away"])
    cycles = vertical.out * (30 + horizontal.out * (100 + height * (12 + 13 * width) + -(-channels // GROUP) * group))
    scratch = 4 * body * turns + channels
    overlaps = (Overlap(0, 0, distance),)
    return Kernel("depthwise_apart", params, (Constant("channels", constants),), scratch, overlaps, macs, cycles)


def _products(taps: int, body: int) -> int:
    """Cycles for the products of four channels, as counted for a Cortex-M4."""
    turns = -(-taps // body)
    return turns * (12 * body + body % 2) + (4 + 6 * turns if turns > 1 else 0)


def stream(weights: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """int32 array for weights (T, C) int8: of each four channels their weights tap by tap, filled up with zeros to `count` taps,
    and their `rows` (int32 (C, 4)). Where C is no multiple of four, the second group takes some of the first one's again."""
    channels = weights.shape[1]
    order = [*(range(GROUP) if channels % GROUP else []), *range(channels % GROUP, channels)]
    filled = np.zeros((count, len(order)), np.int8)
    filled[: len(weights)] = weights[:, order]
    groups = len(order) // GROUP
    lanes = np.ascontiguousarray(filled.reshape(count, groups, GROUP).swapaxes(0, 1)).view("<i4").reshape(groups, count)
    return np.concatenate([lanes, rows[order].reshape(groups, -1)], 1).astype(np.int32).reshape(-1)

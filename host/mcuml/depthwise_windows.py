"""int8 depthwise convolution of any window, stride or dilation, and depth multiplier, four channels at a time: buffers, constants
and cost of kernels/depthwise_windows.c.j2.

Columns of the padded planes are parted by their number modulo stride or dilation. A stride's parts ("phases") are lines of their
own, each with the taps that fall on it, so that the window moves by one along each; a dilation's parts ("classes") are
images of their own, in which the window has no gaps. Of each line the kernel has words of two neighbours, of R = taps * phases
lines at a time: word c of line n is number n + c * R, as in depthwise_lines.py. So the elements 2k and 2k + 1 of a
window follow one another in memory over all its lines, then those of the next k."""

from __future__ import annotations

import numpy as np

from mcuml.depthwise_lines import GROUP, ZerosAndRange, gathering, lanes_of
from mcuml.geometry import Axis
from mcuml.graph import Constant, Kernel, Overlap
from mcuml.lanes import with_addends

OUTPUTS = 4  # per pass of the kernel


def serves(vertical: Axis, horizontal: Axis) -> bool:
    """Whether no axis has both a stride and a dilation."""
    return all(min(a.stride, a.dilation) == 1 for a in (vertical, horizontal))


def kernel(vertical: Axis, horizontal: Axis, weights: np.ndarray, table: np.ndarray, zeros: ZerosAndRange, macs: int) -> Kernel:
    """The kernel for weights (KH, KW, C, M) int8 and lanes.channel_table's `table` (C * M, 3).

    In place it needs equal offsets and one input channel for each output channel; a dilation's parts must also fall on
    themselves, for the first is written before the next is read."""
    channels, multiplier = weights.shape[2:]
    phases, classes = horizontal.stride, min(horizontal.dilation, horizontal.out)
    packed = pairs(weights, phases)
    rows = vertical.taps * phases
    along = [part(horizontal, number, packed.shape[0], rows, channels) for number in range(max(phases, classes))]
    for line in along:
        line["offsets"] = lanes_of(-zeros.in_zero)
    step = channels * multiplier
    items = packed.shape[0] * rows
    unroll = next(u for u in (5, 4, 3, 2, 1) if items % u == 0)
    shape = (
        vertical.size, vertical.out, vertical.pad, horizontal.size * channels, horizontal.out * step,
        vertical.taps, vertical.stride, vertical.dilation, classes, phases, classes * step,
        channels, multiplier, 2 * items, zeros.low, zeros.high,
    )  # fmt: skip
    params = {
        "shape": shape, "along": tuple(along), "channels": channels, "low": zeros.low, "high": zeros.high,
        "unroll": unroll, "few": channels if channels < GROUP else 0, "copies": 1,
    }  # fmt: skip
    lines = max(vertical.stride * (-(-vertical.out // vertical.dilation) - 1) + vertical.taps, 0) * phases
    scratch = 4 * GROUP * (lines + rows * (along[0]["columns"] - 1))
    same = (vertical.size, horizontal.size) == (vertical.out, horizontal.out)
    falls_on_itself = all(a.dilation == 1 or (same and a.pad % a.dilation == 0) for a in (vertical, horizontal))
    overlaps = (Overlap(0, 0, 0, exact=True),) if multiplier == 1 and falls_on_itself else ()
    held = (Constant("channels", np.ascontiguousarray(constants(packed, table, zeros))),)
    tiles = -(-along[0]["outputs"] // OUTPUTS)
    tile = 54 + 9 * items + 4 * items // unroll + 12 * zeros.clamps
    calls = vertical.out * classes * multiplier
    cost = calls * (channels * (34 + tiles * tile) + -(-channels // GROUP) * 115)  # as counted for a Cortex-M4
    cost += sum(gathering(vertical, channels, channels, line["count"], line["columns"], 35) for line in along)
    return Kernel("depthwise_windows", params, held, scratch, overlaps, macs, cost)


def part(horizontal: Axis, number: int, words: int, lines: int, channels: int) -> dict[str, int]:
    """Columns `number`, `number` + g, ... of the padded plane, g the stride or dilation, as partials/depthwise_gather.c.j2 takes
    them; a window has `words` words of each of `lines` lines."""
    gap = max(horizontal.stride, horizontal.dilation)
    outputs = -(-(horizontal.out - number) // horizontal.dilation) if horizontal.dilation > 1 else horizontal.out
    widest = -(-horizontal.out // horizontal.dilation)
    columns = 2 * -(-widest // OUTPUTS) + words - 1
    zeros = max(0, -(-(horizontal.pad - number) // gap))
    first = number + gap * zeros - horizontal.pad
    count = max(0, min(-(-(horizontal.size - first) // gap), 2 * columns - zeros))
    return {
        "count": count, "step": gap * channels, "pad": zeros, "columns": columns, "apart": GROUP * lines,
        "first": first * channels if count else 0, "outputs": outputs,
    }  # fmt: skip


def pairs(weights: np.ndarray, phases: int) -> np.ndarray:
    """The lanes of weights (KH, KW, C, M): int64 (words, KH * phases, 2, C, M), of each word those of an even output, whose taps
    begin in the first lane, then those of an odd one."""
    height, width, channels, multiplier = weights.shape
    taps = -(-width // phases)
    words = taps // 2 + 1
    split = np.zeros((height, taps * phases, channels, multiplier), np.int64)
    split[:, :width] = 2 * weights.astype(np.int64)
    rows = split.reshape(height, taps, phases, channels, multiplier).swapaxes(1, 2).reshape(-1, taps, channels, multiplier)
    made = np.zeros((2, len(rows), 2 * words, channels, multiplier), np.int64)
    made[0, :, :taps], made[1, :, 1 : taps + 1] = rows, rows
    lanes = made[:, :, 1::2] << 16 | (made[:, :, ::2] & 0xFFFF)
    return lanes.transpose(2, 1, 0, 3, 4)


def constants(packed: np.ndarray, table: np.ndarray, zeros: ZerosAndRange) -> np.ndarray:
    """int32 (C * M, words): of each channel its weights, 2 * bias, multiplier, addend, right shift; in groups of four input
    channels, of these their first output channels, then the second ones."""
    channels, multiplier = packed.shape[3:]
    whole = np.concatenate([packed.reshape(-1, channels * multiplier), with_addends(table, zeros.out_zero).T])
    order = [
        c * multiplier + m
        for group in range(0, channels, GROUP)
        for m in range(multiplier)
        for c in range(group, min(group + GROUP, channels))
    ]
    return whole.T[order].astype(np.int32)

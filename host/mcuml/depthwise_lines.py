"""int8 depthwise 3x3 at stride 1 or 2, four channels at a time: buffers, constants and cost of kernels/depthwise_3x3.c.j2.

Of each of the four planes the lines that two lines of outputs need are kept as 16-bit values less the zero point, in words
of two neighbours: word c of line n is number n + c * L, where L = stride + 3 lines are needed at a time. So a line takes
the place of the one L lines before it, one word further on, and the needed ones always lie alike: word c of
the L lines one after the other, then word c + 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuml.geometry import Axis
from mcuml.graph import Constant, Kernel, Overlap
from mcuml.lanes import with_addends

GROUP = 4  # channels
SHIFT = 10  # of the kernel for RELU, the same for all channels


@dataclass(frozen=True)
class ZerosAndRange:
    """Zero points, and the outputs' range; all int8."""

    in_zero: int
    out_zero: int
    low: int
    high: int

    @property
    def clamps(self) -> bool:
        """Whether saturation to int8 is not enough."""
        return (self.low, self.high) != (-128, 127)


def serves(vertical: Axis, horizontal: Axis) -> bool:
    """Whether the window is one of this kernel's."""
    return all(a.taps == 3 and a.dilation == 1 and a.stride == vertical.stride <= 2 for a in (vertical, horizontal))


def kernel(
    vertical: Axis, horizontal: Axis, weights: np.ndarray, table: np.ndarray, zeros: ZerosAndRange, macs: int, planes: int = 0
) -> Kernel:
    """The kernel for weights (3, 3, C) int8 and lanes.channel_table's `table` (C, 3). The input has C planes, or, if `planes` is
    one, a single one for all of C <= 4 output channels.

    It walks the planes along their rows or, where that is cheaper, their columns. In place it needs equal offsets: then four
    channels' outputs fall on these channels' inputs alone. Along rows an output's place is never ahead of the lines
    that were read; along columns only where input and output planes have one shape."""
    channels, stride = weights.shape[2], vertical.stride
    planes = planes or channels
    constants = for_relu(weights, table, zeros)
    short = constants is not None
    same = (vertical.size, horizontal.size) == (vertical.out, horizontal.out)
    cost = cycles(vertical, horizontal, planes, channels, zeros, short)
    turned = cycles(horizontal, vertical, planes, channels, zeros, short)
    columns = same and turned < cost
    lines, along = (horizontal, vertical) if columns else (vertical, horizontal)
    row_in, row_out = horizontal.size * planes, horizontal.out * channels
    in_steps = (planes, row_in) if columns else (row_in, planes)
    out_steps = (channels, row_out) if columns else (row_out, channels)
    if columns or constants is None:
        ordered = weights.transpose(1, 0, 2) if columns else weights
        constants = (for_relu if short else for_all)(ordered, table, zeros)
        assert constants is not None
    gathered = {
        "count": along.size, "step": in_steps[1], "pad": along.pad, "columns": stride * -(-along.out // 2) + 1,
        "apart": GROUP * (stride + 3), "offsets": lanes_of(-zeros.in_zero), "first": 0, "outputs": along.out,
    }  # fmt: skip
    params = {
        "stride": stride, "along": gathered, "out_step": out_steps[1], "channels": channels, "relu": short, "shift": SHIFT,
        "few": planes if planes < GROUP else 0, "copies": channels // planes,
        "lines": {"size": lines.size, "out": lines.out, "pad": lines.pad, "in_step": in_steps[0], "out_step": out_steps[0]},
        "low": zeros.low, "high": zeros.high,
    }  # fmt: skip
    held = (Constant("channels", np.ascontiguousarray(constants)),)
    overlaps: tuple[Overlap, ...] = ()
    if planes == channels:
        overlaps = (Overlap(0, 0, 0, exact=True),)
    elif not columns:  # one group: two lines of outputs are written when all lines that they need are in the buffer
        lasts = range(1, lines.out - 1, 2)
        ahead = [(last + 1) * out_steps[0] - (stride * last + 3 - lines.pad) * in_steps[0] for last in lasts]
        overlaps = (Overlap(0, 0, max([0, *ahead])),)
    cost = turned if columns else cost
    return Kernel("depthwise_3x3", params, held, buffer_bytes(lines, along), overlaps, macs, cost)


def lanes_of(value: int) -> int:
    """A word of two 16-bit lanes of `value`."""
    return (value & 0xFFFF) * 0x10001


def buffer_bytes(lines: Axis, along: Axis) -> int:
    """Four channels' words: the last line's number, and L for each word of a line but the first."""
    needed = lines.stride + 3
    count = 2 * lines.stride * (-(-lines.out // 2) - 1) + needed
    return 4 * GROUP * (count + needed * along.stride * -(-along.out // 2))


def for_all(weights: np.ndarray, table: np.ndarray, zeros: ZerosAndRange) -> np.ndarray:
    """int32 (C, 10): words(2 * weights), 2 * bias, multiplier, addend, right shift."""
    return np.stack([*words(2 * weights.astype(np.int64)), *with_addends(table, zeros.out_zero).T], 1).astype(np.int32)


def for_relu(weights: np.ndarray, table: np.ndarray, zeros: ZerosAndRange) -> np.ndarray | None:
    """int32 (C, 9): words(2**a * weights), 2**a * bias, multiplier, offset; None where the short requantization does not serve.

    TFLite rounds halves away from zero, so it takes one from the sums below zero before the last shift. Where the range
    begins at the zero point these end there in any case, and the rest is one rounding down of a line: with s the
    right shift and acc the sum, floor((2 * acc * multiplier + 2**31 + 2**32 * (2 * zero_point + 1 << s - 1)) / 2**(32 + s)).
    Widened by 2**(SHIFT - s) this shifts alike for all channels, and all but the product is a multiple of 2**32:
    SMMLA and a saturation of the shifted result compute it."""
    if not zeros.low == zeros.out_zero == -128 or zeros.high != 127:
        return None
    scale = SHIFT + 1 - table[:, 2].astype(np.int64)
    bias, multiplier = table[:, 0].astype(np.int64) // 2 << np.maximum(scale, 0), table[:, 1].astype(np.int64)
    offset = (1 << np.maximum(scale - 2, 0)) + (2 * zeros.out_zero + 1 << SHIFT - 1)
    for c in np.flatnonzero(scale < 2):
        found = flat_channel(weights[..., c], table[c], zeros)
        if found is None:
            return None
        scale[c], bias[c], multiplier[c], offset[c] = found
    wide = weights.astype(np.int64) << scale
    if wide.min() < -(1 << 15) or wide.max() >= 1 << 15 or np.any(np.abs(wide).sum((0, 1)) * 255 + np.abs(bias) >= 1 << 31):
        return None
    return np.stack([*words(wide), bias, multiplier, offset], 1).astype(np.int32)


def flat_channel(weights: np.ndarray, row: np.ndarray, zeros: ZerosAndRange) -> tuple[int, int, int, int] | None:
    """(a, bias, multiplier, offset) for for_relu() of a channel whose right shift is too large, for it hardly leaves its bias;
    weights (3, 3), `row` 2 * bias, multiplier, right shift. A multiplier with fewer bits serves it if each sum that the
    weights can give has the same output, which is tried. None if there is none."""
    twice, multiplier, shift = (int(value) for value in row)
    ends = np.outer([-128 - zeros.in_zero, 127 - zeros.in_zero], weights.astype(np.int64))
    sums = np.arange(ends.min(0).sum(), ends.max(0).sum() + 1)
    wanted = (((2 * sums + twice) * multiplier + (1 << 31) >> 32) + (2 * zeros.out_zero + 1 << shift - 1)) >> shift
    wanted = np.clip(wanted, zeros.low, zeros.high)
    middle, offset = int(sums[len(sums) // 2]), 2 * zeros.out_zero + 1 << SHIFT - 1
    for scale in range(8, 1, -1):
        narrow = round(multiplier / 2 ** (shift + scale - SHIFT - 1))
        if not narrow:
            continue
        bias = (((2 * middle + twice) * multiplier + (1 << 31)) >> shift - SHIFT) // narrow - (middle << scale)
        if abs(bias) + (int(np.abs(sums).max()) << scale) < 1 << 31:
            given = (((sums << scale) + bias) * narrow >> 32) + offset >> SHIFT
            if np.array_equal(np.clip(given, zeros.low, zeros.high), wanted):
                return scale, bias, narrow, offset
    return None


def words(weights: np.ndarray) -> list[np.ndarray]:
    """Of each line of (3, 3, C) 16-bit weights the lanes of taps 0 and 1, then those of taps 1 and 2: int64 (C,) each."""
    pairs = [(line[k], line[k + 1]) for line in weights for k in (0, 1)]
    return [((high << 16) | (low & 0xFFFF)) for low, high in pairs]


def cycles(lines: Axis, along: Axis, planes: int, channels: int, zeros: ZerosAndRange, short: bool) -> int:
    """Of a Cortex-M4, fitted to counts of lines of 3 to 48 outputs: 63 or 74 for 2x2 outputs, 41 for two lines of a channel."""
    pairs, twos = -(-along.out // 2), -(-lines.out // 2)
    outputs = 63 if lines.stride == 1 else 74
    outputs += 0 if short else 14 + 12 * zeros.clamps
    columns = along.stride * pairs + 1
    gathered = gathering(lines, planes, channels, along.size, columns, 30)
    return channels * twos * (41 + outputs * pairs) + -(-channels // GROUP) * (50 + 30 * twos) + gathered


def gathering(lines: Axis, planes: int, channels: int, count: int, columns: int, call: int) -> int:
    """Cycles of a Cortex-M4 for all lines of all planes, each of them for channels / planes channels, of `count` elements in
    `columns` words, and `call` for each."""
    groups = -(-planes // GROUP)
    element = 2 + 3 * planes + channels / 2 if planes < GROUP else 19 if planes % GROUP else 10.5
    parts = range(min(lines.dilation, lines.out))
    wanted = [lines.stride * (-(-(lines.out - part) // lines.dilation) - 1) + lines.taps for part in parts]
    inside = sum(0 <= part + n * lines.dilation - lines.pad < lines.size for part in parts for n in range(wanted[part]))
    return int(groups * (inside * (80 + element * count) + (sum(wanted) - inside) * (30 + 8 * columns) + call * sum(wanted)))

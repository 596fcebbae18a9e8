"""int8 weights and requantization constants in the order in which the matrix kernels read them.

Dual-byte lanes: a 16-bit lane holds 256 * b + a for weights a and b of two neighbouring output channels. With activations
x in 16-bit lanes, sum(x * lane) and sum(x * a) cost one SMLAD each per two elements, and sum(x * b) is their difference
shifted right by 8, if it fits 24 bits. One SXTB16 thus serves four weights where plain int8 needs two, and flash does not
grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuml.numerics import multiply_by_quantized_multiplier, quantize_multiplier

GROUP = 4  # output channels per pass of the kernel
# Words per turn of the matrix kernels' loop; its first turn begins anywhere, so any number of words will do. Sixteen are 1 %
# quicker with zero-wait memory, but then a layer's loop and epilogue pass 1 KB, the instruction cache of many boards.
BODY = 8
CHUNK = 128  # words whose high lanes' sum fits 24 bits whatever they hold: 256 * 128 * 255 < 2**23
ONCE = 8  # words up to which a kernel without a loop is worth its code
ONCE_OWN = 20  # the same where the kernel is one layer's own, for its distance


@dataclass(frozen=True)
class Layout:
    """How two pixels' columns of `words` pairs of elements lie in memory: `step` bytes from a column's word to its next,
    `distance` from the first pixel's column to the second's."""

    words: int
    step: int = 8
    distance: int = 4

    @property
    def loop(self) -> bool:
        return self.words > (ONCE if self.step == 8 else ONCE_OWN)

    @property
    def skip(self) -> int:
        """Words that the loop's first turn leaves out."""
        return -self.words % BODY if self.loop else 0


@dataclass(frozen=True)
class Gemm:
    """Which matrix kernel of partials/gemm_s8.c.j2: `body` words at once or, if `loop`, in each turn, for a Layout's `step` and
    `distance`; and its results' rounding and range."""

    body: int
    loop: bool
    step: int
    distance: int
    folded: bool  # sums are taken CHUNK words at a time
    away: bool  # halves are rounded away from zero
    clamp: bool  # to less than an int8's range

    @property
    def chunk_bytes(self) -> int:
        """Of a column."""
        return CHUNK * self.step

    @property
    def chunk_shift(self) -> int:
        """The left shift that makes zero of a number of bytes if they are whole chunks."""
        return 33 - self.chunk_bytes.bit_length()


@dataclass(frozen=True, eq=False)
class Requantization:
    """int32 arrays of one value per output channel: bias, multiplier, shift (> 0 is left), as TFLite Micro computes them."""

    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


def requantization(bias: np.ndarray | None, real: list[float]) -> Requantization:
    """From each channel's real multiplier, input scale * weight scale / output scale, as doubles."""
    pairs = [quantize_multiplier(r) for r in real]
    return Requantization(
        np.zeros(len(real), np.int64) if bias is None else bias.astype(np.int64),
        np.array([m for m, _ in pairs], np.int64),
        np.array([s for _, s in pairs], np.int64),
    )


def reach(zero_point: int) -> int:
    """The largest |activation - zero_point| that an int8 activation can have."""
    return max(128 + zero_point, 127 - zero_point)


def channel_table(weights: np.ndarray, scaling: Requantization, reach: int, zero_point: int) -> np.ndarray | None:
    """int32 (N, 3): 2 * bias, multiplier, right shift, for the kernels' fast requantization, or None if a channel leaves
    its range. `weights` (N, K) int8; `reach` reach() of the activations; `zero_point` the output's.

    The fast form computes ((h + (h >> 31) + (2 * zero_point + 1 << shift >> 1)) >> shift) with h = the rounded high word
    of 2 * acc * multiplier; it equals TFLite's for 1 <= shift and |acc| < 2**30. A channel whose weights are all zero has
    a constant result, which is written so that any constant is in range."""
    sums = np.abs(weights.astype(np.int64)).sum(1)
    table = np.stack([2 * scaling.bias, scaling.multiplier, -scaling.shift], 1)
    for c in np.flatnonzero(sums == 0):
        value = int(multiply_by_quantized_multiplier(scaling.bias[c], int(scaling.multiplier[c]), int(scaling.shift[c])))
        value = min(max(value, -512), 511)  # it saturates to int8 whatever the zero point
        table[c] = (2 * value * 4, 1 << 30, 1)  # h = 2 * value, shifted right by one
    bound = sums * reach + np.abs(table[:, 0]) // 2
    rounding = (abs(2 * zero_point + 1) << np.clip(table[:, 2], 0, 40)) + bound * 2
    if np.any(table[:, 2] < 1) or np.any(table[:, 2] > 30) or np.any(bound >= 1 << 30) or np.any(rounding >= 1 << 31):
        return None
    return table.astype(np.int32)


def widened(weights: np.ndarray) -> np.ndarray:
    """(N, K) in the order of activations in words widened by SXTB16: the elements 0 2 1 3 of each four."""
    return weights.reshape(len(weights), -1, 2, 2).swapaxes(2, 3).reshape(weights.shape)


def wide(weights: np.ndarray, reach: int) -> bool:
    """Whether sums of weights (N, K) int8 times activations of at most `reach` may take more than 24 bits."""
    return bool(np.any(np.abs(weights.astype(np.int64)).sum(1) * reach >= 1 << 23))


def pack(weights: np.ndarray, pairs: int) -> np.ndarray | None:
    """int8 array for weights (N, K) int8, or None where dual-byte lanes cannot hold them.

    Channels go in groups of four; a last incomplete group takes the last four channels again. Elements are padded with
    zeros to 2 * `pairs`. Each group holds, for each pair of elements, the word of channels 0 and 1, then that of 2 and 3.
    A lane must fit 16 bits."""
    channels, depth = weights.shape
    if channels < GROUP:
        return None
    filled = np.zeros((channels, 2 * pairs), np.int64)
    filled[:, :depth] = weights
    starts = [*range(0, channels - GROUP + 1, GROUP), *([channels - GROUP] if channels % GROUP else [])]
    groups = np.stack([filled[s : s + GROUP] for s in starts])
    lanes = groups[:, 1::2] * 256 + groups[:, 0::2]
    if lanes.min() < -(1 << 15) or lanes.max() >= 1 << 15:
        return None
    packed = lanes.reshape(len(starts), 2, pairs, 2).swapaxes(1, 2)
    return np.ascontiguousarray(packed).astype("<i2").view(np.int8).reshape(-1)


def stream(segments: np.ndarray, reach: int, words: int, table: np.ndarray) -> np.ndarray | None:
    """int32 array for weights (N, S, K) int8 in S segments of K elements, or None where dual-byte lanes cannot hold them:
    for each two channels, an odd number's last two being the last two again, the words of all segments, each filled up with
    zeros to `words`, and then both channels' rows of `table` (int32 (N, 4), with_addends()'s)."""
    channels, count, depth = segments.shape
    if wide(segments.reshape(channels, -1), reach):
        return None
    filled = np.zeros((channels, count, 2 * words), np.int64)
    filled[:, :, :depth] = segments
    firsts = [*range(0, channels - 1, 2), *([channels - 2] if channels % 2 else [])]
    lane = np.stack([filled[c + 1] * 256 + filled[c] for c in firsts]).reshape(len(firsts), -1)
    if lane.min() < -(1 << 15) or lane.max() >= 1 << 15:
        return None
    rows = np.stack([table[c : c + 2].reshape(-1) for c in firsts])
    return np.concatenate([lane.astype("<i2").view("<i4"), rows], 1).astype(np.int32).reshape(-1)


def gemm(layout: Layout, folded: bool, low: int, high: int, zero_point: int) -> Gemm:
    """The matrix kernel for results clamped to `low`..`high`.

    Halves of a negative value v (less the zero point) differ: away from zero gives less than up does. But neither exceeds
    0, for v + 1/2 < 1; so if `low` is at least the zero point, both become `low`, and the cheaper way serves."""
    body = BODY if layout.loop else layout.words
    return Gemm(body, layout.loop, layout.step, layout.distance, folded, low < zero_point, (low, high) != (-128, 127))


def with_addends(table: np.ndarray, zero_point: int) -> np.ndarray:
    """int32 (N, 4): 2 * bias, multiplier, addend, right shift, of channel_table()'s rows. The addend is zero point + 1/2 in the
    units of the high word."""
    rows = table.astype(np.int64)
    addend = ((2 * zero_point + 1) << rows[:, 2]) >> 1
    return np.stack([rows[:, 0], rows[:, 1], addend, rows[:, 2]], 1).astype(np.int32)


def gemm_stream(packed: np.ndarray, table: np.ndarray, zero_point: int) -> np.ndarray:
    """int8 array for the matrix kernels: each of pack()'s groups with its four channels' int32 (2 * bias, multiplier, addend,
    right shift) behind it. `table` is channel_table()'s, `zero_point` the output's."""
    words = with_addends(table[table_order(len(table))], zero_point).astype("<i4").view(np.int8)
    groups = len(words) // GROUP
    return np.concatenate([packed.reshape(groups, -1), words.reshape(groups, -1)], 1).reshape(-1)


def table_order(channels: int) -> list[int]:
    """Which channel each row of the kernels' channel table is for: the groups of pack()."""
    whole = channels - channels % GROUP
    return [*range(whole), *(range(channels - GROUP, channels) if channels % GROUP else [])]


def unroll_exactly(depth: int) -> int | None:
    """Pairs per loop body for `depth` elements that are read where they lie, four at a time; None if they cannot be."""
    bodies = [body for body in range(16, 2, -2) if depth % (2 * body) == 0]
    return bodies[0] if bodies else depth // 2 if depth in (4, 8) else None

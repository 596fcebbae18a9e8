"""int8 convolution of one group by dual-byte lanes: which of two kernels, and what it needs.

`paired` copies the windows of two pixels, word by word in turn: any window over channels that are a multiple of four.

`stripped` widens the input columns under a block of output pixels once, in an order in which each pixel's window is one run of
elements. A column is `taps_h` runs of C elements, the next column follows it, and so window elements are in the order
(kx, ky, c). The windows of neighbouring pixels begin stride * taps_h * C elements apart and share what they have in common.
Where columns lie apart (dilation), or in a map one pixel wide, each pixel has columns of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcuml import lanes
from mcuml.geometry import Axis
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.numerics import activation_range
from mcuml.weighted import channel_scales, weighted

COLUMNS_BYTES = 512  # of scratch for pointwise layers' widened pixels, where more pairs than one fit
STRIP_BYTES = 512  # of scratch that a longer block of pixels may take
CALL = 140  # cycles around the matrix kernel for a block of pixels, as measured on a Cortex-M4, like the estimates below
REACH = 4095  # largest offset of a load


@dataclass(frozen=True)
class Strip:
    """`block` output pixels at a time, of one row if `shared`; `distance` elements from one pixel's window to the next
    one's; `words` pairs of elements in a window."""

    vertical: Axis
    horizontal: Axis
    shared: bool
    block: int
    distance: int
    words: int

    @property
    def scratch(self) -> int:
        return ((self.block - 1) * self.distance + 2 * self.words) * 2

    @property
    def lonely(self) -> bool:
        """Whether full blocks would leave a row's last pixel alone."""
        return self.shared and self.horizontal.out > self.block and self.horizontal.out % self.block == 1

    @property
    def work(self) -> tuple[int, int, int]:
        """Pairs of pixels multiplied, blocks and columns widened per row of pixels: the less the better."""
        full, rest = divmod(self.horizontal.out, self.block)
        blocks = [self.block] * full + ([rest] if rest else [])
        if self.lonely:
            blocks[-2:] = self.block - 1, 2
        pairs = sum((n + 1) // 2 for n in blocks)
        if not self.shared:
            return pairs, 2 * pairs, 2 * pairs * self.horizontal.taps
        between = self.horizontal.taps - self.horizontal.stride
        return pairs, len(blocks), self.horizontal.out * self.horizontal.stride + len(blocks) * between


def strip(vertical: Axis, horizontal: Axis, channels: int) -> Strip | None:
    """The strip for a window over `channels` input channels, None where a pair of windows is too far apart."""
    vertical, horizontal = canonical(vertical, horizontal)
    column = vertical.taps * channels
    depth = horizontal.taps * column
    shared = horizontal.dilation == 1 and horizontal.stride <= horizontal.taps and horizontal.out > 1
    distance = (horizontal.stride if shared else horizontal.taps) * column
    if 2 * distance + 4 * lanes.ONCE_OWN > REACH:
        return None
    made = Strip(vertical, horizontal, shared, 2, distance, -(-depth // 2))
    if not shared:
        return made
    # No block is a single pixel, for one that is taken up again may lie over its own window.
    blocks = [replace(made, block=n) for n in range(2, horizontal.out + 1) if n > 2 or horizontal.out % 2 == 0]
    least = min(b.work for b in blocks)[0]
    short = [b for b in blocks if b.scratch <= STRIP_BYTES] or [b for b in blocks if b.work[0] == least][:1]
    return min(short, key=lambda b: (*b.work, b.block))


def canonical(vertical: Axis, horizontal: Axis) -> tuple[Axis, Axis]:
    """The same convolution with longer rows: a 1x1 window has one row of pixels, a map one pixel wide lies on its side."""
    point = Axis(1, 1, 1, 1, 1, 0)
    if all((a.taps, a.stride, a.pad) == (1, 1, 0) for a in (vertical, horizontal)):
        return point, replace(horizontal, size=vertical.size * horizontal.size, out=vertical.out * horizontal.out)
    if (horizontal.size, horizontal.out, horizontal.taps, horizontal.pad) == (1, 1, 1, 0):
        return point, vertical
    return vertical, horizontal


def order(made: Strip, filters: np.ndarray) -> np.ndarray:
    """`filters` (N, KH, KW, C) as (N, K) in the order of the strip's windows. In a run of C elements each whole four is in
    the order 0 2 1 3, as SXTAB16 widens it."""
    count, height, width, channels = filters.shape
    if (made.vertical.taps, made.horizontal.taps) != (height, width):  # on its side
        height, width = width, height
    run = np.arange(channels)
    whole = channels - channels % 4
    run[:whole] = lanes.widened(run[None, :whole])[0]
    columns = filters.reshape(count, height, width, channels).transpose(0, 2, 1, 3)[..., run]
    return np.ascontiguousarray(columns).reshape(count, -1)


def paired(node: Node, graph: Graph, filters: np.ndarray, vertical: Axis, horizontal: Axis, activation: str) -> Kernel | None:
    """The kernel for `filters` (N, KH, KW, C) by copied windows, None where it does not serve."""
    count, *_, channels = filters.shape
    if channels % 4:
        return None
    pointwise = all((a.taps, a.stride) == (1, 1) for a in (vertical, horizontal))
    words = filters[0].size // 2
    block = max(1, COLUMNS_BYTES // (words * 8)) if pointwise else 1
    kernel = _gemm(node, graph, lanes.widened(filters.reshape(count, -1)), activation, lanes.Layout(words))
    if kernel is None:
        return None
    shape = {"height": vertical, "width": horizontal, "pointwise": pointwise, "block": block, "add": None, "strip": 2 * block}
    scratch = block * words * 8 + (0 if pointwise else channels)
    pairs = -(-vertical.out * horizontal.out // 2)
    window = 41 + 9 * words if pointwise else 120 + 80 * vertical.taps + 9 * words
    cycles = pairs * (window + _pair(kernel)) + -(-pairs // block) * CALL
    return replace(kernel, template="conv_2d_s8", params={**kernel.params, **shape}, scratch=scratch, cycles=cycles)


def _pair(kernel: Kernel) -> int:
    """Cycles of the matrix kernel for a pair of pixels: the instructions of partials/gemm_s8.c.j2, counted."""
    words, gemm = kernel.params["words"], kernel.params["gemm"]
    loop = 15 + 6 * -(-words // gemm.body) if gemm.loop else 0
    if gemm.folded:
        loop += -(-words // gemm.body) + 28 * -(-words // lanes.CHUNK)
    return 18 + -(-kernel.params["out_channels"] // lanes.GROUP) * (15 * words + 77 + loop + 8 * gemm.away + 36 * gemm.clamp)


def stripped(node: Node, graph: Graph, filters: np.ndarray, vertical: Axis, horizontal: Axis, activation: str) -> Kernel | None:
    """The kernel for `filters` (N, KH, KW, C) by strips, None where it does not serve."""
    made = strip(vertical, horizontal, filters.shape[3])
    if made is None:
        return None
    layout = lanes.Layout(made.words, 4, 2 * made.distance)
    kernel = _gemm(node, graph, order(made, filters), activation, layout)
    if kernel is None:
        return None
    shape: dict[str, Any] = {
        "height": made.vertical, "width": made.horizontal, "shared": made.shared, "block": made.block, "distance": made.distance,
        "add": None, "strip": made.block, "lonely": made.lonely,
    }  # fmt: skip
    pairs, blocks, columns = made.work
    runs = made.vertical.taps * (50 * blocks + (10 + 3 * filters.shape[3]) * columns)
    cycles = made.vertical.out * (pairs * _pair(kernel) + blocks * CALL + runs)
    return replace(kernel, template="conv_2d_strip", params={**kernel.params, **shape}, scratch=made.scratch, cycles=cycles)


def _gemm(node: Node, graph: Graph, matrix: np.ndarray, activation: str, layout: lanes.Layout) -> Kernel | None:
    """What both kernels have in common, for weights `matrix` (N, K) in the order of their columns; None where dual-byte lanes
    or the fast requantization are out of range."""
    source, weights, bias, output = weighted(node, graph)
    real = channel_scales(source, weights, output)
    scaling = lanes.requantization(None if bias is None else bias.data, real)
    reach = lanes.reach(source.zero_point)
    table = lanes.channel_table(matrix, scaling, reach, output.zero_point)
    packed = lanes.pack(matrix, layout.words)
    if table is None or packed is None:
        return None
    low, high = activation_range(activation, output)
    gemm = lanes.gemm(layout, lanes.wide(matrix, reach), low, high, output.zero_point)
    params = {
        "in_channels": source.shape[3], "out_channels": len(matrix), "in_zero": source.zero_point, "low": low, "high": high,
        "words": layout.words, "skip": layout.skip, "gemm": gemm,
    }  # fmt: skip
    return Kernel("", params, (Constant("weights", lanes.gemm_stream(packed, table, output.zero_point)),))

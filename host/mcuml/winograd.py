"""int8 3x3 convolution of stride 1 by Winograd's minimal filtering F(2x2, 3x3), exactly, in integers.

A tile of 2x2 outputs is A'[(G w G') * (B' x B)]A for 4x4 inputs x: 16 products per pair of channels where the definition needs 36
(Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). With 2G in the place of G all is integer, the
result four times the convolution. |2G w 2G'| <= 9 * 127 and |B' x B| <= 4 * 255 fit 16-bit lanes; sums are taken modulo 2**32,
so that only four times the convolution must fit 32 bits, not what leads to it. Flash is 32 bytes per pair of channels, not 9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuml import lanes
from mcuml.geometry import Axis, each_image
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap
from mcuml.numerics import activation_range
from mcuml.weighted import channel_scales, weighted

DOUBLED_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
LONGEST_BODY = 8  # pairs of input channels; more are out of LDRD's reach


def winograd(node: Node, graph: Graph, vertical: Axis, horizontal: Axis, activation: str) -> Kernel | None:
    """The kernel of a CONV_2D that has passed its check, None for one that this does not serve."""
    source, weights, bias, output = weighted(node, graph)
    assert weights.data is not None
    filters = weights.data
    channels, _, _, depth = filters.shape
    if source.dtype != "int8" or any((a.taps, a.stride, a.dilation) != (3, 1, 1) for a in (vertical, horizontal)):
        return None
    if depth != source.shape[3]:
        return None
    real = channel_scales(source, weights, output)
    reach = lanes.reach(source.zero_point)
    matrix = filters.reshape(channels, -1)
    scaling = lanes.requantization(None if bias is None else bias.data, real)
    table = lanes.channel_table(matrix, scaling, reach, output.zero_point)
    if table is None or np.abs(matrix.astype(np.int64)).sum(1).max() * reach >= 1 << 29:
        return None
    low, high = activation_range(activation, output)
    pairs = 2 * -(-depth // 4)
    body = max(b for b in range(1, LONGEST_BODY + 1) if pairs % b == 0)
    params: Mapping[str, Any] = {
        "height": vertical, "width": horizontal, "in_channels": depth, "out_channels": channels, "low": low, "high": high,
        "in_zero": source.zero_point, "out_zero": output.zero_point, "pairs": pairs, "body": body, "add": None, "strip": 8,
    }  # fmt: skip
    constants = (Constant("weights", transformed(filters)), Constant("channels", table))
    copied = 0 if depth % 4 == 0 else 24
    kernel = Kernel(
        "conv_2d_winograd",
        params,
        constants,
        pairs * 128 + 2 * pairs * (1 + copied),
        (Overlap(0, 0, distance(vertical, horizontal, depth, channels)),),
        vertical.out * horizontal.out * filters.size,
        cycles(vertical.out, horizontal.out, channels, pairs, body, copied > 0),
    )
    return each_image(kernel, source, output)


def transformed(filters: np.ndarray) -> np.ndarray:
    """2G w 2G' of (N, 3, 3, C) int8 as words of two lanes, uint32: for each four output channels, for each of the 16
    positions, for each two input channels (0 2, 1 3, 4 6, 5 7, ...) the words of the four. What lacks to fours is 0."""
    count, _, _, depth = filters.shape
    groups, quads = -(-count // 4), -(-depth // 4)
    wide = np.zeros((3, 3, groups * 4, quads * 4))  # doubles hold these products exactly, and are quick
    wide[:, :, :count, :depth] = filters.transpose(1, 2, 0, 3)
    u = np.kron(DOUBLED_G, DOUBLED_G) @ wide.reshape(9, -1)
    lane = u.reshape(16, groups, 4, quads, 2, 2)  # position, group, n, quad, lane, parity
    ordered = lane.transpose(1, 0, 3, 5, 2, 4).astype("<i2")  # group, position, quad, parity, n, lane
    return np.ascontiguousarray(ordered).reshape(-1).view("<u4").astype(np.uint32)


def distance(vertical: Axis, horizontal: Axis, in_channels: int, out_channels: int) -> int:
    """As geometry.overlap_distance, for two tiles (two rows of four outputs) that are written after their inputs are read."""
    row_in, row_out = horizontal.size * in_channels, horizontal.out * out_channels
    least = 0
    for y in range(0, vertical.out, 2):
        above = max(0, y - vertical.pad) * row_in
        last = min(y + 1, vertical.out - 1) * row_out
        for x in range(0, horizontal.out, 4):
            written = last + x * out_channels if x else y * row_out
            least = max(least, written - above - max(0, x - horizontal.pad) * in_channels)
    return least


def cycles(height: int, width: int, channels: int, pairs: int, body: int, copied: bool) -> int:
    """Fitted to layers of 3 to 64 channels on a Cortex-M4 within 2 %: for two tiles the pixels' addresses, B'xB, for each four
    channels the products, for each channel A'mA. A loop body has 16 cycles per pair of channels."""
    turns = 0 if body == pairs else pairs // body
    products = 16 * (16 * pairs + (29 + 8 * turns if turns else 20)) + 96
    tiles = 656 + 800 * copied + 4 * 83 * (pairs // 2 + 1) + -(-channels // 4) * products + 2 * 92 * channels
    return -(-height // 2) * -(-width // 4) * tiles

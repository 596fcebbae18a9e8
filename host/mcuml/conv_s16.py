"""int16 activations with int8 weights, one group: a window's elements in one run, multiplied four at a time with two rows of
weights. Sums must be known to fit 32 bits, the bias included.

MultiplyByQuantizedMultiplier for 64-bit sums (kernels/internal/common.cc) is (sum * m + (1 << s - 1)) >> s with m of 15 bits. For
s > 16 that is ((sum * m >> 16) + (1 << s - 17)) >> s - 16, where SMULWB is the inner half: 32 bits suffice throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuml import lanes
from mcuml.geometry import Axis, overlap_distance
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap
from mcuml.weighted import weighted

POINT = Axis(1, 1, 1, 1, 1, 0)


def convolution(
    node: Node, graph: Graph, filters: np.ndarray, axes: tuple[Axis, Axis], params: Mapping[str, Any], table: Constant
) -> Kernel | None:
    """The kernel of one image's convolution with `filters` (N, KH, KW, C) int8; `params` and `table` are weighted.plain()'s. None
    where sums may have more than 32 bits, wrap at them, or are scaled by 1/2 or more, and for other types."""
    if params["kind"] != "s16":
        return None
    vertical, horizontal = axes
    rows, _, _, depth = filters.shape
    matrix = filters.reshape(rows, -1)
    bias = weighted(node, graph)[2]
    added = np.zeros(rows, np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
    reach = (np.abs(matrix.astype(np.int64)).sum(1) << 15) + np.abs(added)
    multiplier, shift = table.data[:, 2], table.data[:, 3] - 16
    if reach.max() >= 1 << 31 or shift.min() < 1 or shift.max() > 30:
        return None
    channels = np.stack([added, multiplier, 1 << (shift.astype(np.int64) - 1), shift], 1).astype(np.int32)
    direct = depth % 4 == 0 and all((a.taps, a.pad) == (1, 0) for a in axes)
    quads = -(-matrix.shape[1] // 4)
    more: dict[str, Any] = {
        "height": vertical, "width": horizontal, "in_channels": depth, "out_channels": rows, "quads": quads, "direct": direct,
        "batch": 1,
    }  # fmt: skip
    distance = overlap_distance(vertical, horizontal, depth, rows, item=2)
    return Kernel(
        "conv_2d_s16",
        {**params, **more},
        (Constant("weights", paired(matrix)), Constant("channels", channels)),
        scratch=0 if direct else 8 * quads,
        overlaps=(Overlap(0, 0, distance + 2 * rows * direct),),
        macs=vertical.out * horizontal.out * filters.size,
    )


def paired(matrix: np.ndarray) -> np.ndarray:
    """`matrix` (N, K) int8 as bytes: of two rows four elements each in turn, an odd number's last row alone; each four in the
    order in which SXTB16 widens them. K is filled up with zeros to a multiple of 4."""
    rows, length = matrix.shape
    fours = lanes.widened(np.pad(matrix, ((0, 0), (0, -length % 4)))).reshape(rows, -(-length // 4), 4)
    pairs = fours[: rows - rows % 2].reshape(rows // 2, 2, *fours.shape[1:]).swapaxes(1, 2)
    return np.concatenate([pairs.ravel(), fours[rows - rows % 2 :].ravel()])

"""int8 convolution of one input channel with up to four filters: the depthwise kernels, which have this one plane for each.

The matrix kernels take four output channels at a time and so waste most of their work here, or do not serve."""

from __future__ import annotations

import numpy as np

from mcuml import depthwise_lines, depthwise_windows, lanes
from mcuml.geometry import Axis
from mcuml.graph import Graph, Kernel, Node
from mcuml.numerics import activation_range
from mcuml.weighted import channel_scales, weighted


def single(node: Node, graph: Graph, filters: np.ndarray, vertical: Axis, horizontal: Axis, activation: str) -> Kernel | None:
    """The kernel for `filters` (N, KH, KW, 1) int8, None where it does not serve or a matrix kernel is the better one."""
    source, weights, bias, output = weighted(node, graph)
    count = len(filters)
    if source.shape[3] > 1 or count > depthwise_lines.GROUP:
        return None
    scaling = lanes.requantization(None if bias is None else bias.data, channel_scales(source, weights, output))
    table = lanes.channel_table(filters.reshape(count, -1), scaling, lanes.reach(source.zero_point), output.zero_point)
    if table is None:
        return None
    zeros = depthwise_lines.ZerosAndRange(source.zero_point, output.zero_point, *activation_range(activation, output))
    macs = vertical.out * horizontal.out * filters.size
    taps = filters.transpose(1, 2, 3, 0)
    if depthwise_lines.serves(vertical, horizontal):
        return depthwise_lines.kernel(vertical, horizontal, taps[:, :, 0], table, zeros, macs, planes=1)
    if count < lanes.GROUP and depthwise_windows.serves(vertical, horizontal):
        return depthwise_windows.kernel(vertical, horizontal, taps, table, zeros, macs)
    return None

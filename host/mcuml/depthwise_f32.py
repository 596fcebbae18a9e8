"""float32 depthwise 3x3 at stride 1 or 2, any multiplier, channel by channel (kernels/depthwise_3x3_f32.c.j2).

Along a row of outputs the nine weights and the columns of a window stay in registers: each element is loaded once, and sums keep
TFLite's order."""

from __future__ import annotations

import numpy as np

from mcuml import floats
from mcuml.geometry import Axis
from mcuml.graph import Constant, Kernel, Overlap


def kernel(
    vertical: Axis, horizontal: Axis, weights: np.ndarray, bias: np.ndarray, planes: int, limits: tuple[float, float]
) -> Kernel:
    """The kernel for weights (3, 3, C * M) and `bias` (C * M,) on C `planes`: of each output channel its weights, column by
    column, and its bias. A row of outputs is written while the input rows of its windows are still read."""
    channels, stride = weights.shape[2], vertical.stride
    row_in, row_out = horizontal.size * planes * 4, horizontal.out * channels * 4
    ahead = [(y + 1) * row_out - max(0, y * stride - vertical.pad) * row_in for y in range(vertical.out)]
    params = {
        "stride": stride, "clamp": floats.clamp(*limits), "low": limits[0], "high": limits[1],
        "shape": (
            vertical.size, vertical.out, vertical.pad, horizontal.size, horizontal.out, horizontal.pad,
            planes, channels // planes,
        ),
    }  # fmt: skip
    stream = np.concatenate([weights.transpose(2, 1, 0).reshape(channels, 9), bias[:, None]], 1).astype(np.float32)
    macs = vertical.out * horizontal.out * weights.size
    row = channels * (95 + 42 * horizontal.out)  # of a Cortex-M4
    return Kernel(
        "depthwise_3x3_f32",
        params,
        (Constant("channels", stream.reshape(-1)),),
        overlaps=(Overlap(0, 0, max(0, *ahead)),),
        macs=macs,
        cycles=vertical.out * (60 + row),
    )

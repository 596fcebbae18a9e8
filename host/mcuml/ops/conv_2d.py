"""CONV_2D: int8 through dual-byte lanes or plain C, float32, float32 with int8 weights; any stride, dilation and padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml import lanes
from mcuml.geometry import Axis, overlap_distance, window
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap
from mcuml.numerics import activation_range, float_activation_range
from mcuml.ops import Operator, require
from mcuml.weighted import bias_f32, channel_scales, check_weighted, hybrid_kernel, pad_f32, plain_table, unroll_f32, weighted


@dataclass(frozen=True)
class Conv2D(Operator):
    """Input NHWC (1, H, W, C), weights (N, KH, KW, C), bias (N,) or absent, output (1, OH, OW, N)."""

    padding: str
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("CONV_2D",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Conv2D:
        return cls(
            options["padding"],
            (options["stride_h"], options["stride_w"]),
            (options["dilation_h_factor"], options["dilation_w_factor"]),
            options["fused_activation_function"],
        )

    def check(self, node: Node, graph: Graph) -> None:
        source, weights, _, output = weighted(node, graph)
        require(len(weights.shape) == 4, node, graph, "its weights must have four dimensions.")
        vertical, horizontal = self._axes(node, graph)
        require(vertical.out > 0 and horizontal.out > 0, node, graph, "its window is larger than the input.")
        require(
            weights.shape[3] == source.shape[3],
            node,
            graph,
            "its weights and input differ in channels (grouped convolution is not served).",
        )
        require(weights.shape[0] == output.shape[3], node, graph, "its weights and output differ in channels.")
        check_weighted(node, graph, axis=0, hybrid=True)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, weights, _, _ = weighted(node, graph)
        assert weights.data is not None
        if source.dtype != weights.dtype:
            return hybrid_kernel(node, graph, weights.data, *self._axes(node, graph), self.activation)
        return convolution(node, graph, weights.data, *self._axes(node, graph), self.activation)

    def _axes(self, node: Node, graph: Graph) -> tuple[Axis, Axis]:
        source, weights = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
        return window(node, graph, source, (weights.shape[1], weights.shape[2]), self.stride, self.dilation, self.padding)


def convolution(node: Node, graph: Graph, filters: np.ndarray, vertical: Axis, horizontal: Axis, activation: str) -> Kernel:
    """The kernel of a convolution with `filters` (N, KH, KW, C), int8 or float32; scales and bias are the node's own."""
    source, weights, bias, output = weighted(node, graph)
    channels, kernel_h, kernel_w, depth = filters.shape
    pointwise = kernel_h * kernel_w == vertical.stride == horizontal.stride == 1
    params: dict[str, Any] = {
        "height": vertical, "width": horizontal, "in_channels": depth, "out_channels": channels, "pointwise": pointwise,
    }  # fmt: skip
    macs = vertical.out * horizontal.out * filters.size
    matrix = filters.reshape(channels, -1)
    item = 1 if source.dtype == "int8" else 4
    overlaps = (Overlap(0, 0, overlap_distance(vertical, horizontal, depth, channels, item)),)
    if source.dtype == "float32":
        low, high = float_activation_range(activation)
        body, taps = unroll_f32(matrix.shape[1])
        constants = (pad_f32(matrix, taps), bias_f32(bias, channels))
        return Kernel(
            "conv_2d_f32", params | {"low": low, "high": high, "body": body, "taps": taps}, constants, taps * 8, overlaps, macs
        )
    low_q, high_q = activation_range(activation, output)
    scaling = lanes.requantization(None if bias is None else bias.data, channel_scales(source, weights, output))
    reach = max(128 + source.zero_point, 127 - source.zero_point)
    params |= {"low": low_q, "high": high_q, "in_zero": source.zero_point, "out_zero": output.zero_point}
    table = lanes.channel_table(matrix, scaling, reach, output.zero_point)
    body, pairs = lanes.unroll(matrix.shape[1])
    packed = lanes.pack(matrix, reach, depth % 4 == 0, pairs)
    if table is None or packed is None:
        return Kernel(
            "conv_2d_plain", params, (Constant("weights", np.ascontiguousarray(filters)), plain_table(scaling)), macs=macs
        )
    constants = (Constant("weights", packed), Constant("channels", table[lanes.table_order(channels)]))
    return Kernel("conv_2d_s8", params | {"body": body, "pairs": pairs}, constants, pairs * 8, overlaps, macs)

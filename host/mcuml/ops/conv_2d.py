"""CONV_2D: int8 through dual-byte lanes or plain C, int16 with int8 weights, float32, float32 with int8 weights; any stride,
dilation, padding, batch and number of groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from mcuml import conv_s16, floats, halves
from mcuml.conv_s8 import paired, stripped
from mcuml.elementwise import known_activation
from mcuml.geometry import Axis, each_image, overlap_distance, window
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.numerics import float_activation_range, open_activation_range
from mcuml.ops import Operator, require
from mcuml.single_plane import single
from mcuml.weighted import (
    bias_f32,
    channel_scales,
    check_weighted,
    hybrid_kernel,
    is_hybrid,
    plain,
    stored,
    weighted,
)
from mcuml.winograd import winograd


@dataclass(frozen=True)
class Conv2D(Operator):
    """Input NHWC (B, H, W, C), weights (N, KH, KW, C / groups), bias (N,) or absent, output (B, OH, OW, N)."""

    padding: str
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: str
    int32_sums: bool  # of int16 activations without a bias

    CODES: ClassVar[tuple[str, ...]] = ("CONV_2D",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Conv2D:
        return cls(
            options["padding"],
            (options["stride_h"], options["stride_w"]),
            (options["dilation_h_factor"], options["dilation_w_factor"]),
            options["fused_activation_function"],
            options.get("quantized_bias_type") == "INT32",
        )

    def check(self, node: Node, graph: Graph) -> None:
        source, weights, _, output = weighted(node, graph)
        require(len(weights.shape) == 4, node, graph, "its weights must have four dimensions.")
        vertical, horizontal = self._axes(node, graph)
        require(vertical.out > 0 and horizontal.out > 0, node, graph, "its window is larger than the input.")
        groups, rest = divmod(source.shape[3], weights.shape[3])
        require(
            rest == 0 and weights.shape[0] % max(groups, 1) == 0,
            node,
            graph,
            f"{source.shape[3]} input and {weights.shape[0]} output channels do not go into groups of {weights.shape[3]}.",
        )
        require(weights.shape[0] == output.shape[3], node, graph, "its weights and output differ in channels.")
        known_activation(node, graph, self.activation)
        check_weighted(node, graph, axis=0, hybrid=True)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, weights, _, _ = weighted(node, graph)
        assert weights.data is not None
        if is_hybrid(source, weights):
            assert weights.quant is not None
            apart = len(set(weights.quant.scale.tolist())) > 1  # LiteRT takes equal scales for one
            groups = source.shape[3] // weights.shape[3]
            axes = self._axes(node, graph)
            return hybrid_kernel(node, graph, weights.data, *axes, self.activation, apart, source.shape[0], groups)
        kernel = convolution(node, graph, weights.data, *self._axes(node, graph), self.activation, self.int32_sums)
        return each_image(kernel, source, graph.tensors[node.outputs[0]])

    def candidates(self, node: Node, graph: Graph) -> tuple[Kernel, ...]:
        fast = winograd(node, graph, *self._axes(node, graph), self.activation)
        return (self.lower(node, graph), *([fast] if fast else []))

    def _axes(self, node: Node, graph: Graph) -> tuple[Axis, Axis]:
        source, weights = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
        taps = (weights.shape[1], weights.shape[2])
        return window(node, graph, source, taps, self.stride, self.dilation, self.padding)


def convolution(
    node: Node, graph: Graph, filters: np.ndarray, vertical: Axis, horizontal: Axis, activation: str, int32_sums: bool = False
) -> Kernel:
    """The kernel of one image's convolution with `filters` (N, KH, KW, C / groups), int8 or float32; scales and bias are the
    node's own."""
    source, weights, bias, output = weighted(node, graph)
    channels, kernel_h, kernel_w, depth = filters.shape
    groups = source.shape[3] // depth
    pointwise = kernel_h * kernel_w == vertical.stride == horizontal.stride == 1
    params: dict[str, Any] = {
        "height": vertical, "width": horizontal, "in_channels": source.shape[3], "out_channels": channels, "pointwise": pointwise,
        "groups": groups,
    }  # fmt: skip
    macs = vertical.out * horizontal.out * filters.size
    matrix = filters.reshape(channels, -1)
    item = np.dtype(source.dtype).itemsize
    distance = overlap_distance(vertical, horizontal, source.shape[3], channels, item)
    overlaps = (Overlap(0, 0, distance),)
    if source.dtype == "float32" and groups == 1:
        offsets = bias_f32(bias, channels)
        if halves.keeps(graph, matrix):
            limits = dict(zip(("low", "high"), float_activation_range(activation), strict=True))
            return halves.convolution(params | limits, matrix, offsets, overlaps, macs)
        return floats.convolution(params, filters, open_activation_range(activation), offsets.data, overlaps[0], macs)
    real = [] if source.dtype == "float32" else channel_scales(source, weights, output)
    if source.dtype == "int8" and groups == 1:
        if (kernel := single(node, graph, filters, vertical, horizontal, activation)) is not None:
            return kernel
        fast = paired(node, graph, filters, vertical, horizontal, activation) or stripped(
            node, graph, filters, vertical, horizontal, activation
        )
        if fast is not None:
            return replace(fast, overlaps=overlaps, macs=macs)
    more, channel_constants = plain(node, graph, matrix, real, activation, int32_sums)
    wide = conv_s16.convolution(node, graph, filters, (vertical, horizontal), more, channel_constants[0]) if groups == 1 else None
    if wide is not None:
        return wide
    # One pixel's channels are written one by one while its window's later channels are still needed.
    return Kernel(
        "conv_2d_plain",
        params | more,
        (stored(more["kind"], filters), *channel_constants),
        overlaps=(Overlap(0, 0, distance + channels * item),),
        macs=macs,
    )

"""DEPTHWISE_CONV_2D: int8, int16 with int8 weights and float32; any stride, dilation, padding, depth multiplier and batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml import depthwise_apart, depthwise_f32, depthwise_lines, depthwise_windows, floats, halves, lanes
from mcuml.elementwise import known_activation
from mcuml.geometry import Axis, each_image, overlap_distance
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.numerics import activation_range, open_activation_range
from mcuml.ops import require
from mcuml.ops.conv_2d import Conv2D, convolution
from mcuml.weighted import BIAS, bias_f32, channel_scales, check_weighted, hybrid_kernel, is_hybrid, plain, stored, weighted


@dataclass(frozen=True)
class DepthwiseConv2D(Conv2D):
    """Input NHWC (B, H, W, C), weights (1, KH, KW, C * M), bias (C * M,) or absent, output (B, OH, OW, C * M)."""

    CODES: ClassVar[tuple[str, ...]] = ("DEPTHWISE_CONV_2D",)

    def check(self, node: Node, graph: Graph) -> None:
        source, weights, _, output = weighted(node, graph)
        require(
            len(weights.shape) == 4 and weights.shape[0] == 1, node, graph, "its weights must be 1 x height x width x channels."
        )
        vertical, horizontal = self._axes(node, graph)
        require(vertical.out > 0 and horizontal.out > 0, node, graph, "its window is larger than the input.")
        require(
            weights.shape[3] % source.shape[3] == 0, node, graph, "its output channels are no multiple of its input channels."
        )
        require(weights.shape[3] == output.shape[3], node, graph, "its weights and output differ in channels.")
        hybrid = is_hybrid(source, weights)
        known_activation(node, graph, self.activation)
        check_weighted(node, graph, axis=3, hybrid=hybrid, biases=BIAS | {"int16": ("int64",)})

        if hybrid:  # LiteRT's kernel reads one for each
            each = weights.quant is not None and len(weights.quant.scale) == weights.shape[3]
            require(each, node, graph, f"its int8 weights need a scale for each of {weights.shape[3]} channels.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, weights, _, output = weighted(node, graph)
        vertical, horizontal = self._axes(node, graph)
        assert weights.data is not None
        by_channel = weights.data.transpose(3, 1, 2, 0)
        if is_hybrid(source, weights):
            shape = source.shape[0], source.shape[3]
            return hybrid_kernel(node, graph, by_channel, vertical, horizontal, self.activation, True, *shape)
        few = source.shape[3] > 1 or output.shape[3] < floats.TOGETHER  # more of one plane share the windows of a convolution
        by_row = source.dtype == "float32" and few and not halves.keeps(graph, by_channel)
        if by_row and depthwise_lines.serves(vertical, horizontal):
            offsets = bias_f32(weighted(node, graph)[2], output.shape[3]).data
            limits = open_activation_range(self.activation)
            kernel = depthwise_f32.kernel(vertical, horizontal, weights.data[0], offsets, source.shape[3], limits)
        elif source.shape[3] == 1:  # each output channel sees all of the input: a convolution
            kernel = convolution(node, graph, by_channel, vertical, horizontal, self.activation)
        else:
            kernel = self._int8(node, graph, vertical, horizontal) or self._plain(node, graph, vertical, horizontal)
        return each_image(kernel, source, output)

    def candidates(self, node: Node, graph: Graph) -> tuple[Kernel, ...]:
        return (self.lower(node, graph),)  # not those of a convolution, which sums over channels

    def _int8(self, node: Node, graph: Graph, vertical: Axis, horizontal: Axis) -> Kernel | None:
        """The fastest kernel that takes four channels of int8 at a time, None where none serves."""
        source, weights, bias, output = weighted(node, graph)
        if source.dtype != "int8":
            return None
        assert weights.data is not None
        scaling = lanes.requantization(None if bias is None else bias.data, channel_scales(source, weights, output))
        reach = lanes.reach(source.zero_point)
        table = lanes.channel_table(weights.data.reshape(-1, output.shape[3]).T, scaling, reach, output.zero_point)
        if table is None:
            return None
        zeros = depthwise_lines.ZerosAndRange(source.zero_point, output.zero_point, *activation_range(self.activation, output))
        macs = vertical.out * horizontal.out * weights.elements
        if depthwise_lines.serves(vertical, horizontal) and source.shape[3] == output.shape[3]:
            return depthwise_lines.kernel(vertical, horizontal, weights.data[0], table, zeros, macs)
        found = []
        if source.shape[3] == output.shape[3]:
            found.append(depthwise_apart.kernel(vertical, horizontal, weights.data[0], table, zeros, macs))
        if depthwise_windows.serves(vertical, horizontal):
            filters = weights.data.reshape(*weights.shape[1:3], source.shape[3], -1)
            found.append(depthwise_windows.kernel(vertical, horizontal, filters, table, zeros, macs))
        return min((kernel for kernel in found if kernel), key=lambda kernel: kernel.cycles, default=None)

    def _plain(self, node: Node, graph: Graph, vertical: Axis, horizontal: Axis) -> Kernel:
        source, weights, _, output = weighted(node, graph)
        assert weights.data is not None
        params: dict[str, Any] = {
            "height": vertical, "width": horizontal, "in_channels": source.shape[3], "out_channels": output.shape[3],
            "multiplier": output.shape[3] // source.shape[3],
        }  # fmt: skip
        # One pixel's channels are written one by one while its window's later channels are still needed.
        item = output.bytes // output.elements
        distance = overlap_distance(vertical, horizontal, source.shape[3], output.shape[3], item) + output.shape[3] * item
        real = [] if source.dtype == "float32" else channel_scales(source, weights, output)
        more, channel_constants = plain(node, graph, weights.data.reshape(-1, output.shape[3]).T, real, self.activation)
        constants = (stored(more["kind"], weights.data), *channel_constants)
        macs = vertical.out * horizontal.out * weights.elements
        # Measured with int8 on a Cortex-M4, every tap counted as if it lay inside the input.
        cycles = vertical.out * horizontal.out * output.shape[3] * (96 + vertical.taps * (20 + 12 * horizontal.taps))
        overlaps = (Overlap(0, 0, distance),)
        return Kernel(
            "depthwise_conv_2d",
            params | more,
            constants,
            overlaps=overlaps,
            macs=macs,
            cycles=cycles if source.dtype == "int8" else 0,
        )

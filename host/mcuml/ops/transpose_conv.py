"""TRANSPOSE_CONV: int8, int16 with int8 weights and float32; any stride, padding and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml.elementwise import known_activation
from mcuml.geometry import Axis, axis, each_image
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require
from mcuml.weighted import BIAS, channel_scales, check_weighted, plain, stored, weighted


@dataclass(frozen=True)
class TransposeConv(Operator):
    """Output shape (4,), weights (N, KH, KW, C), input NHWC (B, H, W, C), bias (N,) or absent; output (B, OH, OW, N).

    The padding is that of a convolution from the output's size, whatever the input's is (kernels/padding.h)."""

    padding: str
    stride: tuple[int, int]
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("TRANSPOSE_CONV",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> TransposeConv:
        return cls(options["padding"], (options["stride_h"], options["stride_w"]), options["fused_activation_function"])

    def check(self, node: Node, graph: Graph) -> None:
        source, weights, _, output = weighted(node, graph)
        shapes = (source.shape, weights.shape, output.shape)
        require(all(len(s) == 4 for s in shapes), node, graph, "its input, weights and output must have four dimensions.")
        require(source.shape[0] == output.shape[0], node, graph, "its input and output differ in batch size.")
        require(weights.shape[3] == source.shape[3], node, graph, "its weights and input differ in channels.")
        require(weights.shape[0] == output.shape[3], node, graph, "its weights and output differ in channels.")
        require(min(self.stride) >= 1, node, graph, f"its stride {self.stride} must be positive.")
        given = graph.tensors[node.inputs[0]].data
        if given is not None:
            wanted = tuple(int(n) for n in given.reshape(-1))
            require(wanted == output.shape, node, graph, f"its output has shape {list(output.shape)}, not {list(wanted)}.")
        known_activation(node, graph, self.activation)
        check_weighted(node, graph, axis=0, biases=BIAS | {"int16": ("int64", "int16")})

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, weights, _, output = weighted(node, graph)
        assert weights.data is not None
        vertical, horizontal = (
            self._axis(source.shape[d], output.shape[d], weights.shape[d], self.stride[d - 1]) for d in (1, 2)
        )
        params: dict[str, Any] = {
            "height": vertical, "width": horizontal, "in_channels": source.shape[3], "out_channels": output.shape[3],
        }  # fmt: skip
        real = [] if source.dtype == "float32" else channel_scales(source, weights, output)
        matrix = weights.data.reshape(output.shape[3], -1)
        more, constants = plain(node, graph, matrix, real, self.activation)
        macs = vertical.size * horizontal.size * weights.elements
        filters = stored(more["kind"], weights.data)
        return each_image(Kernel("transpose_conv", params | more, (filters, *constants), macs=macs), source, output)

    def _axis(self, size: int, out: int, taps: int, stride: int) -> Axis:
        return Axis(size, out, taps, stride, 1, axis(out, taps, stride, 1, self.padding).pad)

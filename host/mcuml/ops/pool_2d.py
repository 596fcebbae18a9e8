"""AVERAGE_POOL_2D and MAX_POOL_2D: int8, int16 and float32; L2_POOL_2D: float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import known_activation, operand_constants, per_tensor
from mcuml.geometry import Axis, each_image, overlap_distance, window
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.numerics import activation_range, float_activation_range
from mcuml.ops import Operator, require

KINDS = {"AVERAGE_POOL_2D": "average", "MAX_POOL_2D": "max", "L2_POOL_2D": "l2"}
NEAR = 1e-6  # how far TFLite Micro lets the scales of input and output lie apart


@dataclass(frozen=True)
class Pool2D(Operator):
    """Input NHWC (N, H, W, C), output (N, OH, OW, C) of the same type; integers with the same scale and zero point."""

    kind: str
    padding: str
    stride: tuple[int, int]
    taps: tuple[int, int]
    activation: str

    CODES: ClassVar[tuple[str, ...]] = tuple(KINDS)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Pool2D:
        return cls(
            KINDS[code],
            options["padding"],
            (options["stride_h"], options["stride_w"]),
            (options["filter_height"], options["filter_width"]),
            options["fused_activation_function"],
        )

    def check(self, node: Node, graph: Graph) -> None:
        require(len(node.inputs) == len(node.outputs) == 1, node, graph, "it needs one input and one output.")
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        require(
            source.dtype == output.dtype
            and source.dtype in (("float32",) if self.kind == "l2" else ("int8", "float32", "int16")),
            node,
            graph,
            f"types {source.dtype} and {output.dtype} are not served.",
        )
        vertical, horizontal = self._axes(node, graph)
        require(vertical.out > 0 and horizontal.out > 0, node, graph, "its window is larger than the input.")
        require(source.shape[3] == output.shape[3], node, graph, "its input and output differ in channels.")
        known_activation(node, graph, self.activation)
        if source.dtype != "float32":
            per_tensor(node, graph, [source, output], centered=False)
            near = abs(np.float32(source.scale) - np.float32(output.scale)) <= NEAR
            same = bool(near) and source.zero_point == output.zero_point
            require(same, node, graph, "its input and output must have the same scale and zero point.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        vertical, horizontal = self._axes(node, graph)
        channels = source.shape[3]
        low, high = (float_activation_range if source.dtype == "float32" else lambda a: activation_range(a, output))(
            self.activation
        )
        params = {
            "kind": self.kind, "dtype": source.dtype, "height": vertical, "width": horizontal, "in_channels": channels,
            "out_channels": channels, "low": low, "high": high,
            # Sums of up to 256 int8 fit 16-bit lanes.
            "wide": self.kind == "average" and vertical.taps * horizontal.taps > 256,
        }  # fmt: skip
        distance = overlap_distance(vertical, horizontal, channels, channels, np.dtype(source.dtype).itemsize)
        # One pixel's channels are written one by one while its window's later channels are still needed.
        pixel = channels * np.dtype(source.dtype).itemsize
        constants = operand_constants(node, graph)
        overlaps = () if source.is_const else (Overlap(0, 0, distance + pixel),)
        return each_image(Kernel("pool_2d", params, constants, overlaps=overlaps), source, output)

    def _axes(self, node: Node, graph: Graph) -> tuple[Axis, Axis]:
        return window(node, graph, graph.tensors[node.inputs[0]], self.taps, self.stride, (1, 1), self.padding)

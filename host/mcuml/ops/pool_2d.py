"""AVERAGE_POOL_2D and MAX_POOL_2D: int8 and float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml.geometry import Axis, overlap_distance, window
from mcuml.graph import Graph, Kernel, Node, Overlap
from mcuml.numerics import activation_range, float_activation_range
from mcuml.ops import Operator, require


@dataclass(frozen=True)
class Pool2D(Operator):
    """Input NHWC (1, H, W, C), output (1, OH, OW, C) of the same type; int8 with the same scale and zero point."""

    kind: str
    padding: str
    stride: tuple[int, int]
    taps: tuple[int, int]
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("AVERAGE_POOL_2D", "MAX_POOL_2D")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Pool2D:
        return cls(
            "max" if code == "MAX_POOL_2D" else "average",
            options["padding"],
            (options["stride_h"], options["stride_w"]),
            (options["filter_height"], options["filter_width"]),
            options["fused_activation_function"],
        )

    def check(self, node: Node, graph: Graph) -> None:
        require(len(node.inputs) == len(node.outputs) == 1, node, graph, "it needs one input and one output.")
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        require(
            source.dtype == output.dtype and source.dtype in ("int8", "float32"),
            node,
            graph,
            f"types {source.dtype} and {output.dtype} are not served.",
        )
        vertical, horizontal = self._axes(node, graph)
        require(vertical.out > 0 and horizontal.out > 0, node, graph, "its window is larger than the input.")
        require(source.shape[3] == output.shape[3], node, graph, "its input and output differ in channels.")
        if source.dtype == "int8":
            same = source.scale == output.scale and source.zero_point == output.zero_point
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
        distance = overlap_distance(vertical, horizontal, channels, channels, 1 if source.dtype == "int8" else 4)
        # One pixel's channels are written one by one while its window's later channels are still needed.
        return Kernel("pool_2d", params, overlaps=(Overlap(0, 0, distance + output.bytes // (vertical.out * horizontal.out)),))

    def _axes(self, node: Node, graph: Graph) -> tuple[Axis, Axis]:
        return window(node, graph, graph.tensors[node.inputs[0]], self.taps, self.stride, (1, 1), self.padding)

"""RESIZE_BILINEAR: int8 and float32.

Formulas: tensorflow/lite/kernels/internal/reference/resize_bilinear.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import constant_input, operand_constants, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.ops import Operator, require

ONE = 1 << 10  # of the fixed-point places that int8 is interpolated at


@dataclass(frozen=True)
class ResizeBilinear(Operator):
    """NHWC input and constant size (2,), height and width. Places of the output's pixels are those of corners, or of
    centers that lie half a pixel further, or neither."""

    align_corners: bool
    half_pixel_centers: bool

    CODES: ClassVar[tuple[str, ...]] = ("RESIZE_BILINEAR",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> ResizeBilinear:
        return cls(bool(options["align_corners"]), bool(options["half_pixel_centers"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        dtype = same_type(node, graph, [source, output], ("int8", "float32"))
        require(len(source.shape) == 4, node, graph, f"its input has {len(source.shape)} dimensions; 4 are served.")
        size = constant_input(node, graph, 1, "size")
        require(len(size) == 2, node, graph, f"its size {size.tolist()} must be a height and a width.")
        both = self.align_corners and self.half_pixel_centers
        require(not both, node, graph, "it cannot have align_corners and half_pixel_centers at once.")
        shaped(node, graph, output, (source.shape[0], *size.tolist(), source.shape[3]))
        for axis in (1, 2):
            n, out = source.shape[axis], output.shape[axis]
            scale, shift = self._places(n, out)
            last = ((out - 1) * scale + shift) // ONE if dtype == "int8" else 0
            inside = last < n < 1 << 20
            require(inside, node, graph, f"rounding takes it past the end: {n} to {out} along dimension {axis}.")

    def _places(self, n: int, out: int) -> tuple[int, int]:
        """(scale, shift): output element i lies at i * scale + shift of `n`, in 1 / ONE."""
        if self.align_corners and out > 1:
            n, out = n - 1, out - 1
        scale = (ONE * n + out // 2) // out
        return scale, scale // 2 - ONE // 2 if self.half_pixel_centers else 0

    def _real_places(self, n: int, out: int) -> tuple[float, float]:
        """(scale, shift): output element i lies at (i + shift) * scale - shift of `n`."""
        if self.align_corners and out > 1:
            n, out = n - 1, out - 1
        return float(np.float32(n) / np.float32(out)), 0.5 if self.half_pixel_centers else 0.0

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        batch, height, width, depth = source.shape
        scales: list[int | float] = []
        for n, out in zip((height, width), output.shape[1:3], strict=True):
            scales += self._places(n, out) if source.dtype == "int8" else self._real_places(n, out)
        params = {
            "dtype": source.dtype, "batch": batch, "in_elements": source.elements // batch, "height": height, "width": width,
            "out_elements": output.elements // batch, "out_height": output.shape[1], "out_width": output.shape[2],
            "depth": depth, "scales": tuple(scales),
        }  # fmt: skip
        return Kernel("resize_bilinear", params, operand_constants(node, graph)[:1] if source.is_const else ())

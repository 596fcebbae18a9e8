"""Elements that come more than once: BROADCAST_TO, FILL, MIRROR_PAD and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import constant_input, operands, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.movement import Copy, move
from mcuml.ops import Operator, require
from mcuml.shapes import broadcast_shape, picked

ANY = ("int8", "float32", "int16", "int32", "int64", "uint8", "bool", "uint16", "uint32")


@dataclass(frozen=True)
class BroadcastTo(Operator):
    """Input and constant shape, which must be the output's."""

    CODES: ClassVar[tuple[str, ...]] = ("BROADCAST_TO",)
    MOST_DIMENSIONS: ClassVar[int] = 5

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], ANY)
        shape = constant_input(node, graph, 1, "shape").tolist()
        served = f"its output has {len(shape)} dimensions; 1 to {self.MOST_DIMENSIONS} are served."
        require(1 <= len(shape) <= self.MOST_DIMENSIONS, node, graph, served)
        fits = len(source.shape) <= len(shape) and broadcast_shape(source.shape, shape) == tuple(shape)
        shaped(node, graph, output, shape if fits else None)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        shape = (1,) * (len(output.shape) - len(source.shape)) + source.shape
        picks = [np.arange(n) if n == m else np.zeros(m, np.int64) for n, m in zip(shape, output.shape, strict=True)]
        return move(node, graph, [Copy(picked(shape, picks))])


@dataclass(frozen=True)
class Fill(Operator):
    """Constant shape, which must be the output's, and a scalar."""

    CODES: ClassVar[tuple[str, ...]] = ("FILL",)

    def check(self, node: Node, graph: Graph) -> None:
        (_, value), output = operands(node, graph, 2)
        same_type(node, graph, [value, output], ("int8", "float32", "int32"))
        require(value.shape == (), node, graph, f"its value has shape {list(value.shape)}; it must be a scalar.")
        shaped(node, graph, output, constant_input(node, graph, 0, "shape").tolist())

    def lower(self, node: Node, graph: Graph) -> Kernel:
        count = graph.tensors[node.outputs[0]].elements
        return move(node, graph, [Copy(((np.zeros(count, np.int64), np.arange(count)),), 1)])


@dataclass(frozen=True)
class MirrorPad(Operator):
    """Input and constant paddings (rank, 2). REFLECT leaves the edge itself out of the mirror image."""

    mode: str

    CODES: ClassVar[tuple[str, ...]] = ("MIRROR_PAD",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> MirrorPad:
        return cls(options["mode"])

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], ("int8", "float32"))
        paddings, rank = constant_input(node, graph, 1, "paddings"), len(source.shape)
        most = [n - (self.mode == "REFLECT") for n in source.shape for _ in range(2)]
        good = len(paddings) == 2 * rank and all(0 <= p <= m for p, m in zip(paddings, most, strict=True))
        require(good, node, graph, f"its paddings {paddings.tolist()} must be {rank} pairs of at most {most[::2]}.")
        shaped(node, graph, output, [len(p) for p in self._picks(node, graph)])

    def _picks(self, node: Node, graph: Graph) -> list[np.ndarray]:
        paddings = constant_input(node, graph, 1, "paddings").reshape(-1, 2).tolist()
        shape = graph.tensors[node.inputs[0]].shape
        kind: Any = self.mode.lower()
        return [np.pad(np.arange(n), pads, kind) for n, pads in zip(shape, paddings, strict=True)]

    def lower(self, node: Node, graph: Graph) -> Kernel:
        return move(node, graph, [Copy(picked(graph.tensors[node.inputs[0]].shape, self._picks(node, graph)))])


@dataclass(frozen=True)
class ResizeNearest(Operator):
    """NHWC input and constant size (2,), height and width.

    Formula: GetNearestNeighbor in tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h."""

    align_corners: bool
    half_pixel_centers: bool

    CODES: ClassVar[tuple[str, ...]] = ("RESIZE_NEAREST_NEIGHBOR",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> ResizeNearest:
        return cls(bool(options["align_corners"]), bool(options["half_pixel_centers"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], ("int8", "float32", "int16"))
        require(len(source.shape) == 4, node, graph, f"its input has {len(source.shape)} dimensions; 4 are served.")
        size = constant_input(node, graph, 1, "size")
        require(len(size) == 2, node, graph, f"its size {size.tolist()} must be a height and a width.")
        shaped(node, graph, output, (source.shape[0], *size.tolist(), source.shape[3]))

    def _nearest(self, size: int, out: int) -> np.ndarray:
        one = np.float32(1)
        corners = self.align_corners and out > 1
        scale = one * (size - 1) / np.float32(out - 1) if corners else one * size / np.float32(out)
        place = (np.arange(out).astype(np.float32) + np.float32(0.5 * self.half_pixel_centers)) * scale
        # TfLiteRound: half away from zero; the sum with 0.5 is exact in double
        nearest = np.floor(place.astype(np.float64) + (0.5 if self.align_corners else 0))
        return np.clip(nearest.astype(np.int64), 0, size - 1)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        picks = [np.arange(n) for n in output.shape]
        picks[1:3] = [self._nearest(source.shape[d], output.shape[d]) for d in (1, 2)]
        return move(node, graph, [Copy(picked(source.shape, picks))])

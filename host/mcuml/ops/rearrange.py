"""Elements that change places: SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND and REVERSE_V2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import constant_input, operands, per_tensor, same_type, shaped
from mcuml.graph import Graph, Kernel, Node
from mcuml.movement import Copy, move
from mcuml.ops import Operator, require
from mcuml.shapes import picked, strides_of

BLOCKS = ("int8", "float32")
REVERSED = ("int8", "float32", "int16", "int32", "int64", "uint8", "bool")


@dataclass(frozen=True)
class SpaceDepth(Operator):
    """NHWC input; blocks of `block` x `block` pixels become channels, or channels blocks."""

    code: str
    block: int

    CODES: ClassVar[tuple[str, ...]] = ("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> SpaceDepth:
        return cls(code, int(options["block_size"]))

    def check(self, node: Node, graph: Graph) -> None:
        (source,), output = operands(node, graph, 1)
        same_type(node, graph, [source, output], BLOCKS)
        require(len(source.shape) == 4, node, graph, f"its input has {len(source.shape)} dimensions; 4 are served.")
        require(self.block >= 1, node, graph, f"its block size {self.block} must be positive.")
        n, h, w, c = source.shape
        b = self.block
        if self.code == "SPACE_TO_DEPTH":
            shaped(node, graph, output, (n, h // b, w // b, c * b * b) if h % b == w % b == 0 else None)
        else:
            shaped(node, graph, output, (n, h * b, w * b, c // (b * b)) if c % (b * b) == 0 else None)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        b, forth = self.block, self.code == "SPACE_TO_DEPTH"
        # Both as dimensions N, row, column, row in block, column in block, channel; the smaller image names the sizes.
        n, h, w, _ = (output if forth else source).shape
        c = min(source.shape[3], output.shape[3])
        row, column = w * b * c * b, b * c  # of blocks, in the larger image
        image = [h * row, row, column, w * b * c, c, 1]
        blocks = list(strides_of((n, h, w, b, b, c)))
        near, far = (image, blocks) if forth else (blocks, image)
        order = range(6) if forth else (0, 1, 3, 2, 4, 5)  # the output's
        counts = (n, h, w, b, b, c)
        return move(node, graph, [Copy(tuple((np.arange(counts[d]) * near[d], np.arange(counts[d]) * far[d]) for d in order))])


@dataclass(frozen=True)
class SpaceBatch(Operator):
    """Input (N, H, C) or (N, H, W, C), constant block shape and constant paddings or crops per spatial dimension."""

    code: str

    CODES: ClassVar[tuple[str, ...]] = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> SpaceBatch:
        return cls(code)

    def check(self, node: Node, graph: Graph) -> None:
        (source, *_), output = operands(node, graph, 3)
        dtype = same_type(node, graph, [source, output], BLOCKS)
        rank = len(source.shape)
        require(rank in (3, 4), node, graph, f"its input has {rank} dimensions; 3 or 4 are served.")
        spatial = rank - 2
        block, margins = (constant_input(node, graph, i + 1, what) for i, what in enumerate(("block shape", "margins")))
        good = len(block) == spatial and min(block) >= 1 and len(margins) == 2 * spatial and min(margins) >= 0
        require(good, node, graph, f"it needs {spatial} positive block sizes and {spatial} pairs of margins from 0 up.")
        shaped(node, graph, output, self._shape(source.shape, block.tolist(), margins.reshape(-1, 2).sum(1).tolist()))
        if dtype == "int8":
            per_tensor(node, graph, [output], centered=False)

    def _shape(self, shape: tuple[int, ...], block: list[int], margins: list[int]) -> list[int] | None:
        count, spatial = int(np.prod(block)), list(zip(shape[1:-1], block, margins, strict=True))
        if self.code == "SPACE_TO_BATCH_ND":
            whole = all((n + m) % b == 0 for n, b, m in spatial)
            return [shape[0] * count, *((n + m) // b for n, b, m in spatial), shape[-1]] if whole else None
        sizes = [n * b - m for n, b, m in spatial]
        return [shape[0] // count, *sizes, shape[-1]] if shape[0] % count == 0 and min(sizes) > 0 else None

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        forth = self.code == "SPACE_TO_BATCH_ND"
        image, batch = (source, output) if forth else (output, source)
        block = constant_input(node, graph, 1, "block shape").tolist()
        margins = constant_input(node, graph, 2, "margins")
        across, along = strides_of(image.shape), strides_of(batch.shape)
        # Pixel y of the image is pixel (y + margin) // block of the batch whose number has (y + margin) % block in it.
        dims = [(np.arange(image.shape[0]) * across[0], np.arange(image.shape[0]) * along[0])]
        for d, b in enumerate(block):
            place = np.arange(image.shape[d + 1]) + margins[2 * d]
            number = place % b * int(np.prod(block[d + 1 :], dtype=np.int64)) * image.shape[0]
            dims.append((np.arange(image.shape[d + 1]) * across[d + 1], place // b * along[d + 1] + number * along[0]))
        dims.append((np.arange(image.shape[-1]), np.arange(image.shape[-1])))
        if forth:
            # LiteRT pads with the zero point. TFLite Micro takes the byte from a field that it never sets, so nobody can do
            # the same; reference.py does not ask it.
            fill = output.zero_point & 255 if output.dtype == "int8" else 0
            return move(node, graph, [Copy(tuple(dims))], fill if any(margins) else None)
        return move(node, graph, [Copy(tuple((there, here) for here, there in dims))])


@dataclass(frozen=True)
class Reverse(Operator):
    """Input and constant axes, which must be neighbours, as TFLite Micro wants them."""

    CODES: ClassVar[tuple[str, ...]] = ("REVERSE_V2",)

    def check(self, node: Node, graph: Graph) -> None:
        (source, _), output = operands(node, graph, 2)
        same_type(node, graph, [source, output], REVERSED)
        rank = len(source.shape)
        given = constant_input(node, graph, 1, "axes")
        require(all(-rank <= a < rank for a in given), node, graph, f"axes {given.tolist()} are not within {rank} dimensions.")
        axes = sorted(int(a) % rank for a in given)
        neighbours = axes == list(range(axes[0], axes[0] + len(axes)))
        require(
            neighbours, node, graph, f"its axes {given.tolist()} must be different neighbours.", "Reverse one after the other."
        )
        shaped(node, graph, output, source.shape)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        shape = graph.tensors[node.inputs[0]].shape
        axes = {int(a) % len(shape) for a in constant_input(node, graph, 1, "axes")}
        picks = [np.arange(n)[:: -1 if d in axes else 1] for d, n in enumerate(shape)]
        return move(node, graph, [Copy(picked(shape, picks))])

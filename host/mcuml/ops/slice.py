"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK: parts of a tensor that are known at compile time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.elementwise import constant_input, operand_constants, operands, same_type, shaped
from mcuml.graph import ABSENT, Graph, Kernel, Node
from mcuml.movement import Copy, move
from mcuml.ops import Operator, require
from mcuml.shapes import copy_rows, picked, strides_of

SLICED = ("int8", "float32", "int16", "int32", "bool")
SPLIT = ("int8", "float32", "int16", "int32")


@dataclass(frozen=True)
class Slice(Operator):
    """Input, begin and constant size per dimension; size -1 means up to the end. A begin that is data is checked: one that
    is outside ends the inference with an error."""

    CODES: ClassVar[tuple[str, ...]] = ("SLICE",)
    MOST_DIMENSIONS: ClassVar[int] = 5

    def check(self, node: Node, graph: Graph) -> None:
        (source, begin, _), output = operands(node, graph, 3)
        same_type(node, graph, [source, output], SLICED)
        rank = len(source.shape)
        served = f"its input has {rank} dimensions; 1 to {self.MOST_DIMENSIONS} are served."
        require(1 <= rank <= self.MOST_DIMENSIONS, node, graph, served)
        require(begin.dtype in ("int32", "int64"), node, graph, f"its begin is {begin.dtype}; it must be int32 or int64.")
        size = constant_input(node, graph, 2, "size")
        require(begin.shape == (rank,) == size.shape, node, graph, f"its begin and size must have {rank} numbers each.")
        first = constant_input(node, graph, 1, "begin") if begin.is_const else np.zeros(rank, np.int64)
        known = begin.is_const or bool(np.all(size >= 1))
        inside = all(0 <= b < n and (s == -1 or 1 <= s <= n - b) for b, s, n in zip(first, size, source.shape, strict=True))
        whole = f"begin {first.tolist() if begin.is_const else 'at run time'} and size {size.tolist()}"
        require(inside and known, node, graph, f"{whole} are not inside {list(source.shape)}.")
        counts = [n - b if s == -1 else s for b, s, n in zip(first, size, source.shape, strict=True)]
        shaped(node, graph, output, [int(n) for n in counts])

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, begin = (graph.tensors[t] for t in node.inputs[:2])
        counts = graph.tensors[node.outputs[0]].shape
        if begin.data is not None:
            picks = [np.arange(b, b + n) for b, n in zip(begin.data.tolist(), counts, strict=True)]
            return move(node, graph, [Copy(picked(source.shape, picks))])
        size = np.dtype(source.dtype).itemsize
        outer, row = copy_rows(counts, source.shape, counts, size)
        params = {
            "begin": begin.dtype, "row": row, "counts": tuple(s.count for s in outer),
            "sources": tuple(s.source for s in outer), "targets": tuple(s.target for s in outer),
            "limits": tuple(n - c for n, c in zip(source.shape, counts, strict=True)),
            "steps": tuple(stride * size for stride in strides_of(source.shape)),
        }  # fmt: skip
        return Kernel("dynamic_slice", params, operand_constants(node, graph)[:1] if source.is_const else ())


@dataclass(frozen=True)
class StridedSlice(Operator):
    """Input, constant begin, end and strides per dimension. Bits of the masks stand for dimensions: begin and end that do
    not count, dimensions of which one element is taken and which then go ("shrink")."""

    begin_mask: int
    end_mask: int
    shrink_mask: int
    refused: tuple[str, ...]

    CODES: ClassVar[tuple[str, ...]] = ("STRIDED_SLICE",)
    MOST_DIMENSIONS: ClassVar[int] = 4

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> StridedSlice:
        refused = tuple(name for name in ("ellipsis_mask", "new_axis_mask", "offset") if options[name])
        return cls(options["begin_mask"], options["end_mask"], options["shrink_axis_mask"], refused)

    def check(self, node: Node, graph: Graph) -> None:
        (source, *_), output = operands(node, graph, 4)
        same_type(node, graph, [source, output], SLICED)
        rank = len(source.shape)
        served = f"its input has {rank} dimensions; 1 to {self.MOST_DIMENSIONS} are served."
        require(1 <= rank <= self.MOST_DIMENSIONS, node, graph, served)
        numbers = [constant_input(node, graph, i + 1, what) for i, what in enumerate(("begin", "end", "strides"))]
        counts = {len(n) for n in numbers} | {rank}
        require(counts == {rank}, node, graph, f"its begin, end and strides must have {rank} numbers each.")
        require(
            not self.refused, node, graph, f"it uses {' and '.join(self.refused)}, which TFLite Micro leaves out.",
            "Write it with begin, end, strides and shrink_axis_mask, and RESHAPE.",
        )  # fmt: skip
        require(bool(np.all(numbers[2] != 0)), node, graph, f"its strides {numbers[2].tolist()} must not be 0.")
        for axis, n in enumerate(source.shape):
            begin, stride = int(numbers[0][axis]), int(numbers[2][axis])
            if self.shrink_mask >> axis & 1:
                good = stride > 0 and (self.begin_mask >> axis & 1 or -n <= begin < n)
                require(bool(good), node, graph, f"it takes element {begin} of {n} with stride {stride} in dimension {axis}.")
        picks = self._picks(node, graph)
        require(all(map(len, picks)), node, graph, "nothing is left of its input.")
        shaped(node, graph, output, [len(p) for axis, p in enumerate(picks) if not self.shrink_mask >> axis & 1])

    def _picks(self, node: Node, graph: Graph) -> list[range]:
        """StartForAxis and StopForAxis of tensorflow/lite/kernels/internal/strided_slice_logic.h."""
        shape, picks = graph.tensors[node.inputs[0]].shape, []
        for axis, n in enumerate(shape):
            begin, end, stride = (int(constant_input(node, graph, i, "")[axis]) for i in (1, 2, 3))
            low, high = (0, n) if stride > 0 else (-1, n - 1)
            first, last = (low, high) if stride > 0 else (high, low)
            start = first if self.begin_mask >> axis & 1 else min(max(begin + n if begin < 0 else begin, low), high)
            stop = last if self.end_mask >> axis & 1 else min(max(end + n if end < 0 else end, low), high)
            picks.append(range(start, start + 1) if self.shrink_mask >> axis & 1 else range(start, stop, stride))
        return picks

    def lower(self, node: Node, graph: Graph) -> Kernel:
        picks = [np.array(p) for p in self._picks(node, graph)]
        return move(node, graph, [Copy(picked(graph.tensors[node.inputs[0]].shape, picks))])


@dataclass(frozen=True)
class Split(Operator):
    """Outputs one after the other along a constant axis. SPLIT has the axis first and outputs of one size, SPLIT_V has it
    last; UNPACK has it as an option, and its outputs drop the dimension."""

    code: str
    axis: int = 0
    count: int = 0

    CODES: ClassVar[tuple[str, ...]] = ("SPLIT", "SPLIT_V", "UNPACK")
    PLACES: ClassVar[Mapping[str, tuple[int, int, int]]] = {  # number of inputs, place of the data and of the axis
        "SPLIT": (2, 1, 0), "SPLIT_V": (3, 0, 2), "UNPACK": (1, 0, ABSENT),
    }  # fmt: skip

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Split:
        if code == "UNPACK":
            return cls(code, int(options["axis"]), int(options["num"]))
        return cls(code, count=int(options["num_splits"]))

    def check(self, node: Node, graph: Graph) -> None:
        inputs, data, place = self.PLACES[self.code]
        good = len(node.inputs) == inputs and ABSENT not in node.inputs and len(node.outputs) >= 1
        require(good, node, graph, f"it needs {inputs} input{'s' if inputs > 1 else ''} and outputs.")
        source, outputs = graph.tensors[node.inputs[data]], [graph.tensors[t] for t in node.outputs]
        require(self.count == len(outputs), node, graph, f"it says that it has {self.count} outputs, and has {len(outputs)}.")
        same_type(node, graph, [source, *outputs], SPLIT)
        rank = len(source.shape)
        if place != ABSENT:
            require(graph.tensors[node.inputs[place]].elements == 1, node, graph, "its axis must be one number.")
        axis = self._axis(node, graph)
        require(-rank <= axis < rank, node, graph, f"axis {axis} is outside its {rank} dimensions.")
        axis %= rank
        for output in outputs:
            if self.code == "UNPACK":
                shaped(node, graph, output, (*source.shape[:axis], *source.shape[axis + 1 :]))
            else:
                size = source.shape[axis] // len(outputs) if self.code == "SPLIT" else (*output.shape, *[0] * rank)[axis]
                shaped(node, graph, output, (*source.shape[:axis], size, *source.shape[axis + 1 :]))
        total = sum(self._sizes(node, graph))
        require(total == source.shape[axis], node, graph, f"its outputs hold {total} of {source.shape[axis]} along axis {axis}.")

    def _axis(self, node: Node, graph: Graph) -> int:
        place = self.PLACES[self.code][2]
        return self.axis if place == ABSENT else int(constant_input(node, graph, place, "axis")[0])

    def _sizes(self, node: Node, graph: Graph) -> Sequence[int]:
        """Of the outputs, along the axis of the input."""
        axis = self._axis(node, graph)
        return [1 if self.code == "UNPACK" else graph.tensors[t].shape[axis] for t in node.outputs]

    def lower(self, node: Node, graph: Graph) -> Kernel:
        data = self.PLACES[self.code][1]
        shape = graph.tensors[node.inputs[data]].shape
        axis, copies, begin = self._axis(node, graph) % len(shape), [], 0
        for number, size in enumerate(self._sizes(node, graph)):
            picks = [np.arange(begin, begin + size) if d == axis else np.arange(n) for d, n in enumerate(shape)]
            copies.append(Copy(picked(shape, picks), data, number))
            begin += size
        return move(node, graph, copies)

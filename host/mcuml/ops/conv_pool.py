"""A convolution and the MAX_POOL_2D behind it in one node, made by passes/fuse_pool.py: the map between them never exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml import conv_pool_point, floats, halves, lanes
from mcuml.geometry import Axis, axis, each_image, overlap_distance
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap, Tensor
from mcuml.numerics import activation_range, open_activation_range
from mcuml.ops import Operator
from mcuml.ops.conv_2d import Conv2D
from mcuml.ops.pool_2d import Pool2D
from mcuml.weighted import bias_f32, channel_scales, weighted

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
POOL = "MAX_POOL_2D"
QUADS = ((2, 2), (1, 4), (4, 1))  # the pools that are served, height and width
REACH = 4095  # bytes from an address register that a load can name
POST_INDEX = 255  # bytes by which a store can move its address register
WORDS = 18  # words of weights in a loop body that are worth generating


@dataclass(frozen=True)
class ConvPool(Operator):
    """The inputs of the node `conv`, the output of the node `pool`, which alone reads what `conv` gives."""

    conv: Node
    pool: Node

    CODES: ClassVar[tuple[str, ...]] = tuple(f"{code}+{POOL}" for code in CONVOLUTIONS)

    def check(self, node: Node, graph: Graph) -> None:
        for part in (self.conv, self.pool):
            part.attrs.check(part, graph)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        kernel = fused(self.conv, self.pool, graph)
        assert kernel is not None, "the pass asked before"
        return kernel


@dataclass(frozen=True)
class Windows:
    """One dimension of both: the convolution's axis, the pool's taps (its stride too), the output's size."""

    conv: Axis
    taps: int
    out: int

    @property
    def step(self) -> int:
        """Input elements from one output's first window to the next one's."""
        return self.taps * self.conv.stride

    @property
    def reach(self) -> int:
        """Input elements that one output needs."""
        return (self.taps - 1) * self.conv.stride + self.conv.taps


def axes(conv: Node, pool: Node, graph: Graph) -> tuple[tuple[Axis, Axis], tuple[Axis, Axis]]:
    """(vertical, horizontal) of the convolution, and of the pool."""
    attrs, pooling = conv.attrs, pool.attrs
    assert isinstance(attrs, Conv2D) and isinstance(pooling, Pool2D)
    found = []
    for i in range(2):
        size, taps = graph.tensors[conv.inputs[0]].shape[1 + i], graph.tensors[conv.inputs[1]].shape[1 + i]
        first = axis(size, taps, attrs.stride[i], attrs.dilation[i], attrs.padding)
        found.append((first, axis(first.out, pooling.taps[i], pooling.stride[i], 1, pooling.padding)))
    return (found[0][0], found[1][0]), (found[0][1], found[1][1])


def windows(convs: tuple[Axis, Axis], pools: tuple[Axis, Axis]) -> tuple[Windows, Windows] | None:
    """(vertical, horizontal), or None where pooling windows overlap or leave pixels out, or are not whole or not among QUADS."""
    found = []
    for first, second in zip(convs, pools, strict=True):
        if second.stride != second.taps or second.pad or second.out * second.taps > first.out or first.dilation != 1:
            return None
        found.append(Windows(first, second.taps, second.out))
    return (found[0], found[1]) if (found[0].taps, found[1].taps) in QUADS else None


def fused(conv: Node, pool: Node, graph: Graph) -> Kernel | None:
    """The kernel for both nodes, each of them legal, or None where none serves or the two apart need less memory."""
    source, weights, _, middle = weighted(conv, graph)
    output = graph.tensors[pool.outputs[0]]
    convs, pools = axes(conv, pool, graph)
    if weights.data is None or not source.dtype == weights.dtype == output.dtype:
        return None
    if conv.code == "CONV_2D" and weights.shape[3] == source.shape[3]:
        filters = weights.data
    elif conv.code == "DEPTHWISE_CONV_2D" and source.shape[3] == 1:  # each output channel sees all of the input
        filters = weights.data.transpose(3, 1, 2, 0)
    else:
        return None
    kernel, both = None, windows(convs, pools)
    if conv_pool_point.serves(filters, pools):
        kernel = _point(conv, pool, graph, filters, convs, pools)
    elif both is not None and source.dtype == "int8":
        kernel = _int8(conv, pool, graph, filters, *both)
    elif both is not None and source.dtype == "float32" and not halves.keeps(graph, filters):
        kernel = _float32(conv, pool, graph, filters, *both)
    if kernel is None:
        return None
    kernel = each_image(kernel, source, output)
    apart = max(
        _memory(conv.attrs.lower(conv, graph), source, middle), _memory(pool.attrs.lower(pool, graph), middle, output)
    )  # fmt: skip
    return kernel if _memory(kernel, source, output) <= apart else None


def _memory(kernel: Kernel, source: Tensor, output: Tensor) -> int:
    """Bytes of the arena while `kernel` runs, its input and output lying over each other as far as they may."""
    together = [max(source.bytes + o.distance, output.bytes) for o in kernel.overlaps]
    return min([source.bytes + output.bytes, *together]) + kernel.scratch


def _in_place(vertical: Windows, row_in: int, row_out: int) -> int:
    """Overlap distance of a kernel that copies the input rows of a row of outputs before it writes that row; bytes per row."""
    first = [y * vertical.step - vertical.conv.pad for y in range(vertical.out)]
    return max(0, *(y * row_out - max(0, first[y]) * row_in for y in range(vertical.out)))


def _point(
    conv: Node, pool: Node, graph: Graph, filters: np.ndarray, convs: tuple[Axis, Axis], pools: tuple[Axis, Axis]
) -> Kernel | None:
    """The kernel for `filters` (N, 1, 1, 1)."""
    source, _, bias, _ = weighted(conv, graph)
    if source.dtype == "float32":
        limits = _both(*(open_activation_range(node.attrs.activation) for node in (conv, pool)))
        return conv_pool_point.float32(filters, bias_f32(bias, len(filters)).data, convs, pools, limits)
    found = _requantized(conv, pool, graph, filters)
    if source.dtype != "int8" or found is None:
        return None
    output = graph.tensors[pool.outputs[0]]
    return conv_pool_point.int8(filters, found[0], convs, pools, (source.zero_point, output.zero_point), found[1])


def _requantized(conv: Node, pool: Node, graph: Graph, filters: np.ndarray) -> tuple[np.ndarray, tuple[int, int]] | None:
    """(lanes.channel_table, the range of the results) of an int8 pair, or None where these are out of range."""
    source, _, bias, middle = weighted(conv, graph)
    output = graph.tensors[pool.outputs[0]]
    if (middle.scale, middle.zero_point) != (output.scale, output.zero_point):
        return None
    scaling = lanes.requantization(None if bias is None else bias.data, channel_scales(*weighted(conv, graph)[:2], middle))
    table = lanes.channel_table(filters.reshape(len(filters), -1), scaling, lanes.reach(source.zero_point), output.zero_point)
    limits = _both(activation_range(conv.attrs.activation, middle), activation_range(pool.attrs.activation, output))
    return None if table is None else (table, limits)


def _int8(conv: Node, pool: Node, graph: Graph, filters: np.ndarray, vertical: Windows, horizontal: Windows) -> Kernel | None:
    """The kernel for `filters` (N, KH, KW, C), or None where they do not fit its registers or lanes.

    Its strip holds, for each input column, the elements of all rows that an output row needs, so that a window is a
    segment of each column and the windows of the four pixels lie a few bytes apart."""
    found = _requantized(conv, pool, graph, filters)
    if found is None:
        return None
    table, (low, high) = found
    source, output = graph.tensors[conv.inputs[0]], graph.tensors[pool.outputs[0]]
    channels, depth = len(filters), filters.shape[3]
    reach = lanes.reach(source.zero_point)
    rows, columns = vertical.reach, (horizontal.out - 1) * horizontal.step + horizontal.reach
    pitch = -(-rows * depth // 2) * 2
    params: dict[str, Any] = {
        "height": vertical.conv, "width": horizontal.conv, "out_h": vertical.out, "out_w": horizontal.out, "rows": rows,
        "columns": columns, "down": vertical.step, "in_channels": depth, "out_channels": channels, "pitch": pitch,
        "step": horizontal.step * pitch, "in_zero": source.zero_point,
        "low": low, "high": high, "clamp": (low, high) != (-128, 127), "away": low < output.zero_point,
    }  # fmt: skip
    rows_of_table = lanes.with_addends(table, output.zero_point)
    made = _one_channel(filters, rows_of_table, vertical, horizontal) or _any(
        filters, rows_of_table, vertical, horizontal, reach, pitch
    )
    if made is None:
        return None
    element = 4 if depth % 4 == 0 else 7 if depth == 1 else 8
    outputs = vertical.out * horizontal.out
    return Kernel(
        made.template,
        {**params, **made.params, "words": len(made.stream)},
        (Constant("weights", made.stream),),
        (columns * pitch + made.slack) * 2,
        (Overlap(0, 0, _in_place(vertical, horizontal.conv.size * depth, horizontal.out * channels)),),
        outputs * 4 * filters.size,
        vertical.out * (100 + rows * columns * depth * element + made.row_cycles),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """How a row of outputs is made from the strip: by which template, with which weights (int32), how many elements behind the
    strip it reads, and in how many cycles."""

    template: str
    params: Mapping[str, Any]
    stream: np.ndarray
    slack: int
    row_cycles: int


def _one_channel(filters: np.ndarray, table: np.ndarray, vertical: Windows, horizontal: Windows) -> _Rows | None:
    """3x3 windows of one channel, below each other by one row: a word of the strip holds two rows of a column."""
    one = filters.shape[1:] == (3, 3, 1) and vertical.conv.stride == 1 and (vertical.taps, horizontal.taps) == (2, 2)
    if not one or len(filters) > POST_INDEX or horizontal.step * 8 > REACH:
        return None
    taps = filters.reshape(-1, 3, 3).astype(np.int64)
    words = np.stack([taps[:, 0], taps[:, 1], taps[:, 1], taps[:, 2]], -1).astype("<i2").reshape(len(taps), -1).view("<i4")
    stream = np.concatenate([words, table], 1).astype(np.int32).reshape(-1)
    return _Rows("conv_pool_3x3_s8", {}, stream, 0, len(taps) * (50 + horizontal.out * 60))


def _any(filters: np.ndarray, table: np.ndarray, vertical: Windows, horizontal: Windows, reach: int, pitch: int) -> _Rows | None:
    """Any window, two channels at a time through dual-byte lanes; None where these do not hold the weights."""
    channels, kernel_h, kernel_w, depth = filters.shape
    down, right = vertical.conv.stride * depth * 2, horizontal.conv.stride * pitch * 2
    quad = tuple(y * down + x * right for y in range(vertical.taps) for x in range(horizontal.taps))
    segment = -(-kernel_h * depth // 2)
    turns = -(-segment // WORDS)
    body = -(-segment // turns)
    whole = turns == 1 and kernel_w * segment <= WORDS
    if quad[-1] + 4 * body + (kernel_w * pitch * 2 if whole else 0) > REACH or horizontal.step * pitch * 2 > REACH:
        return None
    segments = filters.transpose(0, 2, 1, 3).reshape(channels, kernel_w, kernel_h * depth)
    stream = lanes.stream(segments, reach, turns * body, table) if channels > 1 else None
    if stream is None:
        return None
    params = {"quad": quad, "segments": kernel_w, "turns": turns, "body": body, "whole": whole, "odd": channels % 2 == 1}
    loops = 0 if whole else 8 + kernel_w * (8 + (turns * 8 if turns > 1 else 0))
    pair = 16 * kernel_w * turns * body + loops + 42 + 4 * (channels % 2)
    slack = max(0, 2 * turns * body - kernel_h * depth - (pitch - vertical.reach * depth))
    return _Rows("conv_pool_s8", params, stream, slack, horizontal.out * (-(-channels // 2) * pair + 12))


def _both(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Any, Any]:
    """(lowest, highest) of values that are clamped to `first` and then to `second`."""
    low, high = (min(max(end, second[0]), second[1]) for end in first)
    return low, high


def _float32(conv: Node, pool: Node, graph: Graph, filters: np.ndarray, vertical: Windows, horizontal: Windows) -> Kernel:
    """The kernel for `filters` (N, KH, KW, C)."""
    _, _, bias, _ = weighted(conv, graph)
    channels, taps, _, depth = filters.shape
    low, high = _both(*(open_activation_range(node.attrs.activation) for node in (conv, pool)))
    found = floats.windows(vertical.conv, horizontal.conv, depth)
    params = {
        "height": vertical.conv, "width": horizontal.conv, "out_h": vertical.out, "out_w": horizontal.out,
        "pool_h": vertical.taps, "pool_w": horizontal.taps, "in_channels": depth, "out_channels": channels,
        "low": low, "high": high, "clamp": floats.clamp(low, high), "largest": True, **found.params,
    }  # fmt: skip
    pooled = [
        Axis(w.conv.size, w.out, w.reach, w.step, 1, w.conv.pad) for w in (vertical, horizontal)
    ]  # fmt: skip
    # An output's first channels are written while its windows are still read.
    distance = overlap_distance(pooled[0], pooled[1], depth, channels, 4) + channels * 4
    outputs = vertical.out * horizontal.out
    return Kernel(
        "conv_pool_f32",
        params,
        (floats.padded(filters.reshape(channels, -1), "weights"), floats.padded(bias_f32(bias, channels).data, "bias")),
        0 if found.direct else 4 * taps * horizontal.conv.taps * depth * 4,
        (Overlap(0, 0, distance),),
        outputs * 4 * filters.size,
        outputs * floats.cycles(found, vertical.conv, horizontal.conv, depth, channels, horizontal.taps),
    )

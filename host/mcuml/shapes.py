"""Shapes and strides at compile time: broadcasting, transposing, copying and reducing as the fewest nested loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Loop:
    """One loop of a nest: `count` iterations; `strides` are each operand's steps, in elements."""

    count: int
    strides: tuple[int, ...]


def strides_of(shape: Sequence[int]) -> Shape:
    """Elements to step for each dimension of a dense C-order tensor."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def merge(loops: Sequence[Loop]) -> tuple[Loop, ...]:
    """The same walk, outermost first, with single iterations dropped and neighbours that run on fused into one."""
    merged: list[Loop] = []
    for loop in reversed([loop for loop in loops if loop.count > 1]):
        if merged and all(s == inner * merged[-1].count for s, inner in zip(loop.strides, merged[-1].strides, strict=True)):
            merged[-1] = Loop(merged[-1].count * loop.count, merged[-1].strides)
        else:
            merged.append(loop)
    return tuple(reversed(merged))


def broadcast_shape(*shapes: Sequence[int]) -> Shape | None:
    """The shape that all of `shapes` broadcast to (numpy's rule), None when they do not agree."""
    try:
        return np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        return None


def broadcast_loops(shapes: Sequence[Sequence[int]], out: Sequence[int]) -> tuple[Loop, ...]:
    """Loops over `out` with the strides of each of `shapes`, then of `out`; a broadcast operand has stride 0. At least one
    loop; the innermost steps are 1 or 0."""
    strides = []
    for own in (*shapes, out):
        full = (1,) * (len(out) - len(own)) + tuple(own)[max(0, len(own) - len(out)) :]
        strides.append([0 if d == 1 else s for d, s in zip(full, strides_of(full), strict=True)])
    walk = [Loop(n, s) for n, s in zip(out, zip(*strides, strict=True), strict=True)]
    return merge(walk) or (Loop(1, (1,) * len(strides)),)


def transpose_loops(shape: Sequence[int], perm: Sequence[int]) -> tuple[Loop, ...]:
    """Loops over the transposed tensor with the strides of (input, output); empty or one dense loop: nothing moves."""
    source = strides_of(shape)
    out = [shape[p] for p in perm]
    return merge([Loop(n, (source[p], s)) for n, p, s in zip(out, perm, strides_of(out), strict=True)])


def reduce_loops(shape: Sequence[int], axes: Sequence[int]) -> tuple[tuple[Loop, ...], tuple[Loop, ...]]:
    """(kept, reduced) loops over `shape`, outermost first: kept ones with strides of (input, output), reduced ones of
    (input,)."""
    source = strides_of(shape)
    kept_shape = [1 if i in axes else n for i, n in enumerate(shape)]
    kept = [Loop(n, (source[i], s)) for i, (n, s) in enumerate(zip(kept_shape, strides_of(kept_shape), strict=True))]
    return merge(kept), merge([Loop(shape[i], (source[i],)) for i in sorted(axes)])


@dataclass(frozen=True)
class Step:
    """One loop of a copy: `count` iterations; where each reads and writes, in elements: a stride, or a table of offsets."""

    count: int
    source: int | tuple[int, ...]
    target: int | tuple[int, ...]

    @property
    def strided(self) -> bool:
        return isinstance(self.source, int) and isinstance(self.target, int)


Offsets = tuple[np.ndarray, np.ndarray]  # of one dimension's elements in (source, target)


def picked(shape: Sequence[int], picks: Sequence[Sequence[int] | np.ndarray]) -> tuple[Offsets, ...]:
    """The dimensions of a copy to a dense output whose element [i, j, ...] is source[picks[0][i], picks[1][j], ...] of a
    dense source of `shape`."""
    counts = [len(pick) for pick in picks]
    return tuple(
        (np.asarray(pick, np.int64) * here, np.arange(n, dtype=np.int64) * there)
        for pick, n, here, there in zip(picks, counts, strides_of(shape), strides_of(counts), strict=True)
    )


def copy_steps(dims: Sequence[Offsets]) -> tuple[tuple[int, int], tuple[Step, ...]]:
    """((source, target) of the first element, the fewest loops) of a copy over `dims`, outermost first. Tables that repeat
    with an offset are parted into two loops; what then runs evenly becomes strides, and neighbours that run on are fused."""
    start = (int(sum(s[0] for s, _ in dims)), int(sum(t[0] for _, t in dims)))
    steps: list[Step] = []
    for step in reversed([step for s, t in dims for step in _parted(s - s[0], t - t[0])]):
        inner = steps[-1] if steps else None
        if inner and inner.strided and (step.source, step.target) == _times(inner, inner.count):
            steps[-1] = Step(inner.count * step.count, inner.source, inner.target)
        else:
            steps.append(step)
    return start, tuple(reversed(steps))


def copy_rows(shape: Sequence[int], source: Sequence[int], target: Sequence[int], size: int) -> tuple[tuple[Step, ...], int]:
    """(outer loops, bytes of a row) of a copy of `shape` elements of `size` bytes between a tensor of shape `source` and
    one of shape `target`; the loops' strides are in bytes."""
    sides = zip(shape, strides_of(source), strides_of(target), strict=True)
    dims = [(np.arange(n) * a * size, np.arange(n) * b * size) for n, a, b in sides]
    _, steps = copy_steps([*dims, (np.arange(size), np.arange(size))])
    runs_on = bool(steps) and (steps[-1].source, steps[-1].target) == (1, 1)  # not so for one int8 of each row
    return (steps[:-1], steps[-1].count) if runs_on else (steps, 1)


def _times(step: Step, count: int) -> tuple[int, int]:
    assert isinstance(step.source, int) and isinstance(step.target, int)
    return step.source * count, step.target * count


def _parted(source: np.ndarray, target: np.ndarray) -> list[Step]:
    """Loops for one dimension, whose offsets start at 0; none for a single element."""
    n = len(source)
    if n == 1:
        return []

    def even(offsets: np.ndarray) -> bool:
        return bool(np.all(np.diff(offsets) == offsets[1]))

    if not (even(source) and even(target)):
        for period in (p for p in range(2, n // 2 + 1) if n % p == 0):
            if all(np.all(o.reshape(-1, period) == o[::period, None] + o[:period]) for o in (source, target)):
                return _parted(source[::period], target[::period]) + _parted(source[:period], target[:period])
    return [Step(n, *(int(o[1]) if even(o) else tuple(o.tolist()) for o in (source, target)))]


def copy_distance(dims: Sequence[Offsets]) -> int | None:
    """Least address(source) - address(target), in elements, at which copying `dims` in order never writes over an element
    that it still has to read; None unless the target is written front to back without gaps."""
    source, target = (_outer([d[side] for d in dims]) for side in (0, 1))
    if not np.array_equal(target, np.arange(len(target))):
        return None
    later = np.minimum.accumulate(source[::-1])[::-1]
    return int(np.max(np.arange(1, len(source)) - later[1:], initial=-int(source[0])))


def _outer(offsets: Sequence[np.ndarray]) -> np.ndarray:
    total = np.zeros(1, np.int64)
    for o in offsets:
        total = (total[:, None] + o).reshape(-1)
    return total

"""Shapes and strides at compile time: broadcasting, transposing and reducing as the fewest nested loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

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


def broadcast_shape(a: Sequence[int], b: Sequence[int]) -> Shape | None:
    """The shape that two operands broadcast to (numpy's rule), None when they do not agree."""
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b), strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    return tuple(max(x, y) for x, y in pairs)


def broadcast_loops(a: Sequence[int], b: Sequence[int], out: Sequence[int]) -> tuple[Loop, ...]:
    """Loops over `out` with the strides of (a, b, out); a broadcast operand has stride 0. At least one loop; the
    innermost steps are 1 or 0."""

    def strides(shape: Sequence[int]) -> Shape:
        full = (1,) * (len(out) - len(shape)) + tuple(shape)
        return tuple(0 if d == 1 else s for d, s in zip(full, strides_of(full), strict=True))

    walk = [Loop(n, s) for n, s in zip(out, zip(strides(a), strides(b), strides_of(out), strict=True), strict=True)]
    return merge(walk) or (Loop(1, (1, 1, 1)),)


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

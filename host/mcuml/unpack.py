"""Weights that lie packed in flash and are unpacked into scratch each time before their kernel runs: any kernel, any type.

What is packed are the bytes that the kernel reads. Where these are lanes of two weights (lanes.py), a lane 256 * b + a is
packed as the bytes a and b, so that a weight of zero is a byte of zero; modulo 2**16 every pair of bytes has such a form.

Two forms: a walk over the bytes that are not zero (walks.py), and, for the stream of int8 matrix kernels (lanes.gemm_stream),
indices of four bits into palettes of 16 values, one for all weights or one for each channel, whose scale is its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcuml import lanes
from mcuml.graph import Constant, Kernel
from mcuml.walks import TURN, walk

MOST = 0.6  # share of bytes that are not zero, above which no walk is smaller
CODE = 200  # bytes of the unpacking functions on a Cortex-M4: what saves less is not offered
ELEMENT, CLEAR, LANES, INDEX = (
    8,
    0.5,
    2,
    6,
)  # Cortex-M4 cycles of a walk's element, a byte cleared, of lanes, of indices, as counted
ALIGN = 16
TAIL = lanes.GROUP * 16  # bytes behind each group's weights: its channels' requantization


@dataclass(frozen=True, eq=False)
class Packed:
    """`data` int8, from which `cycles` of a Cortex-M4 make the weights, and what the template needs to know for that."""

    data: np.ndarray
    params: dict[str, Any]
    cycles: int


def unpacked(kernel: Kernel) -> Iterator[Kernel]:
    """`kernel`, one that multiplies, with its largest constant packed, where that is smaller: at most one."""
    if kernel.packed or not kernel.macs or not kernel.constants:
        return
    weights = max(kernel.constants, key=lambda c: c.data.nbytes)
    raw = np.frombuffer(np.ascontiguousarray(weights.data).tobytes(), np.int8)
    words = kernel.params["words"] if "gemm" in kernel.params else 0
    made = min((m for m in (walked(raw), indexed(raw, words)) if m), key=lambda m: m.data.nbytes, default=None)
    if made is None or made.data.nbytes + CODE >= raw.size:
        return
    room = -(-raw.size // ALIGN) * ALIGN
    params = made.params | {
        "inner": kernel.template, "params": kernel.params, "room": room, "role": weights.role, "dtype": weights.data.dtype.name,
    }  # fmt: skip
    yield replace(
        kernel,
        template="unpacked",
        params=params,
        constants=tuple(Constant(c.role, made.data) if c is weights else c for c in kernel.constants),
        scratch=room + kernel.scratch,
        cycles=kernel.cycles and kernel.cycles + made.cycles,
        packed=True,
    )


def walked(raw: np.ndarray) -> Packed | None:
    """`raw` int8 as a walk, None where most of it is not zero."""
    forms = [(False, raw)] if raw.size % 4 else [(False, raw), (True, pairs(raw))]
    split, data = min(forms, key=lambda form: np.count_nonzero(form[1]))
    if np.count_nonzero(data) > MOST * data.size:
        return None
    made = walk(data[None], again=True)
    turns = int(made.turns[0])
    params = {
        "form": "walk", "steps": made.steps, "turn": TURN[made.steps], "turns": turns, "bytes": raw.size, "lanes": split,
    }  # fmt: skip
    cycles = ELEMENT * turns * TURN[made.steps] + int((CLEAR + LANES * split) * raw.size)
    return Packed(made.data.reshape(-1), params, cycles)


def indexed(raw: np.ndarray, words: int) -> Packed | None:
    """`raw` int8, groups of `words` pairs of words of lanes and TAIL bytes, as indices; None where there are more than 16 values
    to a palette. Per group: its palettes, channel by channel, if it has its own; its indices; its tail."""
    if not words:
        return None
    groups = raw.reshape(-1, 8 * words + TAIL)
    count = len(groups)
    weights = pairs(np.ascontiguousarray(groups[:, :-TAIL]).reshape(-1)).reshape(count, words, 2, 2, 2)
    channels = weights.transpose(0, 2, 4, 1, 3).reshape(count * lanes.GROUP, -1)  # a word has two elements of two channels
    values = np.unique(weights)
    own = len(values) > 16
    found = [np.unique(channel) for channel in channels] if own else [values] * len(channels)
    if max(map(len, found)) > 16:
        return None
    places = np.stack([np.searchsorted(f, c) for f, c in zip(found, channels, strict=True)]).astype(np.uint8)
    places = places.reshape(count, 2, 2, words, 2).transpose(0, 3, 1, 4, 2).reshape(count, -1, 2)
    indices = (places[..., 0] | places[..., 1] << 4).astype(np.uint8).view(np.int8)
    palettes = np.stack([np.resize(f, 16) for f in found]).reshape(count, -1)
    first = palettes[0, :16] if not own else palettes[0, :0]
    each = [palettes] if own else []
    data = np.concatenate([first, np.concatenate([*each, indices, groups[:, -TAIL:]], 1).reshape(-1)])
    params = {"form": "indices", "groups": count, "words": words, "own": own, "tail": TAIL}
    return Packed(np.ascontiguousarray(data), params, INDEX * raw.size)


def pairs(raw: np.ndarray) -> np.ndarray:
    """int8: the bytes a, b of each lane 256 * b + a of `raw`, int8."""
    lane = raw.view("<i2").astype(np.int32)
    low = lane.astype(np.int8)
    return np.stack([low, ((lane - low) >> 8).astype(np.int8)], 1).reshape(-1)

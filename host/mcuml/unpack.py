"""Weights that lie packed in flash and are unpacked into scratch each time before their kernel runs: any kernel, any type.

What is packed are the bytes that the kernel reads. Where these are lanes of two weights (lanes.py), a lane 256 * b + a is
packed as the bytes a and b, so that a weight of zero is a byte of zero; modulo 2**16 every pair of bytes has such a form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mcuml.graph import Constant, Kernel
from mcuml.walks import TURN, walk

MOST = 0.6  # share of bytes that are not zero, above which no walk is smaller
CODE = 200  # bytes of the unpacking functions on a Cortex-M4: what saves less is not offered
ELEMENT, CLEAR, LANES = 8, 0.5, 2  # Cortex-M4 cycles of an element, of a byte cleared, of a byte of lanes, as counted
ALIGN = 16


def unpacked(kernel: Kernel) -> Iterator[Kernel]:
    """`kernel`, one that multiplies, with its largest constant packed, where that is smaller: at most one."""
    if kernel.packed or not kernel.macs or not kernel.constants:
        return
    weights = max(kernel.constants, key=lambda c: c.data.nbytes)
    raw = np.frombuffer(np.ascontiguousarray(weights.data).tobytes(), np.int8)
    forms = [(False, raw)] if raw.size % 4 else [(False, raw), (True, pairs(raw))]
    split, data = min(forms, key=lambda form: np.count_nonzero(form[1]))
    if np.count_nonzero(data) > MOST * data.size:
        return
    made = walk(data[None], again=True)
    if made.data.nbytes + CODE >= raw.size:
        return
    elements = int(made.turns[0]) * TURN[made.steps]
    params = {
        "inner": kernel.template, "params": kernel.params, "steps": made.steps, "turn": TURN[made.steps],
        "turns": int(made.turns[0]), "bytes": raw.size, "room": -(-raw.size // ALIGN) * ALIGN, "lanes": split,
        "dtype": weights.data.dtype.name, "role": weights.role,
    }  # fmt: skip
    constants = [Constant(c.role, made.data.reshape(-1)) if c is weights else c for c in kernel.constants]
    spent = ELEMENT * elements + int((CLEAR + LANES * split) * raw.size)
    yield replace(
        kernel,
        template="unpacked",
        params=params,
        constants=tuple(constants),
        scratch=params["room"] + kernel.scratch,
        cycles=kernel.cycles and kernel.cycles + spent,
        packed=True,
    )


def pairs(raw: np.ndarray) -> np.ndarray:
    """int8: the bytes a, b of each lane 256 * b + a of `raw`, int8."""
    lanes = raw.view("<i2").astype(np.int32)
    low = lanes.astype(np.int8)
    return np.stack([low, ((lanes - low) >> 8).astype(np.int8)], 1).reshape(-1)

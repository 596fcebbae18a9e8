"""float32 layers whose weights came as float16 and stay so in flash: half the bytes, widened two by two while they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuml.graph import Constant, Graph, Kernel, Overlap

KERNEL_BYTES = 700  # code of conv_2d_f16 on a Cortex-M4: a layer that saves less is smaller with float32 weights
PAIR, TURN = 49, 11  # Cortex-M4 cycles of two elements times four channels and two columns, and of a loop's turn


def is_half(graph: Graph, weights: np.ndarray) -> bool:
    """Whether float32 weights came as float16, so that they can stay so in flash: each is finite and exactly a float16."""
    with np.errstate(over="ignore"):
        halves = weights.astype(np.float16)
    return graph.scheme == "float16" and bool(np.isfinite(halves).all() and np.array_equal(halves.astype(np.float32), weights))


def keeps(graph: Graph, weights: np.ndarray) -> bool:
    """Whether a convolution's weights stay float16: where that saves more flash than its kernel takes."""
    return 2 * weights.size >= KERNEL_BYTES and is_half(graph, weights)


def bits(weights: np.ndarray) -> np.ndarray:
    """float16 as uint16, which C99 has."""
    return np.ascontiguousarray(weights.astype(np.float16).view(np.uint16))


def convolution(
    params: Mapping[str, Any], matrix: np.ndarray, bias: Constant, overlaps: tuple[Overlap, ...], macs: int
) -> Kernel:
    """The kernel of a convolution with `matrix` (N, K) of float16 values."""
    pairs = -(-matrix.shape[1] // 2)
    cycles, body = min(((PAIR * body + TURN) * -(-pairs // body), body) for body in (1, 2, 3))
    taps = -(-pairs // body) * body * 2
    constants = (_padded(matrix, taps), bias)
    pixels = macs // matrix.size
    each = cycles * -(-len(matrix) // 4) / 2 + 4 * taps
    return Kernel("conv_2d_f16", {**params, "body": body, "taps": taps}, constants, taps * 8, overlaps, macs, int(pixels * each))


def dense(params: Mapping[str, Any], matrix: np.ndarray, bias: Constant, macs: int) -> Kernel:
    """The kernel that multiplies `matrix` (N, K >= 2) of float16 values with each K elements of the input."""
    depth = matrix.shape[1]
    body = max(b for b in (1, 2, 3) if depth // 2 % b == 0)
    return Kernel("fully_connected_f16", {**params, "body": body}, (_padded(matrix, depth + depth % 2), bias), macs=macs)


def _padded(matrix: np.ndarray, taps: int) -> Constant:
    """uint16 (at least 4, `taps`): the kernels take four channels at a time."""
    padded = np.zeros((max(len(matrix), 4), taps), np.float32)
    padded[: len(matrix), : matrix.shape[1]] = matrix
    return Constant("weights", bits(padded))

"""Damage to files and lines: flipped bits, cuts, stray and repeated pieces, sizes and indices set to other numbers."""

from __future__ import annotations

import struct

import numpy as np

WORDS = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def structure(data: bytes) -> np.ndarray:
    """Which bytes of a .tflite file to aim at: those outside long buffers of weights, where almost every file's bytes lie.
    A run of 64 bytes without a 32-bit word below 65536 is taken for weights."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    small = words < 1 << 16
    near = np.convolve(small, np.ones(16), "same") > 4
    return np.flatnonzero(near) * 4


def damaged(rng: np.random.Generator, data: bytes, places: np.ndarray) -> bytes:
    """`data` with one to three pieces of damage, mostly at `places` (byte offsets of words)."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if not made:
            break
        at = int(rng.choice(places)) if len(places) and rng.random() < 0.85 else int(rng.integers(0, len(made)))
        at = min(at, len(made) - 1)
        kind = rng.random()
        if kind < 0.3:
            made[at + int(rng.integers(0, min(4, len(made) - at)))] ^= 1 << int(rng.integers(0, 8))
        elif kind < 0.55:
            made[at : at + 4] = struct.pack("<I", int(rng.choice(WORDS)))[: len(made) - at]
        elif kind < 0.7 and at + 4 <= len(made):  # a size or an index that is off by little
            word = (struct.unpack_from("<I", made, at)[0] + int(rng.integers(-4, 5))) & 0xFFFFFFFF
            struct.pack_into("<I", made, at, word)
        elif kind < 0.8:
            made[at] = int(rng.integers(0, 256))
        elif kind < 0.88 and len(places):  # one place's bytes at another
            other, size = int(rng.choice(places)), int(rng.choice((4, 8, 32)))
            piece = bytes(made[other : other + size])
            made[at : at + len(piece)] = piece
        elif kind < 0.94:
            del made[at : len(made) if rng.random() < 0.5 else at + int(rng.integers(1, 64))]
        else:
            made[at:at] = rng.integers(0, 256, int(rng.integers(1, 16)), dtype=np.uint8).tobytes()
    return bytes(made)


def garbled(rng: np.random.Generator, text: bytes, words: tuple[bytes, ...]) -> bytes:
    """`text` with pieces flipped, cut out, repeated or replaced by one of `words`."""
    made = bytearray(text)
    for _ in range(int(rng.integers(1, 5))):
        at, size = int(rng.integers(0, len(made) + 1)), int(rng.integers(0, 12))
        kind = rng.random()
        if kind < 0.3 and at < len(made):
            made[at] = int(rng.integers(0, 256))
        elif kind < 0.5:
            del made[at : at + size]
        elif kind < 0.65:
            made[at:at] = made[at : at + size] * int(rng.choice((1, 2, 200)))
        else:
            made[at : at + size] = words[int(rng.integers(0, len(words)))]
    return bytes(made)

"""Made data and contexts for tests of steps: four classes, of which quarter of a small noisy image is bright."""

import numpy as np

from mcuml.optimize.data import Data, Split
from mcuml.optimize.steps import Context

SIDE, CLASSES = 8, 4


def split(count: int, seed: int) -> Split:
    """x: (count, 8, 8, 1), y: (count,)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    x = rng.normal(scale=0.5, size=(count, SIDE, SIDE, 1)).astype(np.float32)
    half = SIDE // 2
    for image, label in zip(x, y, strict=True):
        top, left = divmod(int(label), 2)
        image[top * half :, left * half :][:half, :half] += 1
    return Split(x, y.astype(np.int64))


def data(count: int = 256) -> Data:
    return Data("made", split(count, 1), split(64, 2), split(64, 3), CLASSES, "made")


def context(*traits: str, teacher=None, count: int = 256, seed: int = 0) -> Context:
    """For a step after others that left `traits`. Its progress appends to `context.progress.told`."""

    def progress(text: str, share: float) -> None:
        progress.told.append((text, share))  # type: ignore[attr-defined]

    progress.told = []  # type: ignore[attr-defined]
    return Context(data(count), seed, frozenset(traits), lambda: teacher, progress, batch=32)


def accuracy(model, of: Split) -> float:
    return float((model.predict(of.x, verbose=0).argmax(axis=-1) == of.y).mean())

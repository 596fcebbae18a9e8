"""The data of an optimization: training, validation and test samples, kept apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """`x`: float32 (n, *input shape), as the model takes it. `y`: int64 (n,), class numbers from 0."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Data:
    """`train` fits weights and calibrates ranges, `validation` chooses between candidates, `test` is only reported: no step
    and no choice looks at it. `sha256`: of all three, with how they were parted and scaled."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    sha256: str

"""The quality figures of MLPerf Tiny: top-1 and the area under the ROC curve, as the official runner computes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """What the device said of one file: its class, and the scores of each of its windows."""

    file: str
    label: int
    scores: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> np.ndarray:
        """The scores over all windows; those of several classes made to sum to 1 first, float64 (classes,)."""
        rows = np.array(self.scores, np.float64)
        if rows.shape[1] > 1:
            total = rows.sum(axis=1, keepdims=True)
            rows = np.divide(rows, total, out=np.full_like(rows, 1 / rows.shape[1]), where=total != 0)
        return rows.mean(axis=0)


def top1(outcomes: Sequence[Outcome]) -> float:
    """Share of the files whose best score is that of their class; the first one where several are best."""
    return float(np.mean([int(np.argmax(outcome.mean)) == outcome.label for outcome in outcomes]))


def auc(outcomes: Sequence[Outcome]) -> float:
    """Area under the ROC curve: of one score (class 1 is the larger) or two (that of class 1); of more, the mean over the
    classes of each against the rest. A class of which there is no file, or nothing else, is left out; NaN where all are."""
    labels = np.array([outcome.label for outcome in outcomes])
    scores = np.array([outcome.mean for outcome in outcomes])
    if scores.shape[1] <= 2:
        return _area(scores[:, -1], labels == 1)
    areas = [_area(scores[:, c], labels == c) for c in range(scores.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """P(a positive scores higher than a negative), half for ties: Mann and Whitney's U by the mean ranks of equal scores."""
    ups, downs = int(positive.sum()), int((~positive).sum())
    if not ups or not downs:
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place.reshape(-1)]
    return float((ranks[positive].sum() - ups * (ups + 1) / 2) / (ups * downs))


def median(values: Iterable[float]) -> float:
    """The middle one, or the mean of the two in the middle: numpy's, which the official runner takes."""
    return float(np.median(list(values)))

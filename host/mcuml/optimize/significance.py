"""Is a candidate better or worse than the baseline, or is the difference inside the noise? Paired tests over samples and seeds.

Two things scatter: which samples happen to be in the split, and which network a seed happens to train to.

Over samples: the exact McNemar test (McNemar 1947, Psychometrika 12:153; the two-sided binomial test on the samples that only one
of the two gets right) for each seed. Seeds are judged by the same samples, so their p values are not independent and neither
Fisher's nor Stouffer's sum may combine them. Instead a sample's answers over all seeds stay together: if the two recipes answered
it alike, baseline and candidate could be exchanged for that sample in all seeds at once (a randomization test over clusters,
Fisher 1935, The Design of Experiments, section 21; exact, as the distribution of the sum is computed, not drawn). With one seed
it is the exact McNemar test itself.

Over seeds: Student's paired t test on the differences of seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan, cos, lgamma, log, pi, sin, sqrt

import numpy as np

from mcuml.errors import RequestError

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """A candidate against the baseline, in points (hundredths of the samples). `difference`: mean over seeds, above 0 is better.
    `sd`: of the seeds' differences (n-1); None for one seed. `per_seed`: exact McNemar p of each. `over_samples`, `over_seeds`:
    p values of the module's two tests; the second is None for one seed. All two-sided."""

    difference: float
    per_seed: tuple[float, ...]
    over_samples: float
    over_seeds: float | None = None
    sd: float | None = None

    @property
    def worse(self) -> bool:
        """A loss that the samples show is a loss, even if seeds scatter: what is in doubt counts against the candidate."""
        return self.difference < 0 and self.over_samples < LEVEL

    @property
    def better(self) -> bool:
        """A gain must outlive both tests (the larger p decides: Berger 1982, Technometrics 24:295); one seed has but one test."""
        return self.difference > 0 and max(self.over_samples, self.over_seeds or 0.0) < LEVEL

    @property
    def words(self) -> str:
        """ "better", "worse" or "inside the noise"; a gain of one seed says so."""
        if self.worse:
            return "worse"
        if self.better:
            return "better" if self.over_seeds is not None else "better, in one training"
        return "inside the noise"


def verdict(baseline: Sequence[np.ndarray], candidate: Sequence[np.ndarray]) -> Verdict:
    """Compare two recipes, each by one bool (samples,) per seed: which samples its model got right. Seeds and samples in the same
    order for both. Raises RequestError unless their numbers agree."""
    shapes = {np.shape(seed) for seed in (*baseline, *candidate)}
    if len(baseline) != len(candidate) or not baseline or len(shapes) != 1 or not next(iter(shapes))[0]:
        raise RequestError(
            f"{len(baseline)} seeds of the baseline and {len(candidate)} of the candidate cannot be compared in pairs.",
            f"Their numbers of samples: {', '.join(str(s[0]) for s in sorted(shapes)) or 'none'}.",
            "Run both recipes with the same seeds on the same data.",
        )
    gains = np.array(candidate).astype(np.int64) - np.array(baseline).astype(np.int64)
    points = 100 * gains.mean(1)
    mean, sd = mean_sd(points)
    over_seeds = None if sd is None else paired_t(points)
    return Verdict(mean, tuple(map(exchange_p, gains)), exchange_p(gains.sum(0)), over_seeds, sd)


def mean_sd(values: Sequence[float] | np.ndarray) -> tuple[float, float | None]:
    """Mean and standard deviation (n-1) over seeds; one seed has no deviation."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def exchange_p(gains: np.ndarray) -> float:
    """The exact two-sided p of sum(gains) where the sign of each could as well be the other: int (samples,), by how many seeds a
    sample gained. Of gains of -1, 0 and 1 it is the exact McNemar p."""
    sizes = Counter(np.abs(gains[gains != 0]).tolist())
    most = sum(size * count for size, count in sizes.items())
    # With t the sum of the sizes that came out positive, sum(gains) = 2 t - most; t is a sum of binomials, each times its size.
    chances = np.ones(1)
    for size, count in sizes.items():
        spread = np.zeros(size * count + 1)
        spread[::size] = _halves(count)
        chances = np.convolve(chances, spread)
    tail = (most - abs(int(gains.sum()))) // 2
    return min(1.0, 2 * float(chances[: tail + 1].sum()))


def paired_t(differences: np.ndarray) -> float:
    """Two-sided p of Student's t test that the mean of at least two `differences` is 0. Where all are equal there is nothing to
    estimate a deviation from: 1 for zeros, else 0."""
    mean, sd = mean_sd(differences)
    if not sd:
        return 1.0 if mean == 0 else 0.0
    return student_p(mean / (sd / sqrt(len(differences))), len(differences) - 1)


def student_p(t: float, freedom: int) -> float:
    """P(|T| >= |t|) of Student's distribution with `freedom` degrees of freedom: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = atan(abs(t) / sqrt(freedom))
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cos(angle) ** 2 * (k - 1) / k
        total += term
    inside = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return max(0.0, 1.0 - inside)


def _halves(count: int) -> np.ndarray:
    """The binomial distribution of `count` fair coins: float64 (count + 1,)."""
    k = np.arange(count + 1)
    factorials = np.array([lgamma(n + 1.0) for n in k])
    return np.exp(factorials[-1] - factorials - factorials[::-1] - count * log(2))

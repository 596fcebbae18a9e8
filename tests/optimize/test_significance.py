"""Significance: each p value against one that is counted out by hand, by brute force or by a published table."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from mcuml.errors import RequestError
from mcuml.optimize.significance import exchange_p, mean_sd, paired_t, student_p, verdict


def mcnemar(lost: int, gained: int) -> float:
    """By its definition, in whole numbers."""
    n = lost + gained
    return float(min(Fraction(1), 2 * Fraction(sum(comb(n, k) for k in range(min(lost, gained) + 1)), 2**n)))


def gains(lost: int, gained: int, same: int = 7) -> np.ndarray:
    return np.repeat([-1, 1, 0], [lost, gained, same])


@pytest.mark.parametrize(
    ("lost", "gained"), [(0, 0), (0, 1), (1, 1), (0, 5), (0, 6), (10, 2), (2, 10), (50, 31), (700, 640), (900, 600)]
)
def test_one_seed_is_the_exact_mcnemar_test(lost: int, gained: int) -> None:
    assert exchange_p(gains(lost, gained)) == pytest.approx(mcnemar(lost, gained), rel=1e-10)


def test_mcnemar_of_a_textbook() -> None:
    """Nine of nine discordant pairs one way: 2 / 2^9."""
    assert exchange_p(gains(9, 0)) == 2 / 512


@pytest.mark.parametrize("seed", range(6))
def test_clusters_against_all_exchanges(seed: int) -> None:
    """All 2^11 ways to exchange baseline and candidate, sample by sample."""
    held = np.random.default_rng(seed).integers(-3, 4, 11)
    sums = [abs(int(np.dot(signs, held))) for signs in itertools.product((-1, 1), repeat=len(held))]
    assert exchange_p(held) == pytest.approx(np.mean([s >= abs(held.sum()) for s in sums]), rel=1e-9)


def test_repeated_seeds_prove_nothing_new() -> None:
    """Five times the same network is one network: a test that took the seeds for independent would shrink p to almost nothing."""
    rng = np.random.default_rng(3)
    base, other = rng.random(1000) < 0.9, rng.random(1000) < 0.9
    once, often = verdict([base], [other]), verdict([base] * 5, [other] * 5)
    assert often.over_samples == pytest.approx(once.over_samples) and often.difference == once.difference


STUDENT = [  # t, degrees of freedom, two-sided p: the tables' critical values
    (12.706, 1, 0.05), (4.303, 2, 0.05), (3.182, 3, 0.05), (2.776, 4, 0.05), (2.571, 5, 0.05), (2.262, 9, 0.05),
    (63.657, 1, 0.01), (4.604, 4, 0.01), (3.250, 9, 0.01), (2.750, 30, 0.01), (8.610, 4, 0.001),
]  # fmt: skip


@pytest.mark.parametrize(("t", "freedom", "p"), STUDENT)
def test_student(t: float, freedom: int, p: float) -> None:
    assert student_p(t, freedom) == pytest.approx(p, rel=2e-3)
    assert student_p(-t, freedom) == student_p(t, freedom)


def test_student_at_its_ends() -> None:
    assert student_p(0, 1) == student_p(0, 4) == 1
    assert student_p(1, 1) == pytest.approx(0.5)
    assert paired_t(np.zeros(3)) == 1 and paired_t(np.full(3, -0.5)) == 0


def test_mean_and_deviation_over_seeds() -> None:
    assert mean_sd([1.0, 2.0, 4.5]) == (2.5, pytest.approx(np.sqrt((1.5**2 + 0.5**2 + 2**2) / 2)))
    assert mean_sd([3.0]) == (3.0, None)


def right(wrong: range, samples: int = 1000) -> np.ndarray:
    held = np.ones(samples, bool)
    held[wrong.start : wrong.stop] = False
    return held


JUDGED = {  # id: (wrong samples of the baseline per seed, of the candidate per seed, points, words)
    "equal": ([range(100)] * 3, [range(100)] * 3, 0.0, "inside the noise"),
    "worse-in-all": ([range(100)] * 3, [range(130), range(128), range(132)], -3.0, "worse"),
    "better-in-all": ([range(130), range(128), range(132)], [range(100)] * 3, 3.0, "better"),
    "gain-of-one-seed": ([range(130)], [range(100)], 3.0, "better, in one training"),
    "loss-of-one-seed": ([range(100)], [range(130)], -3.0, "worse"),
    "gain-of-one-in-three": ([range(100)] * 3, [range(96, 100)] + [range(100)] * 2, 3.2, "inside the noise"),
    "gain-that-seeds-do-not-share": ([range(130)] * 2, [range(129), range(60)], 3.55, "inside the noise"),
    "loss-that-seeds-do-not-share": ([range(60), range(129)], [range(130)] * 2, -3.55, "worse"),
    "one-sample": ([range(100)] * 2, [range(101)] * 2, -0.1, "inside the noise"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_words(case: str) -> None:
    base, other, points, words = JUDGED[case]
    held = verdict([right(w) for w in base], [right(w) for w in other])
    assert held.difference == pytest.approx(points) and held.words == words
    assert len(held.per_seed) == len(base) and (held.sd is None) == (held.over_seeds is None) == (len(base) == 1)


def test_chance_is_called_noise() -> None:
    """Of 400 pairs of recipes that differ by nothing, about a twentieth may be called different, however many the seeds."""
    rng, called = np.random.default_rng(5), 0
    for _ in range(400):
        hard = rng.random(300)  # how likely each sample is answered well, by any network
        base, other = ([rng.random(300) < hard for _ in range(3)] for _ in range(2))
        called += verdict(base, other).over_samples < 0.05
    assert 5 <= called <= 35


REFUSED = {
    "seeds": ([right(range(3))] * 2, [right(range(3))]),
    "samples": ([right(range(3), 10)], [right(range(3), 11)]),
    "no-seed": ([], []),
    "no-sample": ([right(range(0), 0)], [right(range(0), 0)]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unpaired_answers_are_refused(case: str) -> None:
    with pytest.raises(RequestError, match="cannot be compared in pairs"):
        verdict(*REFUSED[case])

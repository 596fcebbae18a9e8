"""Loops of a copy against numpy on random dimensions, and how far in place it may go, tried byte by byte."""

import numpy as np
import pytest

from mcuml.shapes import copy_distance, copy_steps, picked


def random_dims(rng):
    shape = rng.integers(1, 5, rng.integers(1, 5)).tolist()
    picks = []
    for n in shape:
        kind = rng.integers(0, 5)
        begin = int(rng.integers(0, n))
        picks.append(
            [
                np.arange(n),
                np.arange(n)[::-1],
                np.arange(begin, n),
                np.zeros(rng.integers(1, 4), np.int64),
                rng.integers(0, n, rng.integers(1, 7)),
            ][kind]
        )
    return shape, picks


@pytest.mark.parametrize("seed", range(60))
def test_loops_and_distance(seed):
    rng = np.random.default_rng(seed)
    shape, picks = random_dims(rng)
    dims = picked(shape, picks)
    source = rng.integers(0, 1 << 30, int(np.prod(shape)))
    wanted = source.reshape(shape)[np.ix_(*picks)].reshape(-1)

    (first, to), steps = copy_steps(dims)
    places = [(first, to)]
    for step in steps:
        sides = [np.arange(step.count) * side if isinstance(side, int) else np.array(side) for side in (step.source, step.target)]
        places = [(a + int(x), b + int(y)) for a, b in places for x, y in zip(*sides, strict=True)]
    assert [b for _, b in places] == list(range(len(wanted)))
    assert np.array_equal(source[[a for a, _ in places]], wanted)

    def in_place(distance):
        """The copy in one memory, in which the source lies `distance` behind the target."""
        memory = np.full(4 * (len(source) + len(wanted)), -1)
        target = len(source) + len(wanted)
        memory[target + distance : target + distance + len(source)] = source
        for a, b in places:
            memory[target + b] = memory[target + distance + a]
        return memory[target : target + len(wanted)]

    for distance in range(max(copy_distance(dims), -len(source)), len(wanted) + 2):
        assert np.array_equal(in_place(distance), wanted)


DISTANCES = [  # (source shape, what is picked of each dimension, least distance)
    ((6,), [range(6)], 0),
    ((6,), [range(2, 6)], -2),
    ((4, 3), [range(1, 4), range(1)], -3),
    ((6,), [range(5, -1, -1)], 5),
    ((3,), [[0, 0, 1, 1, 2, 2]], 3),
    ((2, 3), [[0, 0], range(3)], 3),
]


@pytest.mark.parametrize("shape, picks, least", DISTANCES)
def test_distance(shape, picks, least):
    assert copy_distance(picked(shape, [np.array(p) for p in picks])) == least


def test_a_copy_that_leaves_gaps_is_never_in_place():
    assert copy_distance(((np.arange(4), np.arange(4) * 2),)) is None

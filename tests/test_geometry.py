"""How far in place a walk over output pixels goes, against a simulation that marks each byte."""

import random

import pytest

from mcuml.geometry import axis, overlap_distance


def simulated(vertical, horizontal, in_channels, out_channels, item):
    """The least distance, from every pixel's window and all bytes written before it is read."""
    least = written = 0
    for r in range(vertical.out):
        for c in range(horizontal.out):
            rows = [r * vertical.stride - vertical.pad + k * vertical.dilation for k in range(vertical.taps)]
            columns = [c * horizontal.stride - horizontal.pad + k * horizontal.dilation for k in range(horizontal.taps)]
            read = [
                (y * horizontal.size + x) * in_channels * item
                for y in rows
                for x in columns
                if 0 <= y < vertical.size and 0 <= x < horizontal.size
            ]
            if read:
                least = max(least, written - min(read))
            written += out_channels * item
    return least


@pytest.mark.parametrize("seed", range(200))
def test_overlap_distance_is_safe_and_tight(seed: int) -> None:
    rng = random.Random(seed)
    padding = rng.choice(["SAME", "VALID"])
    taps = [rng.randint(1, 4) for _ in range(2)]
    axes = [axis(rng.randint(t, 9), t, rng.randint(1, 3), 1, padding) for t in taps]
    channels = rng.randint(1, 8), rng.randint(1, 8), rng.choice([1, 4])
    assert overlap_distance(*axes, *channels) == simulated(*axes, *channels)


@pytest.mark.parametrize("seed", range(50))
def test_windows_inside_the_input(seed: int) -> None:
    rng = random.Random(seed)
    taps, dilation = rng.randint(1, 4), rng.randint(1, 3)
    found = axis(rng.randint((taps - 1) * dilation + 1, 14), taps, rng.randint(1, 3), dilation, rng.choice(["SAME", "VALID"]))
    read = [[i * found.stride - found.pad + k * dilation for k in range(taps)] for i in range(found.out)]
    whole = [all(0 <= x < found.size for x in window) for window in read]
    assert (found.inside, found.all_inside) == (sum(whole), all(whole))

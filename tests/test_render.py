"""Constants as C text: each reads back as the value that it was, however many are formatted at once."""

import re

import numpy as np
import pytest

from mcuml.render import PER_LINE, _initializer

SPECIAL = [0.0, -0.0, 1.0, -3.0, 1e30, -1e-38, 1e-45, 123456.7, 8388607.5, 16777216.0, 99999999.5, 3.4028235e38, 0.1]


@pytest.mark.parametrize("at", range(0, PER_LINE + 1, 5))
@pytest.mark.parametrize("special", SPECIAL)
def test_floats_read_back(special: float, at: int) -> None:
    values = np.random.default_rng(at).normal(0, 1, 2 * PER_LINE + 5).astype(np.float32)
    values[at] = special
    text = re.split(r",\s*", _initializer(values))
    assert all(re.fullmatch(r"-?\d+(\.\d+(e[+-]\d+)?|e[+-]\d+)f", t) for t in text), text
    assert np.array_equal(np.array([t[:-1] for t in text], np.float64).astype(np.float32), values)


def test_what_no_literal_says() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 2.5], np.float32)
    assert _initializer(np.tile(values, 12)) == ",\n".join([",".join(["NAN", "INFINITY", "-INFINITY", "2.5f"] * 6)] * 2)


@pytest.mark.parametrize(
    ("dtype", "values", "text"),
    [
        ("bool", [True, False], "1,0"), ("int8", [-128, 127], "-128,127"), ("int32", [-(2**31), 5], "(-2147483647 - 1),5"),
        ("int64", [-(2**63)], "(-9223372036854775807 - 1)"), ("uint64", [2**64 - 1], "18446744073709551615u"),
    ],
)  # fmt: skip
def test_integers(dtype: str, values: list[int], text: str) -> None:
    assert _initializer(np.array(values, dtype)) == text

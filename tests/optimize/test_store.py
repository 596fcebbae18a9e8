"""The store: what was put comes back, from another connection too; what it cannot read is made again, not a crash."""

import sqlite3
from pathlib import Path

import pytest

from mcuml.errors import RequestError
from mcuml.optimize.accounting import Account
from mcuml.optimize.passes_effect import Costs, Effect, Passes
from mcuml.optimize.store import Store

ACCOUNT = Account(
    parameters=10, nonzero_parameters=8, tflite_bytes=1000, gzip_bytes=500, macs=40, scheme="int8", validation_accuracy=0.5,
    test_accuracy=0.25, validation_samples=2, test_samples=4, correct_validation="80", correct_test="10", boards=(),
)  # fmt: skip


def test_an_account_comes_back_when_the_file_is_opened_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.sqlite")
    store.put("key", "int8", 0, "ptq(format=int8)", ACCOUNT)
    store.close()
    again = Store(tmp_path / "results.sqlite")
    assert again.get("key") == ACCOUNT
    assert again.get("other") is None


def test_the_effects_of_passes_come_back(tmp_path: Path) -> None:
    full = Costs(100, 2000)
    found = Passes(board="here", full=full, effects=(Effect("one", full, True), Effect("two", None, needed="it must be.")))
    store = Store(tmp_path / "results.sqlite")
    store.put_passes("key", found)
    store.close()
    assert Store(tmp_path / "results.sqlite").passes("key") == found
    assert Store(tmp_path / "results.sqlite").passes("other") is None


def test_an_account_of_another_version_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.sqlite")
    store.put("key", "int8", 0, "ptq(format=int8)", ACCOUNT)
    with sqlite3.connect(tmp_path / "results.sqlite") as connection:
        connection.execute("UPDATE accounts SET account = replace(account, 'gzip_bytes', 'zip_bytes')")
    assert store.get("key") is None


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 20, None])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "results.sqlite"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=r"Cannot use .*results\.sqlite"):
        Store(path)

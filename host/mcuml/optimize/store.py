"""The results of an optimization in SQLite: written one by one as they come, read again when a run is resumed."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mcuml.errors import RequestError
from mcuml.optimize.accounting import Account
from mcuml.optimize.passes_effect import Passes

Held = TypeVar("Held", bound=BaseModel)

TABLE = """CREATE TABLE IF NOT EXISTS accounts (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, seed INTEGER NOT NULL, steps TEXT NOT NULL,
    account TEXT NOT NULL, at TEXT NOT NULL)"""
PASSES = "CREATE TABLE IF NOT EXISTS passes (key TEXT PRIMARY KEY, found TEXT NOT NULL)"


class Store:
    """The accounts in the file at `path`, by the key of the work that gave them. Raises RequestError naming the file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._connection = sqlite3.connect(path)
            self._connection.execute(TABLE)
            self._connection.execute(PASSES)
            self._connection.commit()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def get(self, key: str) -> Account | None:
        """The account of this key; None where there is none, or one that this version does not read."""
        return self._read(Account, "SELECT account FROM accounts WHERE key = ?", key)

    def passes(self, key: str) -> Passes | None:
        """The effects of mcuml's passes that were put under this key, as get()."""
        return self._read(Passes, "SELECT found FROM passes WHERE key = ?", key)

    def put_passes(self, key: str, passes: Passes) -> None:
        self._write("INSERT OR REPLACE INTO passes VALUES (?, ?)", (key, passes.model_dump_json()))

    def put(self, key: str, recipe: str, seed: int, steps: str, account: Account) -> None:
        row = (key, recipe, seed, steps, account.model_dump_json(), datetime.now(timezone.utc).isoformat(timespec="seconds"))
        self._write("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?)", row)

    def _read(self, kind: type[Held], query: str, key: str) -> Held | None:
        try:
            row = self._connection.execute(query, (key,)).fetchone()
            return kind.model_validate_json(row[0]) if row else None
        except ValidationError:
            return None
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _write(self, statement: str, row: tuple[object, ...]) -> None:
        try:
            with self._connection:
                self._connection.execute(statement, row)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        self._connection.close()

    def _error(self, error: sqlite3.Error) -> RequestError:
        return RequestError(
            f"Cannot use {self.path}.", str(error), "Free some space, or remove the file: its results are made again."
        )

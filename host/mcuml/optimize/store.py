"""The results of an optimization in SQLite: written one by one as they come, read again when a run is resumed."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from pathlib import Path

from pydantic import ValidationError

from mcuml.errors import RequestError
from mcuml.optimize.accounting import Account

TABLE = """CREATE TABLE IF NOT EXISTS accounts (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, seed INTEGER NOT NULL, steps TEXT NOT NULL,
    account TEXT NOT NULL, at TEXT NOT NULL)"""


class Store:
    """The accounts in the file at `path`, by the key of the work that gave them. Raises RequestError naming the file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._connection = sqlite3.connect(path)
            self._connection.execute(TABLE)
            self._connection.commit()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def get(self, key: str) -> Account | None:
        """The account of this key; None where there is none, or one that this version does not read."""
        try:
            row = self._connection.execute("SELECT account FROM accounts WHERE key = ?", (key,)).fetchone()
            return Account.model_validate_json(row[0]) if row else None
        except ValidationError:
            return None
        except sqlite3.Error as error:
            raise self._error(error) from error

    def put(self, key: str, recipe: str, seed: int, steps: str, account: Account) -> None:
        row = (key, recipe, seed, steps, account.model_dump_json(), datetime.now(timezone.utc).isoformat(timespec="seconds"))
        try:
            with self._connection:
                self._connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        self._connection.close()

    def _error(self, error: sqlite3.Error) -> RequestError:
        return RequestError(
            f"Cannot use {self.path}.", str(error), "Free some space, or remove the file: its results are made again."
        )

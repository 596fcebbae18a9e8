"""The `mcuml` command as a user runs it: a process of its own, with a cache that the tests of one run share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner, Result

from mcuml import cli

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "digits" / "digits_int8.tflite"
DIGITS_DATA = DIGITS.with_name("digits_test.npz")
COMMAND = (sys.executable, "-m", "mcuml")


@cache
def cache_folder() -> Path:
    """One cache for all workers of a test run, so that each firmware is compiled once."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    return Path(tempfile.gettempdir()) / f"mcuml-tests-{run}"


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment with mcuml from the checkout, plain text and the shared cache; None takes a variable out."""
    wanted = {
        "PYTHONPATH": str(ROOT / "host"),
        "MCUML_CACHE": str(cache_folder()),
        "NO_COLOR": "1",
        "COLUMNS": None,
        "MCUML_TOOLCHAIN": None,
    }
    merged: dict[str, str | None] = {**os.environ, **wanted, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def mcuml(
    *words: object, cwd: Path | None = None, limit_s: float = 120, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run `mcuml <words>` to its end. Whatever happens, a traceback is a failure, and so is taking longer than `limit_s`."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)], cwd=cwd, env=environment(**changes), capture_output=True, text=True, encoding="utf-8",
        stdin=subprocess.DEVNULL, timeout=limit_s, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def in_process(*words: object, **changes: str | None) -> Result:
    """The same within this process, for commands that end soon. An exception that is no exit status is a failure."""
    with mock.patch.dict(os.environ, environment(**changes), clear=True):
        done = CliRunner().invoke(cli._app(), list(map(str, words)), prog_name="mcuml")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done

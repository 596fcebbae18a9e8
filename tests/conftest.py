"""Fixtures for all tests: where the shared models and data are; and Keras 2 for TensorFlow, whoever imports it first."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "1"


def pytest_configure() -> None:
    """A run that is told to end unwinds as at Ctrl-C, so that simulators and compilers end with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def shared_folder() -> Path | None:
    """The folder with shared models and data: MCUML_SHARED, or `shared` beside the checkout; None when neither is there."""
    root = Path(__file__).resolve().parents[1]
    for place in (os.environ.get("MCUML_SHARED"), root.parent / "shared", root / "shared"):
        if place and (Path(place) / "models").is_dir():
            return Path(place)
    return None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; a test that needs it is skipped where it is missing."""
    found = shared_folder()
    if found is None:
        pytest.skip("The shared models are not here; set MCUML_SHARED to the folder that holds models/ and data/.")
    return found

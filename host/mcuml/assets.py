"""The one place that finds templates/, boards/, firmware/ and data/, in a checkout or in an installed wheel, and the cache."""

import os
import sys
from pathlib import Path

from mcuml.errors import RequestError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Path of the asset folder `name` ("templates", "boards", "firmware", "data").

    A wheel carries them under mcuml/_assets; a checkout (or an editable install) has them at its root.
    Raises RequestError when neither is there."""
    for root in (_PACKAGE / "_assets", _PACKAGE.parents[1]):
        if (root / name).is_dir():
            return root / name
    raise RequestError(
        f"mcuml's own folder '{name}' is missing.",
        f"Looked beside {_PACKAGE} and in the checkout above it.",
        "Reinstall mcuml: pip install --force-reinstall mcuml",
    )


def cache_folder() -> Path:
    """Where mcuml keeps builds: $MCUML_CACHE, else this system's place for caches."""
    if os.environ.get("MCUML_CACHE"):
        return Path(os.environ["MCUML_CACHE"]).expanduser().resolve()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mcuml"

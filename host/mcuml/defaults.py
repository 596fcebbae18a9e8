"""What mcuml assumes where nothing is said: data/defaults.toml."""

from __future__ import annotations

import sys

from mcuml import assets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def default(key: str) -> str:
    """The value of `key`, which must be there."""
    return str(tomllib.loads((assets.folder("data") / "defaults.toml").read_text(encoding="utf-8"))[key])

"""What the command line assumes where nothing is said: data/defaults.toml."""

import sys

from mcuml import assets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def default_board() -> str:
    """The board that a verb takes when --board is not given."""
    return str(tomllib.loads((assets.folder("data") / "defaults.toml").read_text(encoding="utf-8"))["board"])

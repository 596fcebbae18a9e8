"""What the command line assumes where nothing is said."""

from mcuml.defaults import default


def default_board() -> str:
    """The board that a verb takes when --board is not given."""
    return default("board")

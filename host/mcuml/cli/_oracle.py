"""The oracle as the procedures take it. It is an extra: without it everything but the comparison is still worth having."""

from mcuml.bench import Oracle

MISSING = "[yellow]not verified[/]: TFLite Micro is not installed; pip install 'mcuml\\[verify]'"


def find_oracle() -> Oracle | None:
    """None where neither of its interpreters is installed."""
    from mcuml import reference

    return reference.oracle()

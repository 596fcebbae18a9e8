"""The oracle as the procedures take it. It is an extra: without it everything but the comparison is still worth having."""

import importlib.util
from pathlib import Path

from mcuml.bench import Oracle, Samples

MISSING = "[yellow]not verified[/]: TFLite Micro is not installed; pip install 'mcuml\\[verify]'"


def find_oracle() -> Oracle | None:
    """None where neither of its interpreters is installed."""
    if not any(importlib.util.find_spec(name) for name in ("tflite_micro", "ai_edge_litert")):
        return None
    return ask


def ask(model: Path, inputs: Samples) -> tuple[str, Samples]:
    """(name and version of the oracle, its outputs): at this module's top, so that worker processes can be given it."""
    from mcuml import reference

    answer = reference.ask(model, inputs)
    return answer.oracle, answer.samples

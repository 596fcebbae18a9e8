"""Model and data in, smaller and faster models out: recipes of pruning, clustering, quantization and rewrites (TensorFlow).

From Python: `Recipe`, `run`, and every step by its name, in small letters: `Recipe("small", (prune(sparsity=0.9), ptq()))`.
Nothing of it is imported before it is asked for, and TensorFlow not before something runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcuml.optimize.procedure import run
    from mcuml.optimize.recipe import Recipe

__all__ = ["Recipe", "run"]


def __getattr__(name: str) -> Any:
    if name == "Recipe":
        from mcuml.optimize.recipe import Recipe

        return Recipe
    if name == "run":
        from mcuml.optimize.procedure import run

        return run
    if (Path(__file__).parent / "steps" / f"{name}.py").is_file():
        from mcuml.optimize.steps import all_steps

        return all_steps()[name]
    raise AttributeError(f"module 'mcuml.optimize' has no attribute '{name}'")

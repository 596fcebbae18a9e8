"""All recipes. A key is the operator's name as ops.registry() has it; behind a blank it says which of several recipes this is."""

from __future__ import annotations

from fuzz import chains, control, recipes, signals, stateful, weighted
from fuzz.draft import Recipe

RECIPES: dict[str, Recipe] = {
    **recipes.RECIPES,
    **weighted.RECIPES,
    **chains.RECIPES,
    **stateful.RECIPES,
    **control.RECIPES,
    **signals.RECIPES,
}


def operator(key: str) -> str:
    return key.partition(" ")[0]

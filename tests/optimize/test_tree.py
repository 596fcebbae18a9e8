"""What is the same work and what is not: the keys of steps and accounts."""

from dataclasses import replace
from pathlib import Path

from mcuml.optimize.recipe import Recipe, parse
from mcuml.optimize.tree import Chain, chain
from mcuml.optimize.work import Shared

ROOT = Path("work/root.keras")
DATA = Shared("data.npz", "0..1", (4, 4, 1), 3, "abc", 64)


def made(text: str, seed: int = 0, before: str = "", shared: Shared = DATA, boards: tuple[str, ...] = ("here",)) -> Chain:
    recipe = parse(text)
    steps = parse(f"{before}+float32").steps[:-1] if before else ()
    return chain(Recipe(recipe.name, recipe.steps), seed, steps, ROOT, shared, boards, "balanced", None)


def keys(c: Chain) -> list[str]:
    return [stage.key for stage in c.stages]


def test_recipes_share_what_they_begin_with() -> None:
    a, b = made("fold+int8"), made("fold+dynamic")
    assert keys(a)[0] == keys(b)[0] and keys(a)[1] != keys(b)[1]
    assert a.stages[0].target == b.stages[1].source == Path("work") / f"{keys(a)[0]}.keras"
    assert a.stages[1].target.suffix == ".tflite" and a.accounting.source == a.stages[1].target


def test_everything_that_a_step_depends_on_is_in_its_key() -> None:
    same = made("fold+int8")
    others = [
        made("fold+int8", seed=1),
        made("fold+int8", shared=Shared("data.npz", "0..1", (4, 4, 1), 3, "other", 64)),
        made("fold+int8", shared=Shared("data.npz", "0..1", (4, 4, 1), 3, "abc", 32)),
        made("equalize+fold+int8"),
        made("fold+int8(samples=50)"),
    ]
    assert len({made("fold+int8").accounting.key, same.accounting.key, *(c.accounting.key for c in others)}) == 6


def test_where_the_data_file_lies_and_what_a_recipe_is_called_changes_nothing() -> None:
    named = chain(Recipe("other", parse("fold+int8").steps), 0, (), ROOT, DATA, ("here",), "balanced", None)
    elsewhere = made("fold+int8", shared=Shared("moved/data.npz", "0..1", (4, 4, 1), 3, "abc", 64))
    assert keys(made("fold+int8")) == keys(named) == keys(elsewhere)


def test_another_board_needs_another_account_of_the_same_file() -> None:
    a, b = made("int8"), made("int8", boards=("there",))
    assert keys(a) == keys(b) and a.accounting.key != b.accounting.key
    changed = made("int8", shared=replace(DATA, boards="the file of this name says something else"))
    assert keys(a) == keys(changed) and a.accounting.key != changed.accounting.key


def test_the_teacher_is_the_model_that_recipes_start_from() -> None:
    assert [stage.teacher for stage in made("fold+int8").stages] == [ROOT, ROOT]
    trained = made("fold+int8", before="equalize")
    assert [stage.teacher for stage in trained.stages] == [ROOT, *2 * [trained.stages[0].target]]


def test_a_step_is_told_what_the_steps_of_its_recipe_left() -> None:
    c = made("prune+fold+int8")
    assert [sorted(stage.traits) for stage in c.stages] == [[], ["sparse"], ["sparse"]]
    assert [sorted(stage.traits) for stage in made("int8", before="prune").stages] == [[], []]

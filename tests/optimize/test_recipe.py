"""Recipes: what a line or a file means, which orders are legal, and that a lock file gives the same recipes back."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from mcuml.errors import RequestError
from mcuml.optimize import recipe
from mcuml.optimize.steps import CLUSTERED, EXPORTED, SPARSE, Step


class Thin(Step):
    name = "thin"
    summary = "leaves zeros"
    gives = frozenset({SPARSE})
    refuses: ClassVar[Mapping[str, str]] = {CLUSTERED: "the shared values would drift apart"}
    rank = 20
    share: float = Field(default=0.8, gt=0, lt=1)
    schedule: str = "polynomial"
    batch: int | None = None


class Share(Step):
    name = "share"
    summary = "leaves clusters"
    gives = frozenset({CLUSTERED})
    rank = 30
    count: int = Field(default=16, ge=2)


class Out(Step):
    name = "out"
    summary = "writes a file"
    gives = frozenset({EXPORTED})
    short: ClassVar[Mapping[str, Mapping[str, str]]] = {"float32": {"format": "float32"}, "int8": {"format": "int8"}}
    in_all: ClassVar[bool] = False
    format: str = "int8"

    def legal_after(self, traits: frozenset[str]) -> str:
        return "floats keep no clusters" if CLUSTERED in traits and self.format == "float32" else ""


@pytest.fixture(autouse=True)
def three_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {step.name: step for step in (Out, Share, Thin)}
    monkeypatch.setattr(recipe, "all_steps", lambda: steps)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("int8", (Out(),)),
        ("out(format=float32)", (Out(format="float32"),)),
        (" thin + int8 ", (Thin(), Out())),
        ("thin(share=0.5, schedule=constant)+share(count=4)+int8", (Thin(share=0.5, schedule="constant"), Share(count=4), Out())),
        ("thin(share=1e-1)+float32", (Thin(share=0.1), Out(format="float32"))),
        ("thin(share=5.0e-1,batch=1)+int8", (Thin(share=0.5, batch=1), Out())),
        ("thin()+int8", (Thin(), Out())),
    ],
)
def test_a_line_becomes_steps(text: str, steps: tuple[Step, ...]) -> None:
    parsed = recipe.parse(text)
    assert parsed.steps == steps
    assert recipe.parse(parsed.text).steps == steps
    assert recipe.parse(recipe.full_text(parsed.steps)).steps == steps


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not a step"),
        ("thin+", "'' is not a step"),
        ("thin(share+int8", "'thin(share' is not a step"),
        ("cut+int8", "there is no step 'cut'"),
        ("thin(share)+int8", "'share' is not a setting"),
        ("thin(share=2)+int8", "thin does not take share = '2'"),
        ("thin(depth=2)+int8", "thin does not take depth"),
        ("thin", "does not end in an export"),
        ("int8+thin", "thin cannot come after out: an exported model"),
        ("int8+float32", "out cannot come after out"),
        ("share+thin+int8", "thin cannot come after share: the shared values would drift apart"),
        ("share+float32", "float32 cannot come after share: floats keep no clusters"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(RequestError) as error:
        recipe.parse(text)
    assert words in str(error.value)


def test_all_runs_every_legal_recipe_once_in_the_order_of_ranks() -> None:
    assert [r.name for r in recipe.every_recipe()] == [
        "float32", "int8", "share+int8", "thin+float32", "thin+int8", "thin+share+int8"
    ]  # fmt: skip


def test_settings_for_all_recipes_yield_to_a_recipe_of_its_own() -> None:
    choice = recipe.choose(["thin+int8", "thin(share=0.7)+int8"], settings=["thin.share=0.25"])
    assert [r.steps[0] for r in choice.recipes[1:]] == [Thin(share=0.25), Thin(share=0.7)]
    assert choice.recipes[0].name == recipe.BASELINE


@pytest.mark.parametrize(
    ("words", "baseline", "settings", "sentence"),
    [
        (["int8", "int8"], "", [], "Two recipes have the name 'int8'"),
        (["baseline.toml"], "", [], "Cannot read baseline.toml"),
        (["int8"], "int8", [], "--baseline 'int8' is not legal"),
        (["int8"], "share+thin", [], "--baseline 'share+thin' is not legal"),
        (["int8"], "", ["thin"], "--set thin is not a setting"),
        (["int8"], "", ["cut.share=1"], "'cut', which is no step"),
    ],
)
def test_a_command_line_that_means_nothing_is_refused(
    words: list[str], baseline: str, settings: list[str], sentence: str
) -> None:
    with pytest.raises(RequestError) as error:
        recipe.choose(words, baseline, settings)
    assert sentence in str(error.value)


def test_a_file_of_recipes(tmp_path: Path) -> None:
    path = tmp_path / "recipes.toml"
    path.write_text(
        'baseline = "thin"\n[set.thin]\nshare = 0.25\n[recipes]\nsmall = "thin+int8"\nlocked = "thin(share=0.5)+int8"\n'
    )
    choice = recipe.choose([str(path)])
    assert choice.before == (Thin(share=0.25),)
    assert [(r.name, r.steps[0]) for r in choice.recipes[1:]] == [("small", Thin(share=0.25)), ("locked", Thin(share=0.5))]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "recipes: Field required"),
        ("[recipes]\n", "recipes: Dictionary should have at least 1 item"),
        ("recipes = 3\n", "recipes: Input should be a valid dictionary"),
        ('[recipes]\na = "int8"\n[more]\n', "more: Extra inputs"),
        ("[recipes]\na = 3\n", "recipes.a: Input should be a valid string"),
        ('[set]\nthin = 3\n[recipes]\na = "int8"\n', "set.thin"),
        ('[set.cut]\nshare = 3\n[recipes]\na = "int8"\n', "'cut', which is no step"),
        ("[recipes\n", "is not a TOML file"),
        ('[recipes]\na = "thin"\n', "Recipe 'a' does not end in an export"),
        ("\x00", "is not a TOML file"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name_and_key(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "recipes.toml"
    path.write_text(content)
    with pytest.raises(RequestError) as error:
        recipe.choose([str(path)])
    assert sentence in str(error.value)

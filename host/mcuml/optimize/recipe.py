"""Recipes: sequences of steps that end in an export, read from `a+b+c` or a TOML file, and which of them are legal."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcuml.errors import RequestError
from mcuml.optimize.steps import EXPORTED, Step, all_steps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Settings = Mapping[str, Mapping[str, Any]]  # step name -> settings that replace its defaults
WORD = re.compile(r"\s*([\w.-]+)\s*(?:\(([^()]*)\))?\s*")
ALL, BASELINE = "all", "baseline"
LONGEST = 2  # steps before the export in the recipes of `all`


@dataclass(frozen=True)
class Recipe:
    """Steps in the order they run; the last is an export. Raises RequestError, naming the two steps, when that is not legal."""

    name: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        reason = illegal(self.steps)
        if reason:
            raise RequestError(f"Recipe '{self.name}' is not legal: {reason}")
        if not self.steps or EXPORTED not in self.steps[-1].gives:
            exports = ", ".join(sorted(word for word, (step, _) in words().items() if EXPORTED in step.gives))
            raise RequestError(f"Recipe '{self.name}' does not end in an export.", "", f"End it with one of: {exports}.")

    @property
    def text(self) -> str:
        """The recipe as `a(setting=value)+b`, with every setting that is not the default: parse() gives the same back."""
        return "+".join(map(step_text, self.steps))


def words() -> dict[str, tuple[type[Step], Mapping[str, Any]]]:
    """Each word of a recipe: a step's name, or a short name of a step with settings (int8: ptq(format=int8))."""
    found: dict[str, tuple[type[Step], Mapping[str, Any]]] = {}
    for name, step in all_steps().items():
        found[name] = (step, {})
        found |= {word: (step, settings) for word, settings in step.short.items()}
    return found


def step_text(step: Step) -> str:
    """`name(setting=value)`, with the settings that are not the defaults, by its short name where it has one."""
    settings = {k: v for k, v in step.model_dump().items() if v != type(step).model_fields[k].default}
    name = step.name
    for word, preset in step.short.items():
        if all(step.model_dump()[k] == v for k, v in preset.items()):
            name, settings = word, {k: v for k, v in settings.items() if k not in preset}
    return _written(name, settings)


def full_text(steps: Sequence[Step]) -> str:
    """Steps with every setting, joined by "+": defaults may change from version to version."""
    return "+".join(_written(step.name, step.model_dump(exclude_none=True)) for step in steps)


def _written(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name}({','.join(f'{k}={v}' for k, v in settings.items())})" if settings else name


def make_step(word: str, settings: Mapping[str, Any], defaults: Settings, where: str) -> Step:
    """The step that `word` names. `defaults`: by step name. Raises RequestError naming `where` and what is possible."""
    known = words()
    if word not in known:
        raise RequestError(f"{where}: there is no step '{word}'.", "", f"Steps: {', '.join(known)}.")
    step, preset = known[word]
    try:
        return step(**{**defaults.get(step.name, {}), **preset, **settings})
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"])) or step.name
        raise RequestError(
            f"{where}: {step.name} does not take {setting} = {first['input']!r}: {first['msg']}.",
            "",
            f"Settings of {step.name}: {describe(step)}.",
        ) from error


def describe(step: type[Step]) -> str:
    """`setting=default` of every setting."""
    return ", ".join(f"{name}={field.default}" for name, field in step.model_fields.items()) or "none"


def parse(text: str, defaults: Settings | None = None, name: str = "") -> Recipe:
    """The recipe written as `prune(sparsity=0.9)+int8`. Raises RequestError naming the word that is wrong."""
    return Recipe(name or text, tuple(_steps(text, defaults or {}, f"Recipe '{text}'")))


def _steps(text: str, defaults: Settings, where: str) -> list[Step]:
    steps = []
    for part in _parts(text):
        match = WORD.fullmatch(part)
        if not match:
            raise RequestError(
                f"{where}: '{part}' is not a step.", "", "Write name or name(setting=value,setting=value), joined by '+'."
            )
        settings: dict[str, Any] = {}
        for pair in filter(None, (match[2] or "").split(",")):
            key, equals, value = pair.partition("=")
            if not equals:
                raise RequestError(f"{where}: '{pair}' is not a setting.", "", "Write setting=value.")
            settings[key.strip()] = value.strip()
        steps.append(make_step(match[1], settings, defaults, where))
    return steps


def _parts(text: str) -> list[str]:
    """The text between those '+' that stand outside of brackets (1e+3 may stand inside)."""
    return re.split(r"\+(?![^()]*\))", text)


def illegal(steps: Sequence[Step]) -> str:
    """Why these steps may not follow one another, as a sentence; empty if they may."""
    left: dict[str, Step] = {}  # trait -> the step that gave it
    for step in steps:
        if EXPORTED in left:
            return f"{step.name} cannot come after {left[EXPORTED].name}: an exported model is no longer trained or rewritten."
        for trait, reason in step.refuses.items():
            if trait in left:
                return f"{step.name} cannot come after {left[trait].name}: {reason}."
        reason = step.legal_after(frozenset(left))
        if reason:
            return f"{step_text(step)} cannot come after {', '.join(s.name for s in dict.fromkeys(left.values()))}: {reason}."
        left |= dict.fromkeys(step.gives, step)
    return ""


def every_recipe(defaults: Settings | None = None) -> list[Recipe]:
    """All legal recipes of at most LONGEST components that change the model, each at most once: exported in every format where
    there is at most one, else in the one that an export's defaults give (int8)."""
    steps = [make_step(name, {}, defaults or {}, "--recipe all") for name, step in all_steps().items() if step.in_all]
    exports = {
        word: make_step(word, {}, defaults or {}, "--recipe all")
        for word, (step, preset) in words().items()
        if EXPORTED in step.gives and preset
    }
    usual = [exports[w] for w in exports if all(words()[w][0].model_fields[k].default == v for k, v in words()[w][1].items())]
    found = []
    for count in range(LONGEST + 1):
        for chosen in itertools.permutations(steps, count):
            found += [
                Recipe("+".join(step_text(s).partition("(")[0] for s in (*chosen, export)), (*chosen, export))
                for export in (exports.values() if count < LONGEST else usual)
                if not illegal((*chosen, export)) and _canonical(chosen)
            ]
    return found


def _canonical(chosen: Sequence[Step]) -> bool:
    """Whether this is the usual order of these steps: of two legal orders `all` runs the one of the steps' ranks."""
    return all(a.rank <= b.rank for a, b in itertools.pairwise(chosen))


class Locked(BaseModel):
    """What a lock file says the run was made from; `model_sha256` and `data_sha256` must be the same when it is repeated."""

    model_config = ConfigDict(extra="allow")

    model_sha256: str = ""
    data_sha256: str = ""


class RecipeFile(BaseModel):
    """The content of a TOML file of recipes:

    baseline = "train(epochs=10)"      # optional: steps ahead of every recipe
    [set.prune]                        # optional: settings for all recipes
    epochs = 4
    [recipes]
    small = "prune(sparsity=0.9)+int8"
    """

    model_config = ConfigDict(extra="forbid")

    baseline: str = ""
    set: dict[str, dict[str, Any]] = {}
    recipes: dict[str, str] = Field(min_length=1)
    locked: Locked = Locked()


@dataclass(frozen=True)
class Loaded:
    """A recipe file, parsed."""

    recipes: tuple[Recipe, ...]
    baseline: str
    settings: Settings
    locked: Locked


def load(path: Path, overrides: Settings | None = None) -> Loaded:
    """The recipes of a TOML file. `overrides`: settings that replace the file's. Raises RequestError naming file and key."""
    try:
        content = RecipeFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RequestError(f"Cannot read {path}.", str(error.strerror), "Give the path of a TOML file with recipes.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not a TOML file.", str(error), "") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(
            f"{path}: {where}: {first['msg']}.",
            "",
            'Keys: baseline, [set.STEP], and [recipes] with lines as: small = "prune+int8".',
        ) from error
    defaults = merged(content.set, overrides or {})
    recipes = tuple(parse(text, defaults, name) for name, text in content.recipes.items())
    return Loaded(recipes, content.baseline, defaults, content.locked)


@dataclass(frozen=True)
class Choice:
    """What a command line asks for. `recipes`: the baseline's, then the others. `before`: the steps that make the baseline."""

    recipes: tuple[Recipe, ...]
    before: tuple[Step, ...]
    locked: Locked


def choose(words: Sequence[str | Recipe], baseline: str = "", settings: Sequence[str] = ()) -> Choice:
    """The recipes of `words`: `a+b+c`, a .toml file, `all`, or a Recipe. `baseline`: steps ahead of each, as text. `settings`:
    STEP.KEY=VALUE each. Raises RequestError naming the word."""
    given = merged(*map(_setting, settings))
    first: Settings = given  # of the baseline's steps: the files' settings too
    recipes, locked = [parse("float32", name=BASELINE)], Locked()
    for word in words:
        if isinstance(word, Recipe):
            recipes.append(word)
        elif word == ALL:
            recipes += [r for r in every_recipe(given) if r.steps != recipes[0].steps]
        elif word.endswith(".toml"):
            file = load(Path(word), given)
            recipes += file.recipes
            baseline, locked, first = baseline or file.baseline, file.locked, merged(file.settings, first)
        else:
            recipes.append(parse(word, given))
    names = [r.name for r in recipes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError(f"Two recipes have the name '{twice}'.", "", "Give each recipe once, and its own name in TOML files.")
    before = tuple(_steps(baseline, first, f"--baseline '{baseline}'")) if baseline else ()
    reason = illegal(before)
    if reason or any(EXPORTED in step.gives for step in before):
        raise RequestError(f"--baseline '{baseline}' is not legal.", reason, "Give steps that train or rewrite, no export.")
    return Choice(tuple(recipes), before, locked)


def _setting(text: str) -> Settings:
    step, dot, rest = text.partition(".")
    name, equals, value = rest.partition("=")
    if not dot or not equals:
        raise RequestError(f"--set {text} is not a setting.", "", "Write --set STEP.KEY=VALUE, as --set prune.epochs=2.")
    return {step.strip(): {name.strip(): value.strip()}}


def merged(*layers: Settings) -> dict[str, dict[str, Any]]:
    """Settings by step, later layers replacing earlier ones. Raises RequestError for a step that there is not."""
    found: dict[str, dict[str, Any]] = {}
    for step, settings in itertools.chain.from_iterable(layer.items() for layer in layers):
        if step not in all_steps():
            raise RequestError(f"Settings are given for '{step}', which is no step.", "", f"Steps: {', '.join(all_steps())}.")
        found.setdefault(step, {}).update(settings)
    return found

"""The data of an optimization: training, validation and test samples, kept apart."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcuml import arrays
from mcuml.errors import RequestError, UserError
from mcuml.optimize import images, samples

SEED = 7
KEYS = {  # split -> what .npz files call its samples
    "train": ("x_train", "x"),
    "validation": ("x_validation", "x_val", "x_valid"),
    "test": ("x_test",),
}
TRY_NPZ = "Write it with numpy.savez(file, x_train=..., y_train=..., x_test=..., y_test=...), or with x=... and y=... alone."
TRY_FUNCTION = "Let it return {'x_train': ..., 'y_train': ..., 'x_test': ..., 'y_test': ...}, or (x, y)."
SMALL = 100  # samples below which one of them moves the accuracy by more than a point


@dataclass(frozen=True, eq=False)
class Split:
    """`x`: float32 (n, *input shape), as the model takes it. `y`: int64 (n,), class numbers from 0."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, count: int | None, seed: int = SEED) -> Split:
        """`count` samples with the classes in the same shares; all of them if there are no more, or for None."""
        if count is None or count >= len(self):
            return self
        chosen = samples.stratified(self.y, count, seed)
        return Split(self.x[chosen], self.y[chosen])


@dataclass(frozen=True, eq=False)
class Data:
    """`train` fits weights and calibrates ranges, `validation` chooses between candidates, `test` is only reported: no step
    and no choice looks at it. `sha256`: of all three, with how they were parted and scaled. `warnings`: sentences on what
    may be wrong with the data and does not stop the work."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    sha256: str
    warnings: tuple[str, ...] = ()

    def take(self, train: int | None = None, validation: int | None = None, test: int | None = None, seed: int = SEED) -> Data:
        """The same data with at most so many samples per split, the classes in the same shares."""
        parts = self.train.take(train, seed), self.validation.take(validation, seed), self.test.take(test, seed)
        name = f"{self.name} ({' + '.join(f'{len(part):,}' for part in parts)} samples)"
        return Data(name, *parts, self.classes, _sha256(parts), self.warnings)


def load(spec: str | Path, input_shape: tuple[int, ...], classes: int, pixels: str = "0..1", resize: bool = False) -> Data:
    """The data that `spec` names, for a model with this input (without the batch) and so many classes.

    `spec`: a .npz file, a folder or .zip of images (one folder per class, below train/, validation/ and test/ or without
    them), or `module:function`, a Python function without parameters that returns arrays. A validation or test set that is
    missing is a tenth of the training samples, taken with a fixed seed and the classes in the same shares. uint8 samples are
    scaled to `pixels`, floats stay as they are. `resize`: whether images of another size are resized or refused.
    Raises RequestError."""
    if pixels not in samples.SCALES:
        raise RequestError(f"Pixels cannot be scaled to '{pixels}'.", "", f"Choose one of: {', '.join(samples.SCALES)}.")
    path, name = Path(spec), str(spec)
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip"):
        found, warnings = images.load(path, input_shape, classes, resize)
    elif path.is_file() and path.suffix.lower() == ".npz":
        found, warnings = _named(arrays.Npz(path), name, TRY_NPZ)
    elif not path.exists() and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        found, warnings = _named(_called(name), name, TRY_FUNCTION)
    else:
        raise RequestError(
            f"There is no data {name}." if not path.exists() else f"mcuml optimize cannot read data from {name}.",
            "" if not path.exists() else f"Its name ends in '{path.suffix}'.",
            "Give a .npz file, a folder or .zip of images (one folder per class), or a Python function as module:function.",
        )
    checked = {s: samples.check(x, y, input_shape, classes, f"{name}, {s}") for s, (x, y) in found.items()}
    if len({x.dtype == np.uint8 for x, _ in checked.values()}) > 1:
        raise RequestError(
            f"{name}: one part of the data is uint8 and another float, so they are scaled differently.",
            ", ".join(f"{split}: {x.dtype}" for split, (x, _) in checked.items()),
            "Give all of them as uint8, or all as floats of the same range.",
        )
    parts = _parted(checked, classes, name)
    warnings += _doubts(parts, classes)
    train, validation, test = (Split(samples.scaled(x[i], input_shape, pixels), y[i]) for x, y, i in parts)
    return Data(path.name or name, train, validation, test, classes, _sha256((train, validation, test)), tuple(warnings))


def _named(given: Mapping[str, Any], name: str, advice: str) -> tuple[dict[str, samples.Labelled], list[str]]:
    """The arrays by split, and a warning on those that are not used."""
    found, used = {}, set()
    for split, keys in KEYS.items():
        for key in (k for k in keys if k in given and split not in found):
            label = f"y{key[1:]}"
            if label not in given:
                raise RequestError(f"{name} has '{key}' but no '{label}'.", f"It holds: {', '.join(given)}.", advice)
            found[split] = (np.asarray(given[key]), np.asarray(given[label]))
            used |= {key, label}
    if "train" not in found:
        raise RequestError(f"{name} has no training samples.", f"It holds: {', '.join(map(str, given)) or 'nothing'}.", advice)
    unused = [str(key) for key in given if key not in used]
    return found, [f"{name}: not used are {', '.join(unused)}."] if unused else []


def _called(name: str) -> Mapping[str, Any]:
    """What the function returns, by the names of .npz files. The current folder's modules are found, too."""
    module_name, function_name = name.split(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        result = getattr(importlib.import_module(module_name), function_name)()
    except UserError:
        raise
    except Exception as error:
        raise RequestError(
            f"The data function {name} failed.",
            f"{type(error).__name__}: {error}",
            f"Try: python -c 'import {module_name}; {module_name}.{function_name}()'",
        ) from error
    finally:
        sys.path.remove(here)
    return _by_name(result, name)


def _by_name(result: Any, name: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    if isinstance(result, tuple | list):
        pairs = all(isinstance(r, tuple | list) and len(r) == 2 and all(hasattr(a, "shape") for a in r) for r in result)
        values = [array for pair in result for array in pair] if pairs else list(result)
        names = {1: ("train",), 2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(values) // 2, ())
        if names and len(values) % 2 == 0:
            return {f"{axis}_{split}": values[2 * i + k] for i, split in enumerate(names) for k, axis in enumerate("xy")}
    what = f"{type(result).__name__}" + (f" of {len(result)}" if isinstance(result, tuple | list) else "")
    raise RequestError(f"The data function {name} returned {what}.", "", TRY_FUNCTION)


def _parted(found: Mapping[str, samples.Labelled], classes: int, name: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(x, y, the chosen rows) of training, validation and test; those that are missing are taken out of the training set. The
    training set is shuffled: whoever takes its first samples gets all classes."""
    x, y = found["train"]
    missing = [split for split in ("validation", "test") if split not in found]
    counts = np.bincount(y, minlength=classes)
    needed = 2 + len(missing)
    if counts.min() < needed:
        raise RequestError(
            f"{name}: class {counts.argmin()} has {counts.min()} training samples.",
            f"At least {needed} are needed" + (f", with {' and '.join(missing)} taken from them." if missing else "."),
            "Add samples of this class, or take a model with fewer classes.",
        )
    rest, taken = np.arange(len(y)), {}
    for split in missing:
        chosen = samples.stratified(y[rest], max(classes, len(y) // 10), SEED)
        taken[split] = (x, y, rest[chosen])
        rest = np.delete(rest, chosen)
    given = {split: (*found[split], np.arange(len(found[split][1]))) for split in found}
    given["train"] = (x, y, np.random.default_rng(SEED).permutation(rest))
    return [(given | taken)[split] for split in KEYS]


def _doubts(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], classes: int) -> list[str]:
    """What makes the accuracies doubtful: samples in two splits, classes without a sample, few samples."""
    warnings = []
    seen = [samples.fingerprints(x, rows) for x, _, rows in parts]
    for (one, known), (other, prints) in itertools.combinations(zip(KEYS, seen, strict=True), 2):
        same = sum(map(frozenset(known).__contains__, prints))
        if same:
            warnings.append(f"{same:,} of the {len(prints):,} {other} samples are also in the {one} set.")
    for split, (_, y, rows) in zip(KEYS, parts, strict=True):
        absent = np.flatnonzero(np.bincount(y[rows], minlength=classes) == 0)
        if len(absent):
            warnings.append(f"The {split} set has no sample of class {', '.join(map(str, absent))}.")
        if len(rows) < SMALL and split != "train":
            warnings.append(f"The {split} set has {len(rows)} samples: one of them is {100 / len(rows):.1f} points of accuracy.")
    return warnings


def _sha256(parts: tuple[Split, ...]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.x.shape} ".encode())
        digest.update(part.x.data)
        digest.update(part.y.data)
    return digest.hexdigest()

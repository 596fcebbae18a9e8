"""Folders and .zip files of images, one folder per class: read with Pillow, without unpacking to disk."""

from __future__ import annotations

import io
import itertools
import warnings as python_warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mcuml.errors import RequestError
from mcuml.optimize import frameworks
from mcuml.optimize.samples import MOST_VALUES, Labelled

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
FORMATS = tuple(sorted(set(SUFFIXES.values())))
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
DEEP = ("I", "F")  # modes with more than 8 bits per value begin so
MOST_BYTES, MOST_PIXELS = 1 << 26, 1 << 26  # of one image
LAYOUT = "Put the images into class/file.png, or into train/class/file.png and test/class/file.png."


@dataclass(frozen=True)
class _Image:
    file: str
    split: str
    label: str


def load(path: Path, input_shape: tuple[int, ...], classes: int, resize: bool) -> tuple[dict[str, Labelled], list[str]]:
    """(x: uint8 (n, *input_shape), y) by split, and warnings. Classes are the folders' names in their order, numbers as numbers.
    Raises RequestError naming the file."""
    height, width, mode = _wanted(input_shape, path)
    with ExitStack() as stack:
        stack.enter_context(python_warnings.catch_warnings())
        python_warnings.simplefilter("ignore")  # Pillow's own, of large images: the size is checked here
        names, read = _opened(path, stack)
        found, others = _arranged(names, path)
        labels = _class_numbers(found, classes, path)
        if len(found) * int(np.prod(input_shape)) > MOST_VALUES:
            raise RequestError(
                f"{path} holds {len(found):,} images of {list(input_shape)}: too much for memory.", "", "Give fewer images."
            )
        converted: Counter[str] = Counter()
        result = {}
        for split in dict.fromkeys(image.split for image in found):
            chosen = [image for image in found if image.split == split]
            x = np.empty((len(chosen), *input_shape), np.uint8)
            for row, image in zip(x, chosen, strict=True):
                pixels, was = _decoded(read(image.file), (width, height), mode, resize, f"{path}: {image.file}")
                converted[was] += 1
                row[:] = pixels.reshape(input_shape)
            result[split] = (x, np.array([labels[image.label] for image in chosen], np.int64))
    del converted[mode]
    notes = [f"{path.name}: {n:,} images were turned from {was} into {mode}." for was, n in sorted(converted.items())]
    if others:
        notes.append(f"{path.name}: {len(others):,} files are no images and not used, {others[0]} among them.")
    return result, notes


def _wanted(shape: tuple[int, ...], path: Path) -> tuple[int, int, str]:
    if len(shape) not in (2, 3) or (channels := shape[2] if len(shape) == 3 else 1) not in MODES:
        raise RequestError(
            f"{path} holds images; the model's input of shape {list(shape)} is none.",
            "An image is (height, width), or (height, width, channels) with 1, 3 or 4 channels.",
            "Give the data as a .npz file.",
        )
    return shape[0], shape[1], MODES[channels]


def _opened(path: Path, stack: ExitStack) -> tuple[list[str], Callable[[str], bytes]]:
    """The files' names below `path`, and what reads one."""
    if path.is_dir():
        names = [p.relative_to(path).as_posix() for p in sorted(path.rglob("*")) if p.is_file()]
        return names, lambda name: _limited((path / name).stat().st_size, f"{path / name}", (path / name).read_bytes)
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{path} is not a .zip file that can be read.",
            f"{type(error).__name__}: {error}",
            "It may be cut short: get it again.",
        ) from error

    def member(name: str) -> bytes:
        try:
            return _limited(archive.getinfo(name).file_size, f"{path}: {name}", lambda: archive.read(name))
        except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise RequestError(f"{name} in {path} cannot be read.", f"{type(error).__name__}: {error}", "") from error

    return [info.filename for info in archive.infolist() if not info.is_dir()], member


def _limited(size: int, where: str, read: Callable[[], bytes]) -> bytes:
    if size > MOST_BYTES:
        raise RequestError(f"{where} has {size:,} bytes.", f"The most for an image is {MOST_BYTES:,}.", "Give smaller images.")
    return read()


def _arranged(names: Iterable[str], path: Path) -> tuple[list[_Image], list[str]]:
    """The images with split and class, and the other files. Folders around everything do not count."""
    visible = [n for n in names if not any(part.startswith((".", "__MACOSX")) for part in n.split("/"))]
    others = [n for n in visible if PurePosixPath(n).suffix.lower() not in SUFFIXES]
    files = [n for n in visible if PurePosixPath(n).suffix.lower() in SUFFIXES]
    if not files:
        raise RequestError(f"{path} holds no image.", f"{len(others):,} other files.", LAYOUT)
    folders = {n: n.split("/")[:-1] for n in files}
    around = list(itertools.takewhile(lambda level: len(set(level)) == 1, zip(*folders.values(), strict=False)))
    skip = next((i for i, level in enumerate(around) if level[0].lower() in SPLITS), len(around))
    found = []
    for name, parts in folders.items():
        inner = parts[skip:]
        split = SPLITS.get(inner[0].lower()) if len(inner) == 2 else "train"
        if len(inner) not in (1, 2) or split is None:
            raise RequestError(f"{name} in {path} lies in no class's folder.", "", LAYOUT)
        found.append(_Image(name, split, inner[-1]))
    return found, others


def _class_numbers(found: list[_Image], classes: int, path: Path) -> dict[str, int]:
    names = {image.label for image in found}
    if len(names) != classes:
        shown = ", ".join(sorted(names)[:12]) + (", ..." if len(names) > 12 else "")
        raise RequestError(
            f"{path} has {len(names)} classes; the model has {classes}.", f"{shown}.", f"Give one folder per class. {LAYOUT}"
        )
    if missing := sorted(names - {image.label for image in found if image.split == "train"}):
        raise RequestError(f"{path} has no training image of the class {missing[0]}.", "", LAYOUT)
    ordered = sorted(names, key=lambda n: (0, int(n), n) if n.isdecimal() else (1, 0, n))
    return {name: number for number, name in enumerate(ordered)}


def _decoded(content: bytes, size: tuple[int, int], mode: str, resize: bool, where: str) -> tuple[np.ndarray, str]:
    """(uint8 pixels, the mode that they had)."""
    pillow = _pillow()
    likely = SUFFIXES[PurePosixPath(where).suffix.lower()]  # is tried first: it saves a quarter of the time
    try:
        with pillow.open(io.BytesIO(content), formats=(likely, *FORMATS)) as image:
            return _pixels(image, size, mode, resize, where), image.mode
    except (OSError, ValueError, SyntaxError, EOFError, pillow.DecompressionBombError, zlib.error) as error:
        raise RequestError(f"{where} is not an image that can be read.", f"{type(error).__name__}: {error}", "") from error


def _pixels(image: Any, size: tuple[int, int], mode: str, resize: bool, where: str) -> np.ndarray:
    if image.size != size and not resize:
        raise RequestError(
            f"{where} has {image.width}x{image.height} pixels; the model takes {size[0]}x{size[1]} (width x height).",
            "",
            "Give images of this size, or ask for resizing.",
        )
    if image.width * image.height > MOST_PIXELS or image.mode.startswith(DEEP):
        raise RequestError(
            f"{where} has {image.width}x{image.height} pixels of the kind '{image.mode}'.",
            f"At most {MOST_PIXELS:,} pixels of 8 bits per value are taken.",
            "Convert it first.",
        )
    image = image if image.mode == mode else image.convert(mode)
    return np.asarray(image if image.size == size else image.resize(size))


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise RequestError(
            "Images are read with Pillow, which is not installed.", str(error), f"Install it with: {frameworks.EXTRA}"
        ) from error
    return Image

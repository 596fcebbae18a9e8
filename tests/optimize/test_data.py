"""Data in: what is accepted and how it is parted and scaled; every bad input is refused with its number."""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mcuml.errors import RequestError
from mcuml.optimize import data

SHAPE, CLASSES = (4, 3, 1), 3
RNG = np.random.default_rng(5)


def labels(count: int, classes: int = CLASSES) -> np.ndarray:
    return np.arange(count) % classes


def pixels(count: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *(shape or (4, 3))), dtype=np.uint8)


def three(**changed: Any) -> dict[str, Any]:
    arrays = {
        "x_train": pixels(60),
        "y_train": labels(60),
        "x_val": pixels(12),
        "y_val": labels(12),
        "x_test": pixels(15),
        "y_test": labels(15),
    }
    return {key: value for key, value in (arrays | changed).items() if value is not None}


def saved(folder: Path, arrays: Mapping[str, Any]) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def rows(split: data.Split) -> set[bytes]:
    return {row.tobytes() for row in split.x}


LABELS = {  # id: (y_train, class numbers that it must become)
    "uint8": (labels(60).astype(np.uint8), labels(60)),
    "column": (labels(60)[:, None], labels(60)),
    "one-hot": (np.eye(CLASSES)[labels(60)], labels(60)),
    "whole-floats": (labels(60).astype(np.float32), labels(60)),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels(case: str, tmp_path: Path) -> None:
    given, expected = LABELS[case]
    x = pixels(60)
    loaded = data.load(saved(tmp_path, three(x_train=x, y_train=given)), SHAPE, CLASSES, "0..255")
    known = {row.tobytes(): label for row, label in zip(x.astype(np.float32), expected, strict=True)}
    assert loaded.train.y.dtype == np.int64
    assert [known[row.tobytes()] for row in loaded.train.x] == loaded.train.y.tolist()


@pytest.mark.parametrize(("scale", "ends"), [("0..1", (0, 1)), ("0..255", (0, 255)), ("-1..1", (-1, 1))])
def test_pixels(scale: str, ends: tuple[int, int], tmp_path: Path) -> None:
    x = pixels(15)
    x[0], x[1] = 0, 255
    loaded = data.load(saved(tmp_path, three(x_test=x)), SHAPE, CLASSES, scale)
    assert loaded.test.x.dtype == np.float32 and loaded.test.x.shape == (15, *SHAPE)
    assert (loaded.test.x[0] == ends[0]).all() and (loaded.test.x[1] == ends[1]).all()
    assert np.allclose(loaded.test.x[..., 0], ends[0] + x / 255 * (ends[1] - ends[0]), atol=1e-6)
    if scale == "0..1":
        assert np.array_equal(loaded.test.x[..., 0], x.astype(np.float32) / 255), "as most training scripts do it"


def test_floats_stay_as_they_are(tmp_path: Path) -> None:
    x = {f"x_{split}": RNG.normal(0, 9, (30, 4, 3)) for split in ("train", "val", "test")}
    y = {f"y_{split}": labels(30) for split in ("train", "val", "test")}
    loaded = data.load(saved(tmp_path, x | y), SHAPE, CLASSES)
    assert np.array_equal(loaded.test.x[..., 0], x["x_test"].astype(np.float32))


@pytest.mark.parametrize("row", [(4, 3), (4, 3, 1), (12,), (1, 4, 3)])
def test_shapes_that_fit(row: tuple[int, ...], tmp_path: Path) -> None:
    x = pixels(15)
    loaded = data.load(saved(tmp_path, three(x_test=x.reshape(15, *row))), SHAPE, CLASSES, "0..255")
    assert np.array_equal(loaded.test.x[..., 0], x)


PARTED = {  # id: (arrays, lengths of training, validation, test)
    "all": (three(), (60, 12, 15)),
    "no-validation": (three(x_val=None, y_val=None), (54, 6, 15)),
    "only-training": ({"x_train": pixels(60), "y_train": labels(60)}, (48, 6, 6)),
    "x-and-y": ({"x": pixels(60), "y": labels(60)}, (48, 6, 6)),
    "no-test": (three(x_test=None, y_test=None), (54, 12, 6)),
}


@pytest.mark.parametrize("case", PARTED)
def test_parting(case: str, tmp_path: Path) -> None:
    arrays, lengths = PARTED[case]
    path = saved(tmp_path, arrays)
    loaded = data.load(path, SHAPE, CLASSES, "0..255")
    parts = (loaded.train, loaded.validation, loaded.test)
    assert tuple(map(len, parts)) == lengths
    together = set().union(*map(rows, parts))
    given = {row.tobytes() for name, x in arrays.items() if name[0] == "x" for row in x.astype(np.float32)}
    assert together == given and len(together) == sum(lengths), "each sample is in one split"
    for part in parts:
        assert np.ptp(np.bincount(part.y)) <= 1, "classes in the same shares"
    assert data.load(path, SHAPE, CLASSES, "0..255").sha256 == loaded.sha256


def test_training_set_is_shuffled(tmp_path: Path) -> None:
    y = np.sort(labels(300))
    loaded = data.load(saved(tmp_path, {"x": pixels(300), "y": y}), SHAPE, CLASSES)
    assert set(loaded.train.y[:20]) == {0, 1, 2}


def test_sha256_covers_values_labels_scale_and_parting(tmp_path: Path) -> None:
    arrays = three()
    other_x, other_y = arrays["x_test"].copy(), arrays["y_test"].copy()
    other_x[3, 2, 1] ^= 1
    other_y[3] = (other_y[3] + 1) % CLASSES
    swapped = {"x_val": arrays["x_test"], "y_val": arrays["y_test"], "x_test": arrays["x_val"], "y_test": arrays["y_val"]}
    variants = [arrays, arrays | {"x_test": other_x}, arrays | {"y_test": other_y}, arrays | swapped]
    found = [data.load(saved(tmp_path, v), SHAPE, CLASSES).sha256 for v in variants]
    found.append(data.load(saved(tmp_path, arrays), SHAPE, CLASSES, "-1..1").sha256)
    assert len(set(found)) == len(found)


def test_take_is_seeded_and_keeps_the_shares(tmp_path: Path) -> None:
    y = np.concatenate([np.zeros(60, int), np.ones(30, int), np.full(10, 2)])
    whole = data.load(saved(tmp_path, {"x": pixels(100), "y": y}), SHAPE, CLASSES)
    small = whole.take(train=20, test=5)
    assert np.bincount(small.train.y).tolist() == [12, 6, 2]
    assert (len(small.validation), len(small.test)) == (10, 5)
    assert rows(small.train) <= rows(whole.train) and rows(small.test) <= rows(whole.test)
    assert small.sha256 == whole.take(train=20, test=5).sha256 != whole.sha256
    assert rows(whole.take(train=20, seed=8).train) != rows(small.train)
    assert whole.take(train=1000).train is whole.train
    assert len(whole.take(train=2).train) == 2


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {  # id: (arrays, words)
    "label-too-large": (three(y_test=labels(15) + 1), ["test", "sample 2 ", "is 3", "3 classes", "5 of 15", "subtract 1"]),
    "label-negative": (three(y_train=labels(60) - 1), ["train", "sample 0 ", "is -1"]),
    "label-fraction": (three(y_val=labels(12) + 0.5), ["validation", "0.5"]),
    "label-nan": (three(y_val=np.full(12, np.nan)), ["validation", "nan"]),
    "label-text": (three(y_test=np.array(["cat"] * 15)), ["test", "labels are <U3"]),
    "label-columns": (three(y_train=np.eye(4)[labels(60)]), ["4 columns", "3 classes"]),
    "label-not-one-hot": (three(y_train=np.full((60, 3), 1 / 3)), ["sample 0", "one-hot"]),
    "label-two-ones": (three(y_train=np.ones((60, 3))), ["sample 0", "one-hot", "[1.0, 1.0, 1.0]"]),
    "label-count": (three(y_train=labels(59)), ["60 samples", "59 labels"]),
    "nan": (three(x_test=np.r_[np.ones((7, 4, 3)), np.full((8, 4, 3), np.nan)]), ["test", "sample 7", "nan"]),
    "infinity": (three(x_train=np.full((60, 4, 3), np.inf, np.float16)), ["train", "sample 0", "inf"]),
    "float32-overflow": (three(x_train=np.full((60, 4, 3), 1e300)), ["train", "sample 0", "1e+300"]),
    "mixed-types": (three(x_test=np.ones((15, 4, 3))), ["uint8", "float64", "test"]),
    "int64": (three(x_train=pixels(60).astype(np.int64)), ["int64", "guess"]),
    "shape": (three(x_test=pixels(15, 5, 3)), ["test", "[5, 3]", "[4, 3, 1]"]),
    "scalar": (three(x_test=np.uint8(3)), ["[]"]),
    "empty": (three(x_test=pixels(0), y_test=labels(0)), ["test", "0 samples", "3 classes"]),
    "tiny": (three(x_val=pixels(2), y_val=labels(2)), ["validation", "2 samples", "3 classes"]),
    "class-missing": (three(y_train=labels(60, 2)), ["class 2", "0 training samples"]),
    "class-too-small": (
        three(y_train=np.r_[labels(59, 2), 2], x_val=None, y_val=None),
        ["class 2 ", "1 training", "At least 3", "validation"],
    ),
    "objects": (three(x_train=np.array([None] * 60)), ["x_train", "Python objects"]),
    "no-labels": (three(y_test=None), ["'x_test'", "'y_test'", "x_val"]),
    "no-training": ({"images": pixels(9)}, ["no training samples", "images"]),
    "nothing": ({}, ["nothing"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str, tmp_path: Path) -> None:
    arrays, words = REFUSED[case]
    with pytest.raises(RequestError) as caught:
        data.load(saved(tmp_path, arrays), SHAPE, CLASSES)
    for word in [*words, "data.npz"]:
        assert word in str(caught.value)


def test_one_number_for_samples_of_one_value(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"samples of shape \[\]"):
        data.load(saved(tmp_path, {"x": np.float32(3), "y": labels(30)}), (1,), CLASSES)


def test_a_rare_class_is_in_every_split(tmp_path: Path) -> None:
    y = np.r_[np.zeros(200, int), np.ones(197, int), np.full(4, 2)]
    loaded = data.load(saved(tmp_path, {"x": pixels(401), "y": y}), SHAPE, CLASSES)
    assert [np.bincount(part.y)[2] for part in (loaded.train, loaded.validation, loaded.test)] == [2, 1, 1]


def test_channels_first_gets_its_transpose(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"transpose\(0, 2, 3, 1\)"):
        data.load(saved(tmp_path, {"x": pixels(30, 3, 8, 8), "y": labels(30)}), (8, 8, 3), CLASSES)


def huge_header() -> bytes:
    """A .npz whose array claims 4 TB."""
    file, content = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": (1 << 42, 4, 3)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", content.getvalue() + bytes(120))
        archive.writestr("y.npy", content.getvalue())
    return file.getvalue()


def whole_npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x=pixels(60), y=labels(60))
    return file.getvalue()


def damaged_npz() -> bytes:
    content = bytearray(whole_npz())
    content[200:240] = bytes(40)
    return bytes(content)


BROKEN: dict[str, tuple[str, Callable[[], bytes], str]] = {  # id: (name, content, words)
    "text": ("a.npz", lambda: b"hello", "not a .npz"),
    "empty": ("a.npz", lambda: b"", "not a .npz"),
    "cut-short": ("a.npz", lambda: whole_npz()[:300], "not a .npz"),
    "damaged": ("a.npz", damaged_npz, "'x' cannot be read"),
    "huge-header": ("a.npz", huge_header, "claims 52,776,558,133,248 bytes"),
    "suffix": ("a.csv", lambda: b"1,2", "'.csv'"),
    "zip-text": ("a.zip", lambda: b"hello", "not a .zip"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file(case: str, tmp_path: Path) -> None:
    name, content, words = BROKEN[case]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(RequestError) as caught:
        data.load(tmp_path / name, SHAPE, CLASSES)
    assert words in str(caught.value) and name in str(caught.value)


def test_missing_file_and_unknown_scale(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no data .*gone\.npz"):
        data.load(tmp_path / "gone.npz", SHAPE, CLASSES)
    with pytest.raises(RequestError, match=r"'0\.\.2'"):
        data.load(saved(tmp_path, three()), SHAPE, CLASSES, "0..2")  # type: ignore[arg-type]


WARNED: dict[str, tuple[dict[str, Any], str]] = {  # id: (changed arrays, words)
    "duplicates": ({"x_test": PARTED["all"][0]["x_train"][:15]}, "15 of the 15 test samples are also in the train set"),
    "class-absent": ({"y_test": labels(15, 2)}, "test set has no sample of class 2"),
    "small": ({}, "validation set has 12 samples: one of them is 8.3 points"),
    "unused": ({"x_dev": pixels(3)}, "not used are x_dev"),
}


@pytest.mark.parametrize("case", WARNED)
def test_warns(case: str, tmp_path: Path) -> None:
    changed, words = WARNED[case]
    usual = PARTED["all"][0]
    assert any(words in w for w in data.load(saved(tmp_path, usual | changed), SHAPE, CLASSES).warnings)
    if changed:
        assert not any(words in w for w in data.load(saved(tmp_path, usual), SHAPE, CLASSES).warnings)


X, Y = pixels(60), labels(60)
FUNCTIONS = {  # id: (what the function returns, lengths)
    "dict": ("{'x': X, 'y': Y}", (48, 6, 6)),
    "tuple": ("(X, Y)", (48, 6, 6)),
    "pairs": ("((X, Y), (X[:20], Y[:20]))", (54, 6, 20)),
    "flat": ("X, Y, X[:20], Y[:20]", (54, 6, 20)),
    "three-pairs": ("[(X, Y), (X[:30], Y[:30]), (X[:20], Y[:20])]", (60, 30, 20)),
    "lists": ("X.tolist(), Y.tolist()", None),
}
BAD_FUNCTIONS = {  # id: (source, function, words)
    "no-module": ("", "gone_module:f", "ModuleNotFoundError"),
    "no-function": ("", "MODULE:f", "AttributeError"),
    "raises": ("def f():\n    raise OSError('disk gone')", "MODULE:f", "OSError: disk gone"),
    "none": ("def f():\n    pass", "MODULE:f", "returned NoneType"),
    "three": ("def f():\n    return 1, 2, 3", "MODULE:f", "returned tuple of 3"),
    "syntax": ("def f(:", "MODULE:f", "SyntaxError"),
    "objects": ("def f():\n    return {'x': [None] * 60, 'y': [0, 1, 2] * 20}", "MODULE:f", "Python objects"),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_function(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, lengths = FUNCTIONS[case]
    module = f"data_of_{case.replace('-', '_')}"
    np.savez(tmp_path / "arrays.npz", X=X, Y=Y)
    source = f"import numpy\nA = numpy.load('arrays.npz')\nX, Y = A['X'], A['Y']\ndef f():\n    return {result}\n"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    if lengths is None:
        with pytest.raises(RequestError, match="int64"):
            data.load(f"{module}:f", SHAPE, CLASSES)
    else:
        loaded = data.load(f"{module}:f", SHAPE, CLASSES)
        assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == lengths


@pytest.mark.parametrize("case", BAD_FUNCTIONS)
def test_bad_function(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, spec, words = BAD_FUNCTIONS[case]
    module = f"bad_data_{case.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    spec = spec.replace("MODULE", module)
    with pytest.raises(RequestError) as caught:
        data.load(spec, SHAPE, CLASSES)
    assert words in str(caught.value) and spec in str(caught.value)


def image(array: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def picture(label: int, number: int, *shape: int) -> np.ndarray:
    """Grey level 10 * label + number: which class and sample an array came from can be read off it."""
    return np.full(shape or (4, 3), 10 * label + number, np.uint8)


def stored(place: Path, files: Mapping[str, bytes]) -> Path:
    """The same files as a folder or, where the name ends in .zip, as an archive."""
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    return place


def classes_of(prefix: str, count: int, names: tuple[str, ...] = ("ant", "bee", "cow")) -> dict[str, bytes]:
    return {f"{prefix}{name}/{k}.png": image(picture(i, k)) for i, name in enumerate(names) for k in range(count)}


LAYOUTS = {  # id: (files, lengths)
    "classes": (classes_of("", 8), (18, 3, 3)),
    "splits": (classes_of("train/", 8) | classes_of("test/", 2), (21, 3, 6)),
    "three-splits": (classes_of("Train/", 8) | classes_of("val/", 3) | classes_of("test/", 2), (24, 9, 6)),
    "around": (classes_of("set/v1/train/", 8) | classes_of("set/v1/test/", 2), (21, 3, 6)),
    "numbers": (classes_of("", 8, ("2", "9", "10")), (18, 3, 3)),
}


@pytest.mark.parametrize("case", LAYOUTS)
@pytest.mark.parametrize("form", ["images", "images.zip"])
def test_images(case: str, form: str, tmp_path: Path) -> None:
    files, lengths = LAYOUTS[case]
    loaded = data.load(stored(tmp_path / form, files), SHAPE, CLASSES, "0..255")
    parts = (loaded.train, loaded.validation, loaded.test)
    assert tuple(map(len, parts)) == lengths
    for part in parts:
        assert part.x.shape[1:] == SHAPE
        assert (part.x[:, 0, 0, 0] // 10).tolist() == part.y.tolist(), "label of the class that the pixels say"


def test_junk_is_left_out_and_told(tmp_path: Path) -> None:
    junk = {"__MACOSX/ant/._0.png": b"junk", ".hidden/x.png": b"junk", "ant/notes.txt": b"text", "README.md": b"text"}
    loaded = data.load(stored(tmp_path / "a.zip", classes_of("", 8) | junk), SHAPE, CLASSES)
    assert any("2 files are no images" in w and "ant/notes.txt" in w for w in loaded.warnings)
    assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == 24


def test_resizing_and_modes_only_as_asked(tmp_path: Path) -> None:
    files = classes_of("", 8) | {"ant/0.png": image(np.full((8, 6, 3), 50, np.uint8))}
    folder = stored(tmp_path / "images", files)
    with pytest.raises(RequestError, match=r"ant/0\.png has 6x8 pixels; the model takes 3x4"):
        data.load(folder, SHAPE, CLASSES)
    loaded = data.load(folder, SHAPE, CLASSES, "0..255", resize=True)
    assert "images: 1 images were turned from RGB into L." in loaded.warnings
    assert data.load(folder, (4, 3, 3), CLASSES, resize=True).train.x.shape[1:] == (4, 3, 3)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header says that it has so many pixels."""
    content = bytearray(image(picture(0, 0)))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


BAD_IMAGES: dict[str, tuple[dict[str, bytes], tuple[int, ...], bool, list[str]]] = {  # id: (files, shape, resize, words)
    "not-an-image": (classes_of("", 8) | {"bee/3.png": b"text"}, SHAPE, False, ["bee/3.png", "not an image"]),
    "cut-short": (classes_of("", 8) | {"bee/3.png": image(picture(1, 3))[:50]}, SHAPE, False, ["bee/3.png"]),
    "16-bit": (
        classes_of("", 8) | {"bee/3.png": image(np.full((4, 3), 999, np.uint16))}, SHAPE, False, ["bee/3.png", "I;16"],
    ),
    "bomb": (classes_of("", 8) | {"bee/3.png": png_that_claims(60000, 60000)}, SHAPE, True, ["bee/3.png"]),
    "large": (classes_of("", 8) | {"bee/3.png": png_that_claims(9000, 9000)}, SHAPE, True, ["bee/3.png", "9000x9000"]),
    "file-size": (classes_of("", 8) | {"bee/3.png": bytes(70_000_000)}, SHAPE, False, ["bee/3.png", "70,000,000"]),
    "classes": (classes_of("", 8, ("ant", "bee")), SHAPE, False, ["2 classes", "model has 3", "ant, bee"]),
    "no-class-folder": (classes_of("", 8) | {"x.png": b""}, SHAPE, False, ["x.png", "no class's folder"]),
    "only-test": (classes_of("test/", 8), SHAPE, False, ["no training image", "ant"]),
    "class-only-in-test": (
        classes_of("train/", 8, ("ant", "bee")) | classes_of("test/", 8), SHAPE, False, ["no training image", "cow"],
    ),
    "nothing": ({"notes.txt": b"text"}, SHAPE, False, ["no image"]),
    "not-an-image-model": (classes_of("", 8), (12,), False, ["[12]", "npz"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_IMAGES)
@pytest.mark.parametrize("form", ["images", "images.zip"])
def test_refuses_images(case: str, form: str, tmp_path: Path) -> None:
    files, shape, resize, words = BAD_IMAGES[case]
    with pytest.raises(RequestError) as caught:
        data.load(stored(tmp_path / form, files), shape, CLASSES, resize=resize)
    for word in [*words, form]:
        assert word in str(caught.value)


def test_damaged_zip_member(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zip", classes_of("", 8))
    content = bytearray(path.read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"ant/0\.png"):
        data.load(path, SHAPE, CLASSES)

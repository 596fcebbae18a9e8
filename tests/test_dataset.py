"""Data files: what is taken over, by which rule, and what is refused with the numbers of both sides."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from mcuml import dataset
from mcuml.errors import RequestError
from mcuml.graph import Quantization, Tensor

QUANT = Quantization(np.array([0.5], np.float32), np.array([-128], np.int64))
INT8 = Tensor("pixels", "int8", (1, 4, 2, 1), QUANT)
FLOAT = Tensor("signal", "float32", (1, 8))
ROWS = np.arange(24).reshape(3, 8)

ACCEPTED = {  # id: (array, tensor, expected first sample, flat)
    "same-type": (ROWS.astype(np.int8).reshape(3, 4, 2, 1), INT8, range(8)),
    "without-batch": (ROWS.astype(np.int8).reshape(3, 4, 2), INT8, range(8)),
    "flat-rows": (ROWS.astype(np.int8), INT8, range(8)),
    "one-sample": (ROWS[:1].astype(np.int8).reshape(1, 4, 2, 1), INT8, range(8)),
    "uint8-to-int8": (ROWS.astype(np.uint8).reshape(3, 4, 2, 1), INT8, range(-128, -120)),
    "floats-quantized": (ROWS.astype(np.float32), INT8, [-128, -126, -124, -122, -120, -118, -116, -114]),
    "floats-clipped": (np.full((3, 8), 1e9), INT8, [127] * 8),
    "float64-to-float32": (ROWS.astype(np.float64), FLOAT, range(8)),
}
REFUSED = {  # id: (array, tensor, words of the message)
    "wrong-shape": (np.zeros((3, 9), np.int8), INT8, ["[9]", "[1, 4, 2, 1]"]),
    "transposed": (np.zeros((3, 2, 4, 1), np.int8), INT8, ["[2, 4, 1]"]),
    "scalar": (np.int8(3), INT8, ["[]"]),
    "no-sample": (np.zeros((0, 8), np.int8), INT8, ["no sample"]),
    "int16-to-int8": (ROWS.astype(np.int16), INT8, ["int16", "int8"]),
    "uint8-to-float": (ROWS.astype(np.uint8), FLOAT, ["uint8", "float32", "255"]),
    "uint8-zero-point-0": (
        ROWS.astype(np.uint8),
        Tensor("in", "int8", (1, 8), Quantization(QUANT.scale, np.array([0]))),
        ["uint8"],
    ),
    "nan": (np.full((1, 8), np.nan), FLOAT, ["NaN"]),
    "text": (np.full((1, 8), "a"), FLOAT, ["float32"]),
}


@pytest.mark.parametrize("case", ACCEPTED)
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_accepts(case: str, form: str, tmp_path: Path) -> None:
    array, tensor, first = ACCEPTED[case]
    path = tmp_path / f"data.{form}"
    if form == "npy":
        np.save(path, array)
    else:
        np.savez(path, x=array, y=np.arange(len(array)))
    data = dataset.load(path, [tensor])
    assert data.inputs[0].shape == (len(array), *tensor.shape)
    assert data.inputs[0].dtype == np.dtype(tensor.dtype)
    assert data.inputs[0][0].ravel().tolist() == list(first)
    assert (data.labels is None) == (form == "npy")


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str, tmp_path: Path) -> None:
    array, tensor, words = REFUSED[case]
    np.save(tmp_path / "data.npy", array)
    with pytest.raises(RequestError) as caught:
        dataset.load(tmp_path / "data.npy", [tensor])
    for word in [*words, "data.npy"]:
        assert word in str(caught.value)


BROKEN_FILES = {  # id: (name, bytes)
    "text-npy": ("a.npy", b"not numpy"),
    "empty-npy": ("a.npy", b""),
    "truncated-npy": ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 8)"),
    "text-npz": ("a.npz", b"hello"),
    "text-zip": ("a.zip", b"hello"),
    "unknown-suffix": ("a.wav", b"RIFF"),
    "pickle-npy": ("a.npy", b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01."),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_broken_file(case: str, tmp_path: Path) -> None:
    name, content = BROKEN_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=name):
        dataset.load(tmp_path / name, [INT8])


def test_missing_file_and_missing_key(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no data file .*gone\.npz"):
        dataset.load(tmp_path / "gone.npz", [INT8])
    np.savez(tmp_path / "keys.npz", images=ROWS)
    with pytest.raises(RequestError, match=r"(?s)'x'.*images"):
        dataset.load(tmp_path / "keys.npz", [INT8])


def test_several_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", x0=ROWS.astype(np.int8), x1=ROWS.astype(np.float32))
    data = dataset.load(tmp_path / "two.npz", [INT8, FLOAT], limit=2)
    assert [values.shape for values in data.inputs] == [(2, 1, 4, 2, 1), (2, 1, 8)]
    assert [value.dtype for value in data.sample(1)] == [np.int8, np.float32]
    np.savez(tmp_path / "uneven.npz", x0=ROWS.astype(np.int8), x1=ROWS[:2].astype(np.float32))
    with pytest.raises(RequestError, match="differ in length"):
        dataset.load(tmp_path / "uneven.npz", [INT8, FLOAT])


def _mlperf(place: Path, files: dict[str, bytes], labels: str | None) -> Path:
    """The same content as a folder or, where the name ends in .zip, as an archive."""
    everything = files if labels is None else {**files, "y_labels.csv": labels.encode()}
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in everything.items():
                archive.writestr(name, content)
    else:
        place.mkdir()
        for name, content in everything.items():
            (place / name).write_bytes(content)
    return place


@pytest.mark.parametrize("form", ["folder", "archive.zip"])
def test_mlperf_tiny_layout(form: str, tmp_path: Path) -> None:
    files = {"b.bin": bytes(range(250, 256)) + b"\0\1", "a.bin": b"\x80" * 8}
    place = _mlperf(tmp_path / form, files, "b.bin,12,7\na.bin,12,11\n")
    data = dataset.load(place, [INT8])
    assert data.inputs[0][:, 0].reshape(2, 8).tolist() == [[-6, -5, -4, -3, -2, -1, 0, 1], [-128] * 8]
    assert data.labels is not None and data.labels.tolist() == [7, 11]
    assert len(dataset.load(place, [INT8], limit=1)) == 1


MLPERF_BROKEN = {  # id: (files, labels, words)
    "no-labels": ({"a.bin": b"\0" * 8}, None, ["y_labels.csv"]),
    "file-missing": ({}, "a.bin,12,1\n", ["a.bin"]),
    "file-short": ({"a.bin": b"\0" * 7}, "a.bin,12,1\n", ["7 bytes", "takes 8", "pixels"]),
    "row-short": ({"a.bin": b"\0" * 8}, "a.bin\n", ["line 1"]),
    "row-no-number": ({"a.bin": b"\0" * 8}, "a.bin,12,one\n", ["line 1"]),
}


@pytest.mark.parametrize("form", ["folder", "archive.zip"])
@pytest.mark.parametrize("case", MLPERF_BROKEN)
def test_mlperf_tiny_broken(case: str, form: str, tmp_path: Path) -> None:
    files, labels, words = MLPERF_BROKEN[case]
    with pytest.raises(RequestError) as caught:
        dataset.load(_mlperf(tmp_path / form, files, labels), [INT8])
    for word in words:
        assert word in str(caught.value)


LABELS = {  # id: (name, content, expected or word of the error)
    "one-per-row": ("y.csv", "3\n1\n2\n", [3, 1, 2]),
    "with-heading": ("y.csv", "class\n3\n1\n2\n", [3, 1, 2]),
    "mlperf-rows": ("y.csv", "a,12,3\nb,12,1\nc,12,2\n", [3, 1, 2]),
    "too-few": ("y.csv", "3\n1\n", "3 samples and 2 labels"),
    "not-a-number": ("y.csv", "3\nx\n2\n", "'x'"),
    "missing": ("gone.csv", None, "gone.csv"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels(case: str, tmp_path: Path) -> None:
    name, content, expected = LABELS[case]
    np.save(tmp_path / "x.npy", ROWS.astype(np.int8))
    if content is not None:
        (tmp_path / name).write_text(content)
    if isinstance(expected, list):
        data = dataset.load(tmp_path / "x.npy", [INT8], labels=tmp_path / name)
        assert data.labels is not None and data.labels.tolist() == expected
    else:
        with pytest.raises(RequestError, match=expected):
            dataset.load(tmp_path / "x.npy", [INT8], labels=tmp_path / name)


def test_one_hot_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "hot.npz", x=ROWS.astype(np.int8), y=np.eye(3, 10, dtype=np.int64))
    with pytest.raises(RequestError, match="argmax"):
        dataset.load(tmp_path / "hot.npz", [INT8])


def test_random_covers_the_range_and_repeats() -> None:
    one, two = dataset.random([INT8, FLOAT], 200), dataset.random([INT8, FLOAT], 200)
    assert one.inputs[0].min() == -128 and one.inputs[0].max() == 127 and one.labels is None
    assert all(np.array_equal(a, b) for a, b in zip(one.inputs, two.inputs, strict=True))
    assert not np.array_equal(one.inputs[0], dataset.random([INT8, FLOAT], 200, seed=8).inputs[0])

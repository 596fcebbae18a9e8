"""Data files -> samples in a model's own input types: .npy, .npz, or MLPerf Tiny's folder or zip of .bin files.

Values are taken over by these rules, and anything else is an error:
  same type as the model's input      as they are
  floats, integer input               quantized with the input's scale and zero point
  uint8, int8 input, zero point -128  minus 128: grey levels or RGB, as MLPerf Tiny's devices do
  float64 or float16, float32 input   converted
  .bin                                the input tensor's bytes, already in its type
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcuml import arrays
from mcuml.errors import RequestError
from mcuml.graph import Tensor

SEED = 7
INPUT_KEYS, LABEL_KEYS = ("x", "x_test"), ("y", "y_test")
LABELS_FILE = "y_labels.csv"


@dataclass(frozen=True, eq=False)
class Dataset:
    """`inputs[i]`: (n, *shape of model input i) in that input's dtype. `labels`: int64 (n,), or None."""

    name: str
    inputs: tuple[np.ndarray, ...]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def sample(self, index: int) -> list[np.ndarray]:
        return [values[index] for values in self.inputs]

    def raw(self, index: int) -> list[bytes]:
        """Sample `index` as bytes, one for each input, in C order."""
        return [values.tobytes() for values in self.sample(index)]

    def samples(self, count: int | None = None) -> list[list[np.ndarray]]:
        return [self.sample(i) for i in range(len(self) if count is None else min(count, len(self)))]


def random(tensors: Sequence[Tensor], count: int, seed: int = SEED) -> Dataset:
    """`count` samples over the whole range of integer inputs, standard normal for float ones; no labels."""
    rng = np.random.default_rng(seed)

    def values(tensor: Tensor) -> np.ndarray:
        dtype, shape = np.dtype(tensor.dtype), (count, *tensor.shape)
        if dtype.kind == "f":
            return rng.standard_normal(shape).astype(dtype)
        if dtype.kind == "b":
            return rng.integers(0, 2, shape).astype(dtype)
        limits = np.iinfo(dtype)
        wide = np.uint64 if dtype == np.uint64 else np.int64  # a sample of a seed is the same for every type that fits
        return rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=wide).astype(dtype)

    return Dataset(f"random (seed {seed})", tuple(values(t) for t in tensors))


def load(path: Path, tensors: Sequence[Tensor], labels: Path | None = None, limit: int | None = None) -> Dataset:
    """The first `limit` samples of `path` for a model with these input tensors. `labels` overrides the file's own.

    .npz: `x` (or `x_test`) and optionally `y`; for several inputs `x0`, `x1`, ... Raises RequestError."""
    if not path.exists():
        raise RequestError(f"There is no data file {path}.", "", "Give a .npy, .npz or .zip file, or a folder with y_labels.csv.")
    found: np.ndarray | None = None
    if path.is_dir() or path.suffix.lower() == ".zip":
        values, found = _bin_files(path, tensors, limit)
    elif path.suffix.lower() == ".npz":
        values, found = _npz(path, tensors)
    elif path.suffix.lower() == ".npy":
        values = [arrays.npy(path)]
        if len(tensors) != 1:
            raise RequestError(
                f"{path} holds one array; the model has {len(tensors)} inputs.", "", "Give a .npz file with the keys x0, x1, ..."
            )
    else:
        raise RequestError(
            f"mcuml cannot read data from {path}.",
            f"Its name ends in '{path.suffix}'.",
            "Give a .npy, .npz or .zip file, or a folder.",
        )
    inputs = tuple(as_input(array, tensor, f"{path}", limit) for array, tensor in zip(values, tensors, strict=True))
    count = len(inputs[0])
    if any(len(array) != count for array in inputs):
        raise RequestError(f"{path}: the inputs differ in length.", f"{[len(array) for array in inputs]} samples.", "")
    if not count:
        raise RequestError(f"{path} holds no sample.", "", "Give at least one.")
    if labels is not None:
        found = _label_file(labels)
    return Dataset(path.name, inputs, None if found is None else _as_labels(found, count, labels or path, limit))


def _npz(path: Path, tensors: Sequence[Tensor]) -> tuple[list[np.ndarray], np.ndarray | None]:
    archive = arrays.Npz(path)

    def keyed(names: Sequence[str]) -> np.ndarray | None:
        return next((archive[name] for name in names if name in archive), None)

    wanted = [INPUT_KEYS] if len(tensors) == 1 else [(f"x{i}",) for i in range(len(tensors))]
    found, labels = [keyed(names) for names in wanted], keyed(LABEL_KEYS)
    missing = [names[0] for names, array in zip(wanted, found, strict=True) if array is None]
    if missing:
        raise RequestError(
            f"{path} has no array named {' or '.join(repr(m) for m in missing)}.",
            f"It holds: {', '.join(archive) or 'nothing'}.",
            "Write it with numpy.savez(file, x=..., y=...); for several inputs x0=..., x1=...",
        )
    return [array for array in found if array is not None], labels


def _bin_files(path: Path, tensors: Sequence[Tensor], limit: int | None) -> tuple[list[np.ndarray], np.ndarray]:
    """MLPerf Tiny's layout: y_labels.csv with rows `file,classes,class` beside the files, each one input tensor's bytes."""
    if len(tensors) != 1:
        raise RequestError(
            f"{path} holds one file per sample; the model has {len(tensors)} inputs.", "", "Give a .npz file instead."
        )
    tensor, labels, values = tensors[0], [], []
    for row, size, read in members(path, limit):
        name = row[0]
        if size != tensor.bytes:
            raise RequestError(
                f"{name} in {path} has {size:,} bytes; the model's input '{tensor.name}' takes {tensor.bytes:,}.",
                f"It is {tensor.dtype} {list(tensor.shape)}.",
                "Give data prepared for this model.",
            )
        values.append(np.frombuffer(read, tensor.dtype).reshape(tensor.shape))
        labels.append(int(row[2]))
    return [np.stack(values) if values else np.empty((0, *tensor.shape), tensor.dtype)], np.array(labels)


def _labels_text(path: Path) -> str:
    try:
        if path.is_dir():
            return (path / LABELS_FILE).read_text(encoding="utf-8")
        with zipfile.ZipFile(path) as archive:
            return archive.read(LABELS_FILE).decode("utf-8")
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error) as error:
        raise RequestError(
            f"{path} has no readable {LABELS_FILE}.",
            f"{type(error).__name__}: {error}",
            "Its rows are: file,number of classes,class",
        ) from error


def members(path: Path, limit: int | None = None) -> Iterator[tuple[list[str], int, bytes]]:
    """(row, size, bytes) of the files that y_labels.csv in the folder or zip `path` lists, in its order; a row's fields are the
    file's name, the number of classes and the class, perhaps more. Raises RequestError."""
    rows = _label_rows(_labels_text(path), path)[:limit]
    try:
        if path.is_dir():
            for row in rows:
                content = (path / row[0]).read_bytes()
                yield row, len(content), content
        else:
            with zipfile.ZipFile(path) as archive:
                for row in rows:
                    info = archive.getinfo(row[0])
                    # A size that is wrong anyway is not worth unpacking, however large it claims to be.
                    yield row, info.file_size, archive.read(info) if info.file_size <= 1 << 26 else b""
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise RequestError(
            f"{path}: a file that {LABELS_FILE} lists cannot be read.", f"{type(error).__name__}: {error}", ""
        ) from error


def _label_rows(text: str, path: Path) -> list[list[str]]:
    rows = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row:
            continue
        if len(row) < 3 or not row[2].strip().isdigit():
            raise RequestError(
                f"{path}: line {number} of the labels is '{','.join(row)}'.", "", "Rows are: file,number of classes,class"
            )
        rows.append([field.strip() for field in row])
    return rows


def _label_file(path: Path) -> np.ndarray:
    """Labels from .npy, or from a .csv with one class per row or with MLPerf Tiny's rows."""
    if path.suffix.lower() == ".npy":
        return arrays.npy(path)
    try:
        rows = [row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"Cannot read the labels in {path}.", f"{type(error).__name__}: {error}", "") from error
    values = [row[2 if len(row) >= 3 else -1].strip() for row in rows]
    if values and not values[0].isdigit():
        values = values[1:]  # a heading
    bad = next((number for number, value in enumerate(values) if not value.isdigit()), None)
    if bad is not None:
        raise RequestError(
            f"{path}: label {bad} is '{values[bad]}', not a class number.", "", "One class number per row, from 0."
        )
    return np.array([int(value) for value in values], np.int64)


def _as_labels(labels: np.ndarray, count: int, path: Path, limit: int | None) -> np.ndarray:
    if labels.dtype.kind not in "iu" or labels.size != len(labels):
        raise RequestError(
            f"The labels in {path} are {labels.dtype} {list(labels.shape)}.",
            "",
            "Give one class number per sample: one-hot rows need .argmax(1).",
        )
    labels = labels.reshape(-1)[:limit].astype(np.int64)
    if len(labels) != count:
        raise RequestError(f"{path}: there are {count:,} samples and {len(labels):,} labels.", "", "Give one label per sample.")
    return labels


def as_input(array: np.ndarray, tensor: Tensor, where: str, limit: int | None = None) -> np.ndarray:
    """The first `limit` rows of `array` as (n, *tensor.shape) in the tensor's dtype, by the rules above; `where` stands for the
    data in messages. Raises RequestError on a shape or type that does not match."""

    if array.shape == tensor.shape:
        array = array[None]
    rows, row = (array.shape[0], array.shape[1:]) if array.ndim else (0, ())
    if not arrays.fits(row, tensor.shape):
        raise RequestError(
            f"{where}: samples of shape {list(row)} do not match the model's input '{tensor.name}'.",
            f"It takes {tensor.dtype} {list(tensor.shape)}; the file holds {array.dtype} {list(array.shape)}.",
            "Give an array of shape (samples, " + ", ".join(map(str, tensor.shape[1:] or tensor.shape)) + ").",
        )
    rows = rows if limit is None else min(rows, limit)
    return _as_type(np.asarray(array[:rows]), tensor, where).reshape(rows, *tensor.shape)


def _as_type(values: np.ndarray, tensor: Tensor, where: str) -> np.ndarray:
    target = np.dtype(tensor.dtype)
    if values.dtype == target:
        return values
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise RequestError(f"{where}: the data holds a NaN or an infinity.", "", "Clean the data first.")
        if target.kind == "f":
            return values.astype(target)
        if target.kind in "iu" and tensor.quant is not None:
            limits = np.iinfo(target)
            steps = np.round(values.astype(np.float64) / tensor.scale) + tensor.zero_point
            return np.clip(steps, limits.min, limits.max).astype(target)
    if values.dtype == np.uint8 and target == np.int8 and tensor.quant is not None and tensor.zero_point == -128:
        return (values.astype(np.int16) - 128).astype(np.int8)
    raise RequestError(
        f"{where}: {values.dtype} data cannot be fed to the model's input '{tensor.name}', which is {tensor.dtype}.",
        "mcuml would have to guess the scale.",
        "Give real values as float32 (for grey levels: x.astype('float32') / 255), or the input's own type.",
    )

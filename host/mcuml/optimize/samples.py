"""Arrays of samples and labels: checked against a model, scaled, and drawn with the classes in the same shares."""

from __future__ import annotations

import hashlib

import numpy as np

from mcuml import arrays
from mcuml.errors import RequestError

Labelled = tuple[np.ndarray, np.ndarray]
SCALES = {"0..1": (255.0, 0.0), "0..255": (1.0, 0.0), "-1..1": (127.5, -1.0)}  # of uint8: divisor, offset
MOST_VALUES = 1 << 29  # 2 GiB as float32
BLOCK = 4096  # samples that are converted or checked at once: whole copies would double the memory


def check(x: np.ndarray, y: np.ndarray, input_shape: tuple[int, ...], classes: int, where: str) -> Labelled:
    """`x` as it is, uint8 or floating, and `y` as int64 (n,). Raises RequestError naming `where` and the first bad sample."""
    if x.dtype.kind == "O" or y.dtype.kind == "O":
        raise RequestError(
            f"{where}: the {'samples' if x.dtype.kind == 'O' else 'labels'} are Python objects, not numbers.",
            "Rows of different lengths become such arrays.",
            "Give arrays of numbers, all samples of the same shape.",
        )
    row = x.shape[1:]
    if x.ndim == 0 or not arrays.fits(row, input_shape):
        swapped = len(row) == 3 and (*row[1:], row[0]) == tuple(input_shape)
        raise RequestError(
            f"{where}: samples of shape {list(row)} do not fit the model's input of shape {list(input_shape)}.",
            f"The array is {x.dtype} {list(x.shape)}.",
            "Put the channels last: x.transpose(0, 2, 3, 1)." if swapped else "Give samples of the model's shape.",
        )
    labels = _labels(y, classes, where)
    if len(x) != len(labels):
        raise RequestError(f"{where}: there are {len(x):,} samples and {len(labels):,} labels.", "", "Give one label per sample.")
    if len(x) < classes:
        raise RequestError(
            f"{where}: there are {len(x)} samples for {classes} classes.", "", "Give at least one per class, better hundreds."
        )
    if x.size > MOST_VALUES:
        raise RequestError(
            f"{where}: {len(x):,} samples take {x.size * 4 / 2**30:.1f} GiB as float32.",
            f"The most is {MOST_VALUES * 4 / 2**30:.0f} GiB.",
            "Give fewer samples.",
        )
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise RequestError(
            f"{where}: the samples are {x.dtype}.",
            "mcuml would have to guess how the model was trained to see them.",
            "Give uint8 (which is scaled), or floats as the model takes them: x.astype('float32') / 255, say.",
        )
    _finite(x, where)
    return x, labels


def _finite(x: np.ndarray, where: str) -> None:
    if x.dtype.kind != "f":
        return
    for start in range(0, len(x), BLOCK):
        with np.errstate(over="ignore"):
            block = x[start : start + BLOCK].astype(np.float32)
        good = np.isfinite(block).reshape(len(block), -1).all(1)
        if not good.all():
            index = start + int(good.argmin())
            value = x[index].ravel()[~np.isfinite(block[index - start]).ravel()][0]
            raise RequestError(
                f"{where}: sample {index} holds {value}.",
                "A NaN, an infinity or a number beyond float32 spoils every weight that learns from it.",
                "Remove this sample, or clean the data: numpy.isfinite(x) finds more.",
            )


def _labels(y: np.ndarray, classes: int, where: str) -> np.ndarray:
    """int64 (n,) from class numbers, also floats that are whole and columns, or from one-hot rows."""
    advice = f"Give one class number per sample, 0 to {classes - 1}."
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "iufb" or y.ndim not in (1, 2):
        raise RequestError(f"{where}: the labels are {y.dtype} {list(y.shape)}.", "", advice)
    if y.ndim == 2:
        if y.shape[1] != classes:
            raise RequestError(
                f"{where}: the labels have {y.shape[1]} columns; the model has {classes} classes.", f"{list(y.shape)}", advice
            )
        bad = ~(((y == 0) | (y == 1)).all(1) & (y.sum(1) == 1))
        if bad.any():
            row = y[bad.argmax()]
            raise RequestError(f"{where}: the label of sample {bad.argmax()} is not one-hot.", f"It is {row.tolist()}.", advice)
        return y.argmax(1).astype(np.int64)
    bad = ~((y >= 0) & (y < classes) & (y == np.floor(y)))
    if bad.any():
        index = int(bad.argmax())
        from_one = int(y.min()) == 1 and int(y.max()) == classes if np.isfinite(y).all() else False
        raise RequestError(
            f"{where}: the label of sample {index} is {y[index]}; the model has {classes} classes.",
            f"{int(bad.sum()):,} of {len(y):,} labels are no class number from 0 to {classes - 1}.",
            "They seem to count from 1: subtract 1." if from_one else advice,
        )
    return y.astype(np.int64)


def scaled(x: np.ndarray, input_shape: tuple[int, ...], pixels: str) -> np.ndarray:
    """float32 (n, *input_shape). uint8 to the range `pixels`, a key of SCALES; floats as they are."""
    divisor, offset = SCALES[pixels] if x.dtype == np.uint8 else (1.0, 0.0)
    out = np.empty((len(x), *input_shape), np.float32)
    for start in range(0, len(x), BLOCK):
        block = out[start : start + BLOCK]
        block[:] = x[start : start + BLOCK].reshape(block.shape)
        if (divisor, offset) != (1.0, 0.0):
            block /= np.float32(divisor)
            block += np.float32(offset)
    return out


def stratified(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices of `count` of the labels, shuffled: of each class its share, rounded; at least one where `count` allows."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    labels, sizes = np.unique(y, return_counts=True)
    quota = sizes * count / len(y)
    take = np.floor(quota).astype(int)
    if count >= len(labels):
        take = np.maximum(take, 1)
    while take.sum() != count:
        step = 1 if take.sum() < count else -1
        room = take < sizes if step > 0 else take > (1 if count >= len(labels) else 0)
        take[np.where(room, step * (quota - take), -np.inf).argmax()] += step
    chosen = [order[y[order] == label][:n] for label, n in zip(labels, take, strict=True)]
    return rng.permutation(np.concatenate(chosen))


def fingerprints(x: np.ndarray, rows: np.ndarray) -> list[bytes]:
    """16 bytes per chosen sample that are the same only where the samples are."""
    return [hashlib.blake2b(x[row].tobytes(), digest_size=16).digest() for row in rows]

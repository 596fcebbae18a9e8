"""What is sent to the device: the official data sets as they are distributed, or random inputs where there are none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcuml import dataset
from mcuml.errors import RequestError
from mcuml.run.suites import Suite

WINDOWS = 5  # different inputs of a performance or energy run
SEED = 7
FIELDS = ("file", "classes", "class", "bytes_to_send", "stride")  # what the official runner calls a row of y_labels.csv
TYPICAL_DB = (-25.0, 12.0)  # mean and deviation of random log-mel values: within what the reference model's input can hold


@dataclass(frozen=True)
class Sample:
    """One `db` load. row: the file's row of y_labels.csv, by FIELDS; label: its class, None for a random input; segment: which
    window of a longer file; segments: how many the file has."""

    row: dict[str, str]
    data: bytes
    label: int | None
    segment: int = 0
    segments: int = 1

    @property
    def file(self) -> str:
        return self.row["file"]


def random(suite: Suite, count: int = WINDOWS) -> list[Sample]:
    """`count` different inputs in the form that the test's files have: bytes over their whole range, or log-mel-like floats."""
    rng = np.random.default_rng(SEED)
    found = []
    for n in range(count):
        if suite.form == "float":
            data = rng.normal(*TYPICAL_DB, suite.elements).astype("<f4").tobytes()
        else:
            data = rng.bytes(suite.bytes)
        found.append(Sample({"file": f"random_{SEED}_{n}"}, data, None))
    return found


def official(path: Path, suite: Suite, limit: int | None = None) -> Iterator[Sample]:
    """The samples of the first `limit` files in the folder or zip at `path`, in the order of its y_labels.csv. A longer file of
    the anomaly detection gives as many windows as fit, `stride` bytes apart. Raises RequestError."""
    if not path.exists():
        raise RequestError(f"There is no data file {path}.", "", "Give the data set's folder or zip, with y_labels.csv in it.")
    rows = dataset.members(path, limit)
    first_row = next(rows, None)
    if first_row is None:
        raise RequestError(f"{path} lists no files.", f"Its {dataset.LABELS_FILE} is empty.", "Give the whole data set.")
    for row, size, data in itertools.chain([first_row], rows):
        fields = dict(zip(FIELDS, row, strict=False))
        step = int(fields.get("stride") or suite.stride or suite.bytes)
        if size < suite.bytes or (size != suite.bytes and not suite.stride):
            raise RequestError(
                f"{row[0]} in {path} has {size:,} bytes; the test '{suite.name}' takes {suite.bytes:,}.",
                "", f"Give the data set of {suite.title}.",
            )  # fmt: skip
        if fields.get("bytes_to_send", str(suite.bytes)) != str(suite.bytes) or step <= 0:
            raise RequestError(
                f"{path}: {row[0]} is to be sent in windows of {fields.get('bytes_to_send')} bytes every {step}.",
                f"The test '{suite.name}' takes {suite.bytes:,} bytes.", "Correct its y_labels.csv.",
            )  # fmt: skip
        starts = range(0, size - suite.bytes + 1, step)
        for n, start in enumerate(starts):
            yield Sample(fields, data[start : start + suite.bytes], int(row[2]), n, len(starts))


def first(path: Path, suite: Suite, count: int = WINDOWS) -> list[Sample]:
    """The first window of each of the first `count` files. Raises RequestError where the set has fewer."""
    found = [sample for sample in official(path, suite, count) if sample.segment == 0]
    if len(found) < count:
        raise RequestError(f"{path} lists {len(found)} files; a run takes {count}.", "", "Give the whole data set.")
    return found

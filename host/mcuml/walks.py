"""Numbers that are mostly zero as a walk over the others: how far to the next one, and its value.

A row of a matrix (N, K) is a run of elements: a step from the one before (the first from the row's begin) and a value. A step
has 2, 4 or 8 bits, whatever is the least; a step that is too long goes through elements of value 0. Elements come in turns
of a fixed number, the last of a row filled up with steps of 0. At 80 % zeros an int8 takes 12.5 bits with
steps of four bits, which is 2.5 bits for each of the matrix; a bitmap would take 2.6, and be slower to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TURN = {2: 16, 4: 8, 8: 4}  # elements per turn by the bits of a step: its steps fill a word


@dataclass(frozen=True, eq=False)
class Walk:
    """`steps` bits each; `data` the turns of all rows, bytes (T, B), each turn a word of steps and then its values; `turns` (N,)
    int32, how many of them are a row's."""

    steps: int
    data: np.ndarray
    turns: np.ndarray


def walk(matrix: np.ndarray, values: np.ndarray | None = None, again: bool = False) -> Walk:
    """The smallest walk over `matrix` (N, K), int8 or float32. `values` (N, K): what is stored for its elements, if not they.
    What fills up a row's last turn has the value 0, or, if `again`, its last element's."""
    kept = matrix if values is None else values
    return min((_walk(matrix != 0, kept, steps, again) for steps in TURN), key=lambda w: w.data.nbytes)


def _walk(marked: np.ndarray, values: np.ndarray, steps: int, again: bool) -> Walk:
    turn, longest = TURN[steps], (1 << steps) - 1
    rows = [_elements(np.flatnonzero(marks), row, longest, turn, again) for marks, row in zip(marked, values, strict=True)]
    distance = np.concatenate([d for d, _ in rows]).reshape(-1, turn // 4, 4).astype(np.uint32)
    stored = np.concatenate([v for _, v in rows]).astype(values.dtype)
    # Four elements' steps lie a byte apart, so that one AND has them ready for UXTAB; the next four's are `steps` bits higher.
    places = np.arange(4)[None, :] * 8 + np.arange(turn // 4)[:, None] * steps
    words = np.bitwise_or.reduce((distance << places.astype(np.uint32)).reshape(-1, turn), axis=1).astype("<u4")
    raw = stored.reshape(-1, turn).view(np.int8)
    turns = np.array([len(d) // turn for d, _ in rows], np.int32)
    data = np.concatenate([words.view(np.int8).reshape(-1, 4), raw], 1)
    return Walk(steps, data if len(data) else np.zeros((1, data.shape[1]), np.int8), turns)  # C has no array of nothing


def _elements(places: np.ndarray, row: np.ndarray, longest: int, turn: int, again: bool) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a row whose weights lie at `places`, in whole turns."""
    gaps = np.diff(places, prepend=0)
    between = np.maximum(-(-gaps // longest), 1) - 1  # elements of value 0 on the way
    count = int(np.sum(between + 1))
    steps, values = np.zeros(-(-count // turn) * turn, np.int64), np.zeros(-(-count // turn) * turn, row.dtype)
    at = np.cumsum(between + 1) - 1
    steps[:count] = longest
    steps[at], values[at] = gaps - between * longest, row[places]
    if again and count:
        values[count:] = values[count - 1]
    return steps, values

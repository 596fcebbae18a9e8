"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK against TFLite Micro: all types, ends, strides back and forth, masks."""

import numpy as np
import pytest

from modelmaker import const, model, op, tensor
from ops.builds import Host
from ops.harness import Case, compare

QUANT = {"int8": (0.1, 3), "int16": (0.001, 0)}


def ints(name, values, dtype=np.int32):
    return const(name, np.array(values, dtype))


SLICES = [  # (type, shape, begin, size)
    ("int8", (7,), (2,), (3,)),
    ("int8", (7,), (0,), (7,)),
    ("int8", (4, 5), (1, 0), (2, 5)),
    ("int8", (4, 5), (1, 2), (-1, -1)),
    ("float32", (2, 3, 4, 5), (0, 1, 1, 2), (2, 2, 3, 2)),
    ("int8", (2, 3, 4, 5), (1, 0, 0, 4), (1, 3, 4, 1)),
    ("int16", (2, 3, 2, 4, 3), (1, 0, 1, 1, 0), (1, -1, 1, 2, 2)),
    ("int32", (6, 3), (5, 0), (1, 3)),
    ("int32", (6, 5), (1, 2), (4, 2)),
    ("bool", (3, 5), (1, 1), (2, 3)),
    ("int8", (2, 8, 8, 4), (0, 4, 2, 0), (2, 4, 6, 4)),
]


def make_slice(rng, dtype, shape, begin, size):
    quant = QUANT.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    kept = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
    y = tensor("y", dtype, kept, *quant)
    wide = np.int64 if len(shape) == 2 else np.int32
    return model([op("SLICE", [x, ints("begin", begin, wide), ints("size", size, wide)], [y], version=3)], [x], [y])


test_slice_matches_tflite_micro = compare(SLICES, make_slice, exact=True)

COMPUTED = [  # (type, shape, size): begin is the ARG_MAX of an input
    ("int8", (7,), (3,)),
    ("int8", (4, 5), (2, 3)),
    ("int8", (4, 5), (3, 1)),
    ("int8", (6, 3, 3), (3, 2, 1)),
    ("float32", (3, 4), (1, 4)),
    ("int16", (3, 3, 4), (1, 2, 2)),
    ("bool", (5, 5), (3, 3)),
]


def make_computed(rng, dtype, shape, size):
    quant = QUANT.get(dtype, ())
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, size, *quant)
    places = min(n - s for n, s in zip(shape, size, strict=True)) + 1
    choice, begin = tensor("choice", "int8", (len(shape), places), 0.1, 0), tensor("begin", "int32", (len(shape),))
    pick = op("ARG_MAX", [choice, ints("axis", [1])], [begin], output_type="INT32")
    return model([pick, op("SLICE", [x, begin, ints("size", size)], [y], version=3)], [x, choice], [y])


test_computed_slice_matches_tflite_micro = compare(COMPUTED, make_computed, exact=True)


@pytest.mark.parametrize("wide", [np.int32, np.int64])
@pytest.mark.parametrize("wrong", [(0, 3), (-1, 0), (3, 0), (1, -3), (0, -(1 << 31))], ids=str)
def test_a_begin_outside_is_an_error(wrong, wide):
    x, y = tensor("x", "int8", (4, 5), 0.1, 3), tensor("y", "int8", (2, 3), 0.1, 3)
    begin = tensor("begin", np.dtype(wide).name, (2,))
    case = Case(model([op("SLICE", [x, begin, ints("size", (2, 3), wide)], [y], version=3)], [x, begin], [y]))
    host, data = Host([case]), np.arange(20, dtype=np.int8).reshape(4, 5)
    found = host.run(case, [data, np.array((2, 1), wide)], 0)
    assert np.array_equal(np.frombuffer(found[0], np.int8).reshape(2, 3), data[2:4, 1:4])
    with pytest.raises(AssertionError, match="invoke returned an error"):
        host.run(case, [data, np.array(wrong, wide)], 0)


STRIDED = [  # (type, shape, begin, end, strides, masks of begin, end and shrink)
    ("int8", (9,), (1,), (7,), (1,), 0, 0, 0),
    ("int8", (9,), (1,), (9,), (3,), 0, 0, 0),
    ("int8", (9,), (-3,), (-9,), (-2,), 0, 0, 0),
    ("int8", (9,), (0,), (0,), (-1,), 1, 1, 0),
    ("int8", (9,), (100,), (-100,), (-4,), 0, 0, 0),
    ("int8", (9,), (-100,), (100,), (4,), 0, 0, 0),
    ("int8", (9,), (4,), (5,), (1,), 0, 0, 1),
    ("int8", (9,), (-2,), (0,), (1,), 0, 0, 1),
    ("int8", (9,), (5,), (0,), (2,), 1, 0, 1),
    ("int8", (4, 6), (0, 1), (4, 5), (1, 1), 0, 0, 0),
    ("int8", (4, 6), (0, 1), (4, 5), (2, 2), 1, 2, 0),
    ("int8", (4, 6), (3, 5), (0, 0), (-1, -2), 0, 0, 0),
    ("int8", (4, 6), (2, 0), (3, 6), (1, 1), 0, 0, 1),
    ("int8", (4, 6), (0, 3), (4, 4), (1, 1), 0, 0, 2),
    ("float32", (4, 6), (2, 3), (3, 4), (1, 1), 0, 0, 3),
    ("float32", (2, 3, 4), (0, 0, 1), (2, 3, 4), (1, 2, 2), 0, 0, 0),
    ("int16", (2, 3, 4), (0, 1, 0), (2, 2, 4), (1, 1, -1), 4, 4, 2),
    ("float32", (4, 6), (0, 1), (4, 5), (1, 1), 0, 0, 0),
    ("int32", (4, 6), (0, 0), (4, 6), (1, 2), 0, 0, 0),
    ("int32", (2, 3, 4, 5), (0, 1, 1, 1), (2, 3, 4, 5), (1, 1, 1, 1), 0, 0, 0),
    ("int32", (2, 3, 4, 5), (1, 2, 3, 4), (-3, -4, -5, -6), (-1, -1, -1, -1), 0, 0, 0),
    ("bool", (2, 3, 4, 5), (0, 0, 0, 0), (2, 3, 4, 5), (1, 2, 3, 4), 15, 15, 0),
    ("int8", (2, 8, 8, 3), (0, 1, 0, 0), (2, 8, 8, 3), (1, 2, 2, 1), 0, 0, 0),
    ("int8", (1, 8, 8, 4), (0, 0, 0, 2), (1, 8, 8, 4), (1, 1, 1, 1), 7, 7, 0),
]


def make_strided(rng, dtype, shape, begin, end, strides, begin_mask, end_mask, shrink):
    quant = QUANT.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    index = tuple(
        (0 if begin_mask >> d & 1 else b)
        if shrink >> d & 1
        else slice(None if begin_mask >> d & 1 else b, None if end_mask >> d & 1 else e, s)
        for d, (b, e, s) in enumerate(zip(begin, end, strides, strict=True))
    )
    y = tensor("y", dtype, np.empty(shape)[index].shape, *quant)
    inputs = [x, ints("begin", begin), ints("end", end), ints("strides", strides)]
    masks = {"begin_mask": begin_mask, "end_mask": end_mask, "shrink_axis_mask": shrink}
    return model([op("STRIDED_SLICE", inputs, [y], version=2, **masks)], [x], [y])


test_strided_slice_matches_tflite_micro = compare(STRIDED, make_strided, exact=True)

SPLITS = [  # (operator, type, shape, axis, sizes)
    ("SPLIT", "int8", (8,), 0, (4, 4)),
    ("SPLIT", "int8", (6, 4), 0, (2, 2, 2)),
    ("SPLIT", "int8", (6, 4), 1, (2, 2)),
    ("SPLIT", "int8", (6, 3), -1, (1, 1, 1)),
    ("SPLIT", "float32", (2, 4, 3), 1, (2, 2)),
    ("SPLIT", "int16", (2, 4, 3, 5), 2, (1, 1, 1)),
    ("SPLIT", "int32", (2, 4), -2, (1, 1)),
    ("SPLIT", "int8", (5, 2), 0, (5,)),
    ("SPLIT_V", "int8", (8,), 0, (3, 5)),
    ("SPLIT_V", "int8", (8, 3), 0, (4, 1, 3)),
    ("SPLIT_V", "int8", (3, 8), -1, (4, 1, 3)),
    ("SPLIT_V", "float32", (2, 5, 3), 1, (4, 1)),
    ("SPLIT_V", "int16", (2, 5, 3), -2, (4, 1)),
    ("SPLIT_V", "int32", (4,), 0, (1, 2, 1)),
    ("UNPACK", "int8", (3, 4), 0, (1, 1, 1)),
    ("UNPACK", "int8", (3, 4), 1, (1, 1, 1, 1)),
    ("UNPACK", "float32", (2, 3, 4), -2, (1, 1, 1)),
    ("UNPACK", "int16", (2, 3, 4), -3, (1, 1)),
    ("UNPACK", "int32", (4,), 0, (1, 1, 1, 1)),
    *((code, "int32", (3, 4, 2), 1, (2, 2)) for code in ("SPLIT", "SPLIT_V")),
    *(("UNPACK", dtype, (4, 2, 3), 1, (1, 1)) for dtype in ("int8", "int16", "int32")),
]


def make_split(rng, code, dtype, shape, axis, sizes, inside=False):
    quant = QUANT.get(dtype, ())
    first = x = tensor("x", dtype, shape, *quant)
    nodes = []
    if inside:  # the data dies at the split, so that its outputs may lie in it
        x = tensor("relu", dtype, shape, *quant)
        nodes.append(op("RELU", [first], [x]))
    drop = code == "UNPACK"
    outputs = []
    for number, size in enumerate(sizes):
        part = [size if d == axis % len(shape) else n for d, n in enumerate(shape) if not (drop and d == axis % len(shape))]
        outputs.append(tensor(f"y{number}", dtype, part, *quant))
    where = const("axis", np.array(axis, np.int32)) if code == "SPLIT_V" else ints("axis", [axis])
    inputs = {"SPLIT": [where, x], "SPLIT_V": [x, ints("sizes", sizes), where], "UNPACK": [x]}[code]
    options = {"num": len(sizes), "axis": axis} if drop else {"num_splits": len(sizes)}
    return model([*nodes, op(code, inputs, outputs, version=2, **options)], [first], outputs)


test_split_matches_tflite_micro = compare(SPLITS, make_split, exact=True)
INSIDE = [(*case, True) for case in SPLITS if case[1] in ("int8", "float32")]
test_split_inside_matches_tflite_micro = compare(INSIDE, make_split, exact=True)


def test_parts_stay_where_they_lie():
    rng = np.random.default_rng(0)
    case = Case(make_split(rng, "SPLIT", "int8", (16, 4), 0, (8, 8), True))
    assert case.planned.arena_bytes == 64

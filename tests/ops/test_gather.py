"""GATHER, GATHER_ND and EMBEDDING_LOOKUP against TFLite Micro; indices that point outside end the inference."""

import numpy as np
import pytest

from modelmaker import const, model, op, tensor
from ops.builds import Host
from ops.harness import Case, compare

QUANT = {"int8": (0.1, 3)}


def numbers(rng, shape, size, runtime):
    """(nodes, inputs, the tensor): int32 of `shape` in 0..size - 1, constant or the ARG_MAX of an input."""
    if not runtime:
        indices = const("indices", rng.integers(0, size, shape).astype(np.int32))
        return [], [], indices
    x, indices = tensor("choice", "int8", (*shape, size), 0.1, 0), tensor("indices", "int32", shape)
    axis = const("axis", np.array([len(shape)], np.int32))
    return [op("ARG_MAX", [x, axis], [indices], output_type="INT32")], [x], indices


GATHERS = [  # (type, shape, shape of the indices, axis, batch dimensions, are they computed at run time)
    (dtype, *case, runtime)
    for dtype in ("int8", "float32")
    for runtime in (False, True)
    for case in (
        ((7,), (4,), 0, 0),
        ((5, 3), (4,), 0, 0),
        ((5, 3), (4,), 1, 0),
        ((2, 5, 3), (2, 2), -2, 0),
        ((2, 5, 3), (2,), 1, 1),
        ((2, 3, 4), (2, 3), 1, 1),
        ((2, 3, 4), (2, 3, 2), 2, 2),
        ((2, 3, 4), (2, 5), 2, -1),
        ((6, 2), (), 0, 0),
    )
]


def make_gather(rng, dtype, shape, picks, axis, batch, runtime):
    quant = QUANT.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    place, shared = axis % len(shape), batch + len(picks) if batch < 0 else batch
    nodes, inputs, indices = numbers(rng, picks, shape[place], runtime)
    y = tensor("y", dtype, (*shape[:place], *picks[shared:], *shape[place + 1 :]), *quant)
    return model([*nodes, op("GATHER", [x, indices], [y], axis=axis, batch_dims=batch)], [x, *inputs], [y])


test_gather_matches_tflite_micro = compare(GATHERS, make_gather, exact=True)

SLICES = [  # (type, shape, shape of the indices, are they computed at run time)
    (dtype, shape, picks, runtime)
    for dtype in ("int8", "float32")
    for runtime in (False, True)
    for shape, picks in (((7,), (3, 1)), ((4, 4), (3, 1)), ((4, 4), (5, 2)), ((3, 3, 2), (2, 3, 2)), ((2, 2, 2, 3), (4,)))
]


def make_slices(rng, dtype, shape, picks, runtime):
    quant = QUANT.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    nodes, inputs, indices = numbers(rng, picks, min(shape[: picks[-1]]), runtime)
    y = tensor("y", dtype, (*picks[:-1], *shape[picks[-1] :]), *quant)
    return model([*nodes, op("GATHER_ND", [x, indices], [y])], [x, *inputs], [y])


test_gather_nd_matches_tflite_micro = compare(SLICES, make_slices, exact=True)

LOOKUPS = [  # (type of the table, type of the output, its shape, number of indices, computed at run time, constant table)
    (*kinds, shape, count, runtime, constant)
    for kinds in (("int8", "int8"), ("float32", "float32"), ("int8", "float32"))
    for shape, count in (((6, 5), 4), ((3, 2, 4), 7))
    for runtime, constant in ((False, False), (True, True))
]


def make_lookup(rng, dtype, out_type, shape, count, runtime, constant):
    quant = (0.037, 0) if dtype == "int8" else ()
    table = tensor("table", dtype, shape, *quant)
    if constant:
        table = const("table", rng.integers(-128, 128, shape).astype(dtype), *quant)
    nodes, inputs, indices = numbers(rng, (count,), shape[0], runtime)
    y = tensor("y", out_type, (count, *shape[1:]), *(quant if out_type == "int8" else ()))
    return model([*nodes, op("EMBEDDING_LOOKUP", [indices, table], [y])], [*inputs, *([] if constant else [table])], [y])


test_embedding_lookup_matches_tflite_micro = compare(LOOKUPS, make_lookup, exact=True)


OUTSIDE = [  # (operator, type of the output, shape of the table, indices)
    ("GATHER", "int8", (4, 3), [0, 4]),
    ("GATHER", "int8", (4, 3), [-1, 0]),
    ("GATHER_ND", "float32", (4, 3), [[3, 3]]),
    ("GATHER_ND", "float32", (4, 3), [[0, -1]]),
    ("GATHER_ND", "float32", (4, 3), [[1 << 30, 1]]),
    ("GATHER_ND", "float32", (4, 3), [[2, 1]] * 3 + [[-(1 << 31), 0]]),
    ("EMBEDDING_LOOKUP", "int8", (4, 3), [4, 1]),
    ("EMBEDDING_LOOKUP", "float32", (4, 3), [1, -(1 << 31)]),
]


@pytest.mark.parametrize("code, dtype, shape, wrong", OUTSIDE, ids=[f"{n}-{c[0]}" for n, c in enumerate(OUTSIDE)])
def test_an_index_outside_is_an_error(code, dtype, shape, wrong):
    wrong = np.array(wrong, np.int32)
    kind = "float32" if code == "GATHER_ND" else "int8"
    x = tensor("x", kind, shape, *((0.1, 0) if kind == "int8" else ()))
    indices = tensor("indices", "int32", wrong.shape)
    out = wrong.shape[:-1] if code == "GATHER_ND" else (*wrong.shape, *shape[1:])
    y = tensor("y", dtype, out, *((0.1, 0) if dtype == "int8" else ()))
    inputs = [indices, x] if code == "EMBEDDING_LOOKUP" else [x, indices]
    case = Case(model([op(code, inputs, [y])], [x, indices], [y]))
    host, data = Host([case]), np.zeros(shape, kind)
    host.run(case, [data, np.zeros_like(wrong)], 0)
    with pytest.raises(AssertionError, match="invoke returned an error"):
        host.run(case, [data, wrong], 0)

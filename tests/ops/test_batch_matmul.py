"""BATCH_MATMUL against TFLite Micro: both transpositions, broadcasting batches, constant operands, zero points at the ends."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, model, op, random_tensor, tensor
from ops.harness import compare, lowered

SHAPES = [  # (left (..., M, K), right (..., K, N)) before transposition
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 2, 7), (1, 7, 3)),
    ((1, 5, 2), (4, 2, 3)),
    ((2, 1, 3, 8), (1, 3, 8, 2)),
    ((2, 3, 4), (4, 2)),
    ((2, 6), (3, 6, 4)),
    ((2, 1, 3, 2, 5), (1, 2, 1, 5, 3)),
    ((1, 1, 16), (1, 16, 9)),
]
ADJ = [(False, False), (True, False), (False, True), (True, True)]
CASES = [("int8", *shape, *adj, "", (3, -5, 9)) for shape in SHAPES for adj in ADJ]
CASES += [("int16", *shape, *adj, "", (0, 0, 0)) for n, shape in enumerate(SHAPES) for adj in (ADJ[n % 4], ADJ[(n + 1) % 4])]
CASES += [("float32", *shape, *adj, "", (0, 0, 0)) for n, shape in enumerate(SHAPES) for adj in (ADJ[n % 4], ADJ[(n + 3) % 4])]
CASES += [("int8", *SHAPES[2], *ADJ[0], "", zeros) for zeros in ((-128, 127, -128), (127, -128, 127), (0, 0, 0))]
CASES += [
    (dtype, *shape, *adj, which, (3, zero, 9) if dtype == "int8" else (0, 0, 0))
    for dtype in ("int8", "int16", "float32")
    for shape in (SHAPES[0], SHAPES[3], SHAPES[9])
    for adj, zero in zip(ADJ[::2], (0, 7), strict=True)
    for which in ("left", "right")
]
CASES += [(dtype, *SHAPES[2], *ADJ[0], loud, (0, 0, 0)) for dtype in ("int8", "int16") for loud in ("loud", "faint")]


def swapped(shape, swap):
    return (*shape[:-2], shape[-1], shape[-2]) if swap else shape


def make(rng, dtype, left, right, adj_x, adj_y, which, zeros):
    output = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    specs = []
    for name, shape, zero in zip(("left", "right"), (swapped(left, adj_x), swapped(right, adj_y)), zeros, strict=False):
        made = random_tensor(rng, name, dtype, shape)
        made.zero_point = (zero,) if dtype != "float32" else ()
        if name == which:
            values = rng.normal(0, 1, shape) if dtype == "float32" else rng.integers(-128, 128, shape)
            made = const(name, values.astype(dtype), made.scale or None, made.zero_point or None)
        specs.append(made)
    y = tensor("y", "float32", output)
    if dtype != "float32":
        product = float(np.prod([s.scale[0] for s in specs]))
        gain = {"loud": 0.3, "faint": 1e7}.get(which, (64 if dtype == "int8" else 2e4) * left[-1] ** 0.5)
        y = tensor("y", dtype, output, float(np.float32(product * gain)), zeros[2])
    inputs = [s for s in specs if s.data is None]
    return model([op("BATCH_MATMUL", specs, [y], version=4, adj_x=adj_x, adj_y=adj_y)], inputs, [y])


test_matches_tflite_micro = compare(CASES, make)


def t(shape, dtype="int8", zero=3, scale=0.1):
    return tensor("t", dtype, shape, scale, zero) if dtype != "float32" else tensor("t", dtype, shape)


REFUSED = [
    ("must all be int8, all int16 or all float32", [t((2, 3)), t((3, 2), "float32")], t((2, 2))),
    ("must all be int8, all int16 or all float32", [t((2, 3), "int32"), t((3, 2), "int32")], t((2, 2), "int32")),
    ("2 to 5 dimensions", [t((3,)), t((3, 2))], t((2,))),
    ("2 to 5 dimensions", [t((1, 1, 1, 1, 2, 3)), t((3, 2))], t((1, 1, 1, 1, 2, 2))),
    ("do not go together", [t((2, 3)), t((2, 2))], t((2, 2))),
    ("its batches (2,) and (3,)", [t((2, 2, 3)), t((3, 3, 2))], t((3, 2, 2))),
    ("its inputs give [2, 2]", [t((2, 3)), t((3, 2))], t((2, 3))),
    ("must have zero point 0", [t((2, 3), "int16"), t((3, 2), "int16")], t((2, 2), "int16")),
    ("too far apart", [t((2, 3), "int16", 0), t((3, 2), "int16", 0)], t((2, 2), "int16", 0, 1e-6)),
    ("2 inputs and one output", [t((2, 3))], t((2, 3))),
]


@pytest.mark.parametrize("says, inputs, output", REFUSED, ids=[f"{n}-{c[0][:20]}" for n, c in enumerate(REFUSED)])
def test_is_refused_with_the_rule(says, inputs, output):
    with pytest.raises(ModelError) as caught:
        lowered(model([op("BATCH_MATMUL", inputs, [output])], inputs, [output]))
    assert says in caught.value.what

"""SELECT_V2 against TFLite Micro: each of its three operands broadcast, constant, or a single number."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [  # (type, condition, x and y, which are constant)
    *((dtype, (2, 35), (2, 35), (2, 35), ()) for dtype in ("int8", "float32", "int16")),
    *((dtype, (2, 1), (2, 35), (35,), ()) for dtype in ("int8", "float32", "int16")),
    ("int8", (4, 5, 3), (3,), (1, 5, 1), ()),
    ("int8", (3,), (2, 4, 3), (2, 4, 3), ()),
    ("int8", (), (2, 35), (2, 35), ()),
    ("int8", (2, 35), (), (), (1, 2)),
    ("float32", (2, 35), (2, 35), (1,), (2,)),
    ("int16", (2, 35), (1, 35), (2, 35), (0,)),
    ("int8", (1,), (), (1, 1), ()),
    ("float32", (2, 1, 3, 1, 2), (1, 3, 1, 2, 1), (1,), ()),
]


def make(rng, dtype, *rest):
    *shapes, constant = rest

    def operand(i, shape):
        kind = "bool" if i == 0 else dtype
        quant = () if kind in ("bool", "float32") else (0.1, 0)
        if i not in constant:
            return tensor("cxy"[i], kind, shape, *quant)
        return const("cxy"[i], np.asarray(rng.integers(0, 2 if i == 0 else 100, shape), kind), *quant)

    operands = [operand(i, shape) for i, shape in enumerate(shapes)]
    single = all(np.prod(shape) == 1 for shape in shapes)
    output = (1,) if single else np.broadcast_shapes(*shapes)
    y = tensor("z", dtype, output, *(() if dtype == "float32" else (0.1, 0)))
    return model([op("SELECT_V2", operands, [y])], [t for t in operands if t.data is None], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

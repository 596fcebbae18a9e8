"""ADD_N against TFLite Micro: two to fifteen inputs, constants and repeated inputs, zero points at both ends."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

CASES = [  # (type, shape, how many inputs, input's and output's scale and zero point, whether the last input is constant)
    ("float32", (2, 35), 2, None, None, False),
    ("float32", (2, 35), 3, None, None, True),
    ("float32", (), 5, None, None, False),
    ("int8", (2, 35), 2, (0.1, 3), (0.2, -5), False),
    ("int8", (2, 35), 3, (0.1, 0), (0.1, 0), True),
    ("int8", (67,), 4, (0.1, -128), (0.3, 127), False),
    ("int8", (67,), 4, (0.1, 127), (0.4, -128), False),
    ("int8", (2, 2, 9), 3, (1.0, 5), (1e-5, 5), False),
    ("int8", (2, 2, 9), 3, (1e-4, 5), (10.0, 5), False),
    ("int8", (35,), 14, (0.1, 20), (1.0, 3), False),
    ("int8", (), 2, (0.1, 20), (0.1, 3), False),
]


def make(rng, dtype, shape, count, quant, out_quant, constant):
    quant = quant or ()
    inputs = [tensor(f"x{i}", dtype, shape, *quant) for i in range(count - constant)]
    last = [const("last", np.asarray(rng.integers(-100, 100, shape), dtype), *quant)] if constant else []
    y = tensor("y", dtype, shape, *(out_quant or ()))
    return model([op("ADD_N", [*inputs, *last], [y])], inputs, [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

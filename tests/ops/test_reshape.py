"""RESHAPE, SQUEEZE and EXPAND_DIMS against TFLite Micro: as views inside a model, at its ends, and of a constant."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

QUANT = (0.1, 3)
CASES = [  # (operator, shape, new shape, options, what stands around it)
    ("RESHAPE", (2, 3, 4), (6, 4), {"new_shape": [6, 4]}, "alone"),
    ("RESHAPE", (2, 3, 4), (6, 4), {"new_shape": [-1, 4]}, "alone"),
    ("RESHAPE", (2, 3, 4), (24,), {"new_shape": [24]}, "before"),
    ("RESHAPE", (2, 3, 4), (24,), {"new_shape": [24]}, "after"),
    ("RESHAPE", (2, 3, 4), (24,), {"new_shape": [24]}, "around"),
    ("RESHAPE", (2, 3, 4), (4, 6), {}, "shape input"),
    ("RESHAPE", (2, 3, 4), (4, 6), {"new_shape": [4, 6]}, "constant"),
    ("SQUEEZE", (1, 6, 1, 4), (6, 4), {}, "alone"),
    ("SQUEEZE", (1, 6, 1, 4), (1, 6, 4), {"squeeze_dims": [2]}, "around"),
    ("SQUEEZE", (1, 6, 1, 4), (6, 1, 4), {"squeeze_dims": [-4]}, "after"),
]


def make(rng, code, shape, new_shape, options, around):
    def relu(x, name):
        y = tensor(name, "int8", x.shape, *QUANT)
        return op("RELU", [x], [y]), y

    nodes = []
    first = x = tensor("x", "int8", shape, *QUANT)
    if around in ("after", "around"):
        node, x = relu(x, "before")
        nodes.append(node)
    y = tensor("y", "int8", new_shape, *QUANT)
    inputs = [x]
    if around == "shape input":
        inputs.append(const("shape", np.array(new_shape, np.int32)))
    if around == "constant":
        inputs = [const("c", rng.integers(-128, 128, shape, dtype=np.int8), *QUANT)]
    nodes.append(op(code, inputs, [y], **options))
    outputs = [y]
    if around in ("before", "around"):
        node, last = relu(y, "last")
        nodes.append(node)
        outputs = [last]
    if around == "constant":
        node, other = relu(x, "other")
        nodes.append(node)
        outputs.append(other)
    return model(nodes, [first], outputs)


test_matches_tflite_micro = compare(CASES, make)

EXPANSIONS = [  # (type, shape, axis, is the input constant)
    ("int8", (2, 3), 0, False),
    ("int8", (2, 3), 1, False),
    ("int8", (2, 3), -1, False),
    ("int8", (2, 3), -3, False),
    ("int8", (2, 3), 1, True),
    ("float32", (), 0, False),
    ("int16", (4,), 1, False),
]


def make_expansion(rng, dtype, shape, axis, constant):
    quant = {"int8": QUANT, "int16": (0.001, 0)}.get(dtype, ())
    x = tensor("x", dtype, shape, *quant)
    source = const("c", rng.integers(-128, 128, shape, dtype=np.int8), *QUANT) if constant else x
    y = tensor("y", dtype, np.expand_dims(np.empty(shape), axis).shape, *quant)
    return model([op("EXPAND_DIMS", [source, const("axis", np.array([axis], np.int32))], [y])], [x], [y])


test_expand_dims_matches_tflite_micro = compare(EXPANSIONS, make_expansion, exact=True)

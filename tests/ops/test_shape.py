"""SHAPE and BROADCAST_ARGS against TFLite Micro; shapes that do not go together end the inference."""

import numpy as np
import pytest

from modelmaker import const, model, op, tensor
from ops.builds import Host
from ops.harness import Case, compare

SHAPES = [("int8", (2, 3, 4)), ("float32", (5,)), ("int32", (1, 7)), ("bool", (2, 1, 2, 1, 2))]


def make_shape(rng, dtype, shape):
    x = tensor("x", dtype, shape, *((0.1, 3) if dtype == "int8" else ()))
    y = tensor("y", "int32", (len(shape),))
    return model([op("SHAPE", [x], [y], out_type="INT32")], [x], [y])


test_shape_matches_tflite_micro = compare(SHAPES, make_shape, exact=True)

PAIRS = [  # (type, two shapes, is the second constant)
    (dtype, a, b, constant)
    for dtype in ("int32", "int64")
    for constant in (True, False)
    for a, b in (((2, 3), (2, 3)), ((2, 1), (1, 3)), ((4,), (3, 1)), ((1, 1, 1), (5,)), ((7, 1, 2), (7, 4, 2)))
]


def make_pair(rng, dtype, a, b, constant):
    first, second = const("a", np.array(a, dtype)), const("b", np.array(b, dtype))
    x = tensor("x", "int8", (1,), 0.1, 0)
    other, nodes = second, []
    if not constant:
        other = tensor("c", dtype, (len(b),))
        nodes.append(op("CONCATENATION", [second], [other], axis=0))
    y, z = tensor("y", dtype, (max(len(a), len(b)),)), tensor("z", "int8", (1,), 0.1, 0)
    return model([*nodes, op("BROADCAST_ARGS", [first, other], [y]), op("RELU", [x], [z])], [x], [y, z])


test_broadcast_args_match_tflite_micro = compare(PAIRS, make_pair, exact=True)


def test_shapes_that_do_not_go_together_are_an_error():
    a, b, y = tensor("a", "int32", (2,)), tensor("b", "int32", (2,)), tensor("y", "int32", (2,))
    case = Case(model([op("BROADCAST_ARGS", [a, b], [y])], [a, b], [y]))
    host = Host([case])
    host.run(case, [np.array([2, 1], np.int32), np.array([2, 3], np.int32)], 0)
    with pytest.raises(AssertionError, match="invoke returned an error"):
        host.run(case, [np.array([2, 3], np.int32), np.array([3, 3], np.int32)], 0)

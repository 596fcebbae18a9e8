"""Graphs of unusual form against TFLite Micro: several inputs and outputs, outputs that are inputs, constants or each other,
inputs nobody reads, tensors read twice, dead branches, views at the ends, many layers in place."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

NONE = {"fused_activation_function": "NONE"}


def like(name, dtype="float32", shape=(1, 6)):
    return tensor(name, dtype, shape, *((0.05, 3) if dtype == "int8" else ()))


def add(a, b, name="y"):
    out = like(name, a.dtype, a.shape)
    return op("ADD", [a, b], [out], **NONE), out


def held(dtype):
    return const("held", np.arange(6).astype(dtype).reshape(1, 6), *((0.05, 3) if dtype == "int8" else ()))


def two_of_each(dtype):
    x, y = like("x", dtype), like("y", dtype)
    first, p = add(x, y, "p")
    second, q = add(p, x, "q")
    return model([first, second], [x, y], [q, p])


def twice_the_same_output(dtype):
    x = like("x", dtype)
    first, p = add(x, x, "p")
    return model([first], [x], [p, p])


def input_is_output(dtype):
    x, y = like("x", dtype), like("y", dtype)
    first, p = add(x, y, "p")
    return model([first], [x, y], [p, x])


def constant_output(dtype):
    x = like("x", dtype)
    first, p = add(x, x, "p")
    return model([first], [x], [held(dtype), p])


def input_that_nobody_reads(dtype):
    x, unread = like("x", dtype), like("unread", dtype, (1, 50))
    first, p = add(x, x, "p")
    return model([first], [unread, x], [p])


def dead_branch(dtype):
    x = like("x", dtype)
    first, p = add(x, x, "p")
    dead, d = add(p, x, "d")
    more, _ = add(d, p, "e")
    last, q = add(p, held(dtype), "q")
    return model([first, dead, more, last], [x], [q])


def views_at_both_ends(dtype):
    x = like("x", dtype)
    tall, wide = like("tall", dtype, (6, 1)), like("wide", dtype, (2, 3))
    first, p = add(tall, tall, "p")
    return model([op("RESHAPE", [x], [tall], new_shape=[6, 1]), first, op("RESHAPE", [p], [wide], new_shape=[2, 3])], [x], [wide])


def view_and_original(dtype):
    """Both a tensor and its reshaped self are outputs, and the first is read again."""
    x, wide = like("x", dtype), like("wide", dtype, (2, 3))
    first, p = add(x, x, "p")
    second, q = add(p, x, "q")
    return model([first, op("RESHAPE", [p], [wide], new_shape=[2, 3]), second], [x], [p, wide, q])


def diamond(dtype):
    """One tensor goes three ways that meet again; the last reader may work in place, the others may not."""
    x = like("x", dtype)
    first, p = add(x, x, "p")
    a, left = add(p, x, "left")
    b, right = add(p, left, "right")
    c, middle = add(right, p, "middle")
    d, out = add(middle, left, "out")
    return model([first, a, b, c, d], [x], [out])


def long_chain(dtype):
    x = like("x", dtype)
    ops, last = [], x
    for n in range(30):
        made, last = add(last, x if n % 3 else last, f"t{n}")
        ops.append(made)
    return model(ops, [x], [last])


def scalars(dtype):
    x, y = like("x", dtype, ()), like("y", dtype, (1, 1, 1))
    out = like("out", dtype, (1, 1, 1))
    return model([op("ADD", [x, y], [out], **NONE)], [x, y], [out])


FORMS = {
    f.__name__: f
    for f in (
        two_of_each, twice_the_same_output, input_is_output, constant_output, input_that_nobody_reads, dead_branch,
        views_at_both_ends, view_and_original, diamond, long_chain, scalars,
    )
}  # fmt: skip


def make(rng, form, dtype):
    return FORMS[form](dtype)


test_matches_tflite_micro = compare([(form, dtype) for form in FORMS for dtype in ("float32", "int8")], make, exact=True)

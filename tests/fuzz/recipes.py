"""How each operator is drawn: recipe(draft, code) gives one OpSpec on tensors of the draft, its output shapes worked out.

What a recipe draws need not be legal: draft.draw() asks mcuml about each operator first. One entry in RECIPES per operator."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

import modelmaker as mm
from fuzz.draft import Draft, Recipe
from modelmaker import OpSpec, TensorSpec

REAL = ("int8", "float32", "int16")
ANY = ("int8", "float32", "int16", "int32", "bool")
FLOATS = ("NEG", "CEIL", "FLOOR", "ROUND", "SQRT", "SQUARE", "EXP", "LOG", "SIN", "COS", "FLOOR_DIV", "FLOOR_MOD")
DIVISIONS = ("DIV", "FLOOR_DIV", "FLOOR_MOD")
FUSED = ("ADD", "SUB", "MUL", "DIV")
ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")
COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
FIXED_OUTPUTS = {  # (operator, type) -> scale and zero point that TFLite Micro wants of the output
    ("LOGISTIC", "int8"): (1 / 256, -128),
    ("LOGISTIC", "int16"): (1 / 32768, 0),
    ("TANH", "int8"): (1 / 128, 0),
    ("TANH", "int16"): (1 / 32768, 0),
    ("SOFTMAX", "int8"): (1 / 256, -128),
    ("SOFTMAX", "int16"): (1 / 32768, 0),
    ("LOG_SOFTMAX", "int8"): (16 / 256, 127),
    ("L2_NORMALIZATION", "int8"): (1 / 128, 0),
}


def unary(d: Draft, code: str) -> OpSpec:
    plain = {"LOGICAL_NOT": ("bool",), "ZEROS_LIKE": ("int8", "float32", "int32")}.get(code, REAL)
    positive = [o.outputs[0] for o in d.ops if o.code in ("ABS", "RELU")]  # RSQRT of less ends a TFLite Micro run
    floats = code in FLOATS or code == "RSQRT"
    x = d.pick(positive) if code == "RSQRT" and positive else d.take(("float32",) if floats else plain)
    y = d.new(x.dtype, x.shape)
    if (code, x.dtype) in FIXED_OUTPUTS:
        scale, zero = FIXED_OUTPUTS[code, x.dtype]
        y.scale, y.zero_point = (scale,), (zero,)
    options = {
        "LEAKY_RELU": {"alpha": float(d.pick((0.1, 0.01, -0.3, 2.0)))},
        "SOFTMAX": {"beta": float(d.pick((1.0, 0.5, 3.0)))},
    }
    return mm.op(code, [x], [y], **options.get(code, {}))


def binary(d: Draft, code: str) -> OpSpec:
    logical, compares = code.startswith("LOGICAL"), code in COMPARISONS
    plain = ("float32",) if code in FLOATS else ("int8", "float32", "int16", "int32")
    x = d.take(("bool",) if logical else ANY if compares else plain)
    b = d.divisor(x) if code in DIVISIONS else d.partner(x, free=code not in ("MAXIMUM", "MINIMUM"))
    a, b = (b, x) if d.chance(0.3) and code not in DIVISIONS else (x, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    y = d.new("bool" if compares or logical else x.dtype, shape, x if code in ("MAXIMUM", "MINIMUM") else None)
    fused = {"fused_activation_function": d.pick(ACTIVATIONS)} if code in FUSED else {}
    return mm.op(code, [a, b], [y], **fused)


def add_n(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"))
    same = [t for t in d.live if t.dtype == x.dtype and t.shape == x.shape]
    inputs = [x, *(d.pick(same) if d.chance(0.6) else d.values(x.dtype, x.shape) for _ in range(d.number(1, 3)))]
    return mm.op(code, inputs, [d.new(x.dtype, x.shape)])


def prelu(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (1, 2, 3, 4))  # TFLite Micro aborts on five
    alpha = d.values(x.dtype, x.shape[-1:] if d.chance(0.5) else (1,) * (len(x.shape) - 1) + x.shape[-1:])
    return mm.op(code, [x, alpha], [d.new(x.dtype, x.shape)])


def select(d: Draft, code: str) -> OpSpec:
    condition = d.take(("bool",))
    a = d.take(REAL, fits=lambda t: t.shape == condition.shape) if d.chance(0.7) else d.values("float32", condition.shape)
    b = d.partner(a, free=False)
    return mm.op(code, [condition, a, b], [d.same(a, np.broadcast_shapes(condition.shape, a.shape, b.shape))])


# The same elements under another shape, or in other places.


def _factors(d: Draft, count: int) -> tuple[int, ...]:
    shape = []
    for _ in range(d.number(0, 3)):
        shape.append(d.pick([f for f in range(1, count + 1) if count % f == 0]))
        count //= shape[-1]
    return (*shape, count)


def reshape(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY)
    shape = _factors(d, prod(x.shape))
    if d.chance(0.3):
        return mm.op(code, [x], [d.same(x, shape)], new_shape=shape)
    return mm.op(code, [x, d.const(shape)], [d.same(x, shape)], new_shape=shape)


def squeeze(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, fits=lambda t: 1 in t.shape)
    dims = [i for i, n in enumerate(x.shape) if n == 1 and d.chance(0.7)]
    dropped = dims or [i for i, n in enumerate(x.shape) if n == 1]
    return mm.op(code, [x], [d.same(x, [n for i, n in enumerate(x.shape) if i not in dropped])], squeeze_dims=dims)


def expand_dims(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16", "int32"))
    axis = d.number(0, len(x.shape))
    return mm.op(code, [x, d.const([axis])], [d.same(x, (*x.shape[:axis], 1, *x.shape[axis:]))])


def transpose(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, (2, 3, 4, 5))
    order = d.rng.permutation(len(x.shape))
    return mm.op(code, [x, d.const(order)], [d.same(x, [x.shape[p] for p in order])])


def pad(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (1, 2, 3, 4))
    reflect = d.chance(0.5)
    room = [n - reflect if code == "MIRROR_PAD" else 2 for n in x.shape]
    pads = np.array([[d.number(0, min(m, 2)), d.number(0, min(m, 2))] for m in room], np.int32)
    more = [d.values(x.dtype, (1,) if d.chance(0.5) else (), x)] if code == "PADV2" else []
    options = {"mode": "REFLECT" if reflect else "SYMMETRIC"} if code == "MIRROR_PAD" else {}
    shape = [n + int(p.sum()) for n, p in zip(x.shape, pads, strict=True)]
    return mm.op(code, [x, d.const(pads), *more], [d.same(x, shape)], **options)


def cut(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, (1, 2, 3, 4, 5))
    begin = [d.number(0, n - 1) for n in x.shape]
    size = [d.number(1, n - b) for n, b in zip(x.shape, begin, strict=True)]
    given = [-1 if b + s == n and d.chance(0.5) else s for b, s, n in zip(begin, size, x.shape, strict=True)]
    return mm.op(code, [x, d.const(begin), d.const(given)], [d.same(x, size)])


def strided_slice(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, (1, 2, 3, 4))
    ends = [sorted(d.rng.choice(np.arange(n + 1), 2, replace=False).tolist()) for n in x.shape]
    steps = [d.pick((1, 1, 1, 2, 3, -1, -2)) for _ in x.shape]
    begin = [e - 1 if s < 0 else b for (b, e), s in zip(ends, steps, strict=True)]
    end = [b - 1 if s < 0 else e for (b, e), s in zip(ends, steps, strict=True)]
    end = [e - n - 1 if e < 0 else e for e, n in zip(end, x.shape, strict=True)]  # one in front of the first element
    shrink = [d.chance(0.15) for _ in x.shape]
    steps = [1 if cut else s for cut, s in zip(shrink, steps, strict=True)]
    end = [b + 1 if cut else e for cut, b, e in zip(shrink, begin, end, strict=True)]
    masks = [sum(d.chance(0.15) << i for i, cut in enumerate(shrink) if not cut) for _ in range(2)]
    shape = []
    for i, (n, b, e, s) in enumerate(zip(x.shape, begin, end, steps, strict=True)):
        first, last = slice(None if masks[0] >> i & 1 else b, None if masks[1] >> i & 1 else e, s), n
        if not shrink[i]:
            shape.append(len(range(*first.indices(last))))
    options = {"begin_mask": masks[0], "end_mask": masks[1], "shrink_axis_mask": sum(c << i for i, c in enumerate(shrink))}
    return mm.op(code, [x, d.const(begin), d.const(end), d.const(steps)], [d.same(x, shape)], **options)


def reverse(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, (1, 2, 3, 4))
    return mm.op(code, [x, d.const([d.number(0, len(x.shape) - 1)])], [d.same(x, x.shape)])


def split(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16", "int32"), (1, 2, 3, 4))
    axis = d.number(0, len(x.shape) - 1)
    n, written = x.shape[axis], d.const(axis if d.chance(0.5) else axis - len(x.shape))
    if code == "SPLIT_V":
        first = d.number(1, n)
        sizes = [first, n - first] if first < n else [n]
    else:
        count = n if code == "UNPACK" else d.pick([k for k in range(1, n + 1) if n % k == 0])
        sizes = [n // count] * count
    if len(sizes) > 6:
        sizes = [n]
    shapes = [(*x.shape[:axis], s, *x.shape[axis + 1 :]) for s in sizes]
    if code == "UNPACK":
        shapes = [(*x.shape[:axis], *x.shape[axis + 1 :])] * n
        return mm.op(code, [x], [d.same(x, s) for s in shapes], num=n, axis=axis)
    outputs = [d.same(x, s) for s in shapes]
    if code == "SPLIT":
        return mm.op(code, [written, x], outputs, num_splits=len(sizes))
    return mm.op(code, [x, d.const(sizes), written], outputs, num_splits=len(sizes))


def pack(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16", "int32"), (0, 1, 2, 3))
    others = [t for t in d.live if t.dtype == x.dtype and t.shape == x.shape]
    inputs = [x, *(d.pick(others) for _ in range(d.number(0, 3)))]
    axis = d.number(0, len(x.shape))
    y = d.same(x, (*x.shape[:axis], len(inputs), *x.shape[axis:]))
    return mm.op(code, inputs, [y], values_count=len(inputs), axis=axis - len(y.shape) if d.chance(0.3) else axis)


def concatenation(d: Draft, code: str) -> OpSpec:
    x = d.take(ANY, (1, 2, 3, 4))
    axis = d.number(0, len(x.shape) - 1)

    def rest(t: TensorSpec) -> Sequence[int]:
        return (*t.shape[:axis], -1, *t.shape[axis + 1 :])

    others = [
        t
        for t in d.live
        if t.dtype == x.dtype and len(t.shape) == len(x.shape) and rest(t) == rest(x) and t.scale == x.scale
        and t.zero_point == x.zero_point
    ]  # fmt: skip
    inputs = [x]
    for _ in range(d.number(1, 3)):
        inputs.append(d.pick(others) if d.chance(0.7) else d.values(x.dtype, x.shape, x))
    total = sum(t.shape[axis] for t in inputs)
    y = d.same(x, (*x.shape[:axis], total, *x.shape[axis + 1 :]))
    return mm.op(code, inputs, [y], axis=axis - len(x.shape) if d.chance(0.3) else axis)


def blocks(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (4,))
    b, (n, h, w, c) = d.number(1, 3), x.shape
    if code == "SPACE_TO_DEPTH":
        return mm.op(code, [x], [d.same(x, (n, h // b, w // b, c * b * b))], block_size=b)
    return mm.op(code, [x], [d.same(x, (n, h * b, w * b, c // (b * b)))], block_size=b)


def batches(d: Draft, code: str) -> OpSpec:
    x, (p, q) = d.take(("int8", "float32"), (4,)), (d.number(1, 2), d.number(1, 3))
    n, h, w, c = x.shape
    ends = np.array([[d.number(0, 1), d.number(0, 1)] for _ in range(2)], np.int32)
    if code == "SPACE_TO_BATCH_ND":  # TFLite Micro pads with bytes that nobody has set
        (p, q), ends = (d.pick([k for k in (1, 2, 3, 5, 7) if side % k == 0]) for side in (h, w)), np.zeros((2, 2), np.int32)
        shape = (n * p * q, h // p, w // q, c)
    else:
        shape = (n // (p * q), h * p - ends[0].sum(), w * q - ends[1].sum(), c)
    return mm.op(code, [x, d.const([p, q]), d.const(ends)], [d.same(x, [int(n) for n in shape])])


def broadcast_to(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16", "int32"), (1, 2, 3, 4))
    shape = [d.number(1, 3) if n == 1 else n for n in x.shape]
    shape = [2, *shape] if d.chance(0.2) else shape
    return mm.op(code, [x, d.const(shape)], [d.same(x, shape)])


def resize(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (4,))
    size = [d.number(1, 9), d.number(1, 9)]
    corners = d.chance(0.3)
    y = d.same(x, (x.shape[0], *size, x.shape[3]))
    return mm.op(code, [x, d.const(size)], [y], align_corners=corners, half_pixel_centers=not corners and d.chance(0.5))


def gather(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (2,) if code == "EMBEDDING_LOOKUP" else (1, 2, 3, 4))
    axis = 0 if code == "EMBEDDING_LOOKUP" else d.number(0, len(x.shape) - 1)
    indices = d.rng.integers(0, x.shape[axis], [d.number(1, 4) for _ in range(1 if axis else d.number(0, 2))])
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if code == "EMBEDDING_LOOKUP":
        indices = indices.reshape(-1)
        return mm.op(code, [d.const(indices), x], [d.same(x, (len(indices), x.shape[1]))])
    return mm.op(code, [x, d.const(indices)], [d.same(x, shape)], axis=axis)


def gather_nd(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (1, 2, 3, 4))
    depth = d.number(1, len(x.shape))
    indices = np.stack([d.rng.integers(0, n, d.number(1, 1) * 3) for n in x.shape[:depth]], axis=-1)
    return mm.op(code, [x, d.const(indices)], [d.same(x, (3, *x.shape[depth:]))])


def update_slice(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16", "int32"), (1, 2, 3, 4))
    update = d.values(x.dtype, [d.number(1, n) for n in x.shape], x)
    start = [d.number(-1, n) for n in x.shape]
    return mm.op(code, [x, update, d.const(start)], [d.same(x, x.shape)])


def shape_of(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (1, 2, 3, 4))
    return mm.op(code, [x], [d.new("int32", (len(x.shape),))], out_type="INT32")


def broadcast_args(d: Draft, code: str) -> list[OpSpec]:
    """The shape of a tensor, and one that goes together with it."""
    x = d.take(REAL, (1, 2, 3, 4))
    shape, other = d.new("int32", (len(x.shape),)), [1 if d.chance(0.3) else n for n in x.shape]
    other = [d.number(1, 4), *other] if d.chance(0.2) else other[d.number(0, len(other) - 1) :]
    steps = [mm.op("SHAPE", [x], [shape], out_type="INT32")]
    operands = [shape, d.const(other)] if d.chance(0.5) else [d.const(other), shape]
    return [*steps, mm.op(code, operands, [d.new("int32", (max(len(other), len(x.shape)),))])]


def fill(d: Draft, code: str) -> OpSpec:
    value = d.take(("int8", "float32", "int16", "int32"), (0,))
    shape = [d.number(1, 5) for _ in range(d.number(1, 4))]
    return mm.op(code, [d.const(shape), value], [d.same(value, shape)])


# Between types, and over axes.


def quantize(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL)
    return mm.op(code, [x], [d.new(d.pick(("int8", "int16", "uint8", "int32")[: 4 if d.chance(0.2) else 2]), x.shape)])


def dequantize(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "int16", "uint8"))
    return mm.op(code, [x], [d.new("float32", x.shape)])


def cast(d: Draft, code: str) -> OpSpec:
    x = d.take(("bool", "int8", "int16", "int32", "float32"))
    return mm.op(code, [x], [d.new(d.pick(("int8", "int16", "int32", "float32")), x.shape)])


def _axes(d: Draft, x: TensorSpec) -> tuple[list[int], list[int]]:
    axes = [i for i in range(len(x.shape)) if d.chance(0.5)] or [len(x.shape) - 1]
    return axes, [a - len(x.shape) if d.chance(0.3) else a for a in axes]


def reduce(d: Draft, code: str) -> OpSpec:
    x = d.take(("bool",) if code == "REDUCE_ALL" else REAL, (1, 2, 3, 4))
    axes, written = _axes(d, x)
    keep = d.chance(0.5)
    shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes]
    y = d.new(x.dtype, shape, None if code in ("MEAN", "SUM") else x)
    return mm.op(code, [x, d.const(written)], [y], keep_dims=keep)


def arg(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (1, 2, 3, 4))
    axis = d.number(0, len(x.shape) - 1)
    y = d.new("int32", (*x.shape[:axis], *x.shape[axis + 1 :]))
    return mm.op(code, [x, d.const([axis])], [y], output_type="INT32")


def cumsum(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (1, 2, 3, 4))
    axis = d.const(d.number(0, len(x.shape) - 1))
    return mm.op(code, [x, axis], [d.new(x.dtype, x.shape)], exclusive=d.chance(0.5), reverse=d.chance(0.5))


UNARY = (
    "ABS", "NEG", "CEIL", "FLOOR", "ROUND", "SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "SIN", "COS", "LOGICAL_NOT", "ZEROS_LIKE",
    "RELU", "RELU6", "LOGISTIC", "TANH", "ELU", "HARD_SWISH", "LEAKY_RELU", "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION",
)  # fmt: skip
BINARY = (
    *FUSED, "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "LOGICAL_AND", "LOGICAL_OR", *COMPARISONS,
)  # fmt: skip
RECIPES: dict[str, Recipe] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
    "ADD_N": add_n, "PRELU": prelu, "SELECT_V2": select, "RESHAPE": reshape, "SQUEEZE": squeeze, "EXPAND_DIMS": expand_dims,
    "TRANSPOSE": transpose, **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), pad), "SLICE": cut, "STRIDED_SLICE": strided_slice,
    "REVERSE_V2": reverse, **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK"), split), "PACK": pack,
    "CONCATENATION": concatenation, **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), blocks),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), batches), "BROADCAST_TO": broadcast_to,
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), resize),
    **dict.fromkeys(("GATHER", "EMBEDDING_LOOKUP"), gather), "GATHER_ND": gather_nd, "DYNAMIC_UPDATE_SLICE": update_slice,
    "SHAPE": shape_of, "FILL": fill, "QUANTIZE": quantize, "DEQUANTIZE": dequantize, "CAST": cast,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL"), reduce),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), arg), "CUMSUM": cumsum, "BROADCAST_ARGS": broadcast_args,
}  # fmt: skip

"""How the operators with weights, and the pools, are drawn; see recipes.py."""

from __future__ import annotations

import numpy as np

import modelmaker as mm
from fuzz.draft import Draft, NoFit, Recipe
from modelmaker import OpSpec, TensorSpec

REAL = ("int8", "float32", "int16")
ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6")


def _window(d: Draft, x: TensorSpec) -> tuple[str, tuple[int, int]]:
    """(padding, kernel) such that the output is not empty."""
    padding = d.pick(("SAME", "VALID"))
    sides = [min(d.pick((1, 2, 3, 3, 5)), n if padding == "VALID" else 9) for n in x.shape[1:3]]
    return padding, (sides[0], sides[1])


def conv(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (4,))
    padding, kernel = _window(d, x)
    depthwise = code == "DEPTHWISE_CONV_2D"
    depth = x.shape[3]
    groups = d.pick([g for g in range(1, depth + 1) if depth % g == 0]) if d.chance(0.15) and not depthwise else 1
    channels = depth * d.pick((1, 1, 2, 3)) if depthwise else groups * d.number(1, 6)
    dilation = (d.number(1, 2), d.number(1, 2)) if padding == "SAME" and d.chance(0.2) else (1, 1)
    stride = (1, 1) if dilation != (1, 1) else (d.pick((1, 1, 2, 3)), d.pick((1, 1, 2)))
    made = mm.conv(
        d.rng, x, channels, kernel, stride, dilation, padding, d.pick(ACTIVATIONS), d.chance(0.7), True, d.name("conv"),
        depthwise, groups,
    )  # fmt: skip
    return plausible(d, made)


def fully_connected(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (1, 2, 3, 4))
    return plausible(d, mm.fully_connected(d.rng, x, d.number(1, 16), d.pick(ACTIVATIONS), name=d.name("fc")))


def plausible(d: Draft, made: OpSpec) -> OpSpec:
    """The operator with its bias dropped now and then, and with an output of about the range that its sums have."""
    x, weights = made.inputs[:2]
    assert x is not None and weights is not None and weights.data is not None
    if d.chance(0.15):
        del made.inputs[2]
    if x.scale:
        terms = np.sqrt(max(1, weights.data.size // max(len(weights.scale), 1)))
        made.outputs[0].scale = (float(np.float32(x.scale[0] * max(weights.scale) * terms * d.pick((3, 30, 100)))),)
    return made


def transpose_conv(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (4,))
    padding, (height, width) = _window(d, x)
    channels, strides = d.number(1, 4), (d.number(1, 3), d.number(1, 3))
    weights = mm._weights(d.rng, d.name("w"), (channels, height, width, x.shape[3]), 0, x.dtype, d.chance(0.7))
    sizes = [
        n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, (height, width), strict=True)
    ]
    shape = (x.shape[0], *sizes, channels)
    bias = [mm._bias(d.rng, d.name("b"), channels, x, weights)] if d.chance(0.7) else []
    y = d.new(x.dtype, shape)
    options = dict(padding=padding, stride_h=strides[0], stride_w=strides[1], fused_activation_function="NONE")
    return mm.op(code, [d.const(shape), weights, x, *bias], [y], **options)


def batch_matmul(d: Draft, code: str) -> OpSpec:
    x = d.take(REAL, (2, 3, 4))
    *batch, rows, depth = x.shape
    adj_x, adj_y, columns = d.chance(0.3), d.chance(0.3), d.number(1, 6)
    rows, depth = (depth, rows) if adj_x else (rows, depth)
    shape = (*batch, columns, depth) if adj_y else (*batch, depth, columns)
    if d.chance(0.2):
        shape = (1,) * len(batch) + shape[-2:]
    other = d.values(x.dtype, shape) if d.chance(0.5) else d.feed(x.dtype, shape)
    return mm.op(code, [x, other], [d.new(x.dtype, (*batch, rows, columns))], adj_x=adj_x, adj_y=adj_y)


def pool(d: Draft, code: str) -> OpSpec:
    x = d.take(("float32",) if code == "L2_POOL_2D" else REAL, (4,))
    padding, (height, width) = _window(d, x)
    if padding == "SAME" and (height > x.shape[1] + 1 or width > x.shape[2] + 1):
        raise NoFit
    strides = d.number(1, 3), d.number(1, 3)
    sizes = [mm._spatial(n, k, s, 1, padding) for n, k, s in zip(x.shape[1:3], (height, width), strides, strict=True)]
    y = d.same(x, (x.shape[0], *sizes, x.shape[3]))
    return mm.op(
        code, [x], [y], padding=padding, stride_h=strides[0], stride_w=strides[1], filter_height=height, filter_width=width,
        fused_activation_function=d.pick(ACTIVATIONS),
    )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), conv),
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
    "BATCH_MATMUL": batch_matmul,
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), pool),
}

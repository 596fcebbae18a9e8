"""Operators in the orders and sizes for which there are kernels of their own: a convolution before a pool or a sum, the first
convolution of a network, 3x3 windows on images of even and odd sides, a depthwise convolution on its own input."""

from __future__ import annotations

import modelmaker as mm
from fuzz.draft import Draft, NoFit, Recipe
from fuzz.weighted import plausible
from modelmaker import OpSpec, TensorSpec

REAL = ("int8", "int8", "float32", "int16")
ACTIVATIONS = ("NONE", "RELU", "RELU6")
CHANNELS = (1, 3, 4, 5, 8, 12, 16)


def _image(d: Draft, depths: tuple[int, ...] = CHANNELS) -> TensorSpec:
    """An image of up to 9 by 9: one that is there, now and then, else a new input."""
    there = [t for t in d.live if t.dtype in REAL and len(t.shape) == 4 and min(t.shape[1:3]) > 1 and t.shape[3] in depths]
    if there and (d.chance(0.5) or len(d.inputs) >= d.most_inputs):
        return d.pick(there)
    if len(d.inputs) >= d.most_inputs:
        raise NoFit
    depth = d.pick(depths)
    return d.feed(d.pick(REAL), (d.pick((1, 1, 1, 2)), d.number(2, 9), d.number(2, 9) if depth < 12 else d.number(2, 6), depth))


def _conv(d: Draft, x: TensorSpec, channels: int, kernel: int, stride: int, padding: str, depthwise: bool = False) -> OpSpec:
    sides, strides = (kernel, kernel), (stride, stride)
    made = mm.conv(
        d.rng, x, channels, sides, strides, (1, 1), padding, d.pick(ACTIVATIONS), d.chance(0.8), True, d.name("conv"), depthwise
    )
    return plausible(d, made)


def window(d: Draft, code: str) -> OpSpec:
    x = _image(d)
    return _conv(d, x, d.pick(CHANNELS), 3, 1, "SAME" if min(x.shape[1:3]) < 3 else d.pick(("SAME", "SAME", "VALID")))


def first(d: Draft, code: str) -> OpSpec:
    return _conv(d, _image(d, (1, 2, 3)), d.pick(CHANNELS), d.pick((3, 3, 5, 1)), d.pick((1, 2, 2, 3)), "SAME")


def depthwise(d: Draft, code: str) -> OpSpec:
    x = _image(d)
    return _conv(d, x, x.shape[3], d.pick((3, 3, 5)), d.pick((1, 1, 2)), "SAME", depthwise=True)


def pooled(d: Draft, code: str) -> list[OpSpec]:
    x = _image(d)
    conv = _conv(d, x, d.pick(CHANNELS), d.pick((1, 3, 3, 5)), d.pick((1, 1, 1, 2)), "SAME")
    y = conv.outputs[0]
    side, stride, padding = d.pick((2, 2, 2, 3)), d.pick((2, 2, 1, 3)), d.pick(("SAME", "VALID"))
    if min(y.shape[1:3]) < side:
        raise NoFit
    sizes = [mm._spatial(n, side, stride, 1, padding) for n in y.shape[1:3]]
    pool = mm.op(
        "MAX_POOL_2D", [y], [d.same(y, (y.shape[0], *sizes, y.shape[3]))], padding=padding, stride_h=stride, stride_w=stride,
        filter_height=side, filter_width=side, fused_activation_function=d.pick(ACTIVATIONS),
    )  # fmt: skip
    return [conv, pool]


def residual(d: Draft, code: str) -> list[OpSpec]:
    x = _image(d)
    deep = "DEPTHWISE_CONV_2D" in code
    conv = _conv(d, x, x.shape[3], d.pick((1, 3, 3)), 1, "SAME", deep)
    y = conv.outputs[0]
    operands = [x, y] if d.chance(0.5) else [y, x]
    total = d.new(x.dtype, y.shape)
    if x.scale:
        total.scale = (float(max(x.scale[0], y.scale[0]) * d.pick((1, 2))),)
    return [conv, mm.op("ADD", operands, [total], fused_activation_function=d.pick(ACTIVATIONS))]


RECIPES: dict[str, Recipe] = {
    **{f"CONV_2D ({name})": recipe for name, recipe in (("window", window), ("window again", window), ("first", first))},
    "DEPTHWISE_CONV_2D (in place)": depthwise,
    **dict.fromkeys(("CONV_2D (pooled)", "CONV_2D (pooled again)"), pooled),
    **dict.fromkeys(("CONV_2D (residual)", "CONV_2D (residual again)", "DEPTHWISE_CONV_2D (residual)"), residual),
}

"""Variants of a random layer with weights that drive its kernel to its limits."""

from __future__ import annotations

import numpy as np

from modelmaker import OpSpec

# What each does to an int8 layer; the output's range must not stay as random scales leave it.
FLAVOURS = (
    "usual",
    "no bias",
    "loud",
    "faint",
    "flushed",
    "full",
    "minus 128",
    "big bias",
    "empty channel",
    "low zero",
    "high zero",
)
INT16_FLAVOURS = ("no bias", "loud", "faint", "flushed", "full", "minus 128", "big bias", "empty channel", "int32 bias")


def season(layer: OpSpec, flavour: str, channel_axis: int) -> OpSpec:
    """`layer` (input, weights, bias -> output), changed in place: multipliers of 1 and more ("loud"), of about 2**-20 and
    below 2**-32, weights at the ends of int8 (as are all of a channel and the input's zero point: "ends"), a bias of 2**29
    (int16: 2**40), a channel without weights, zero points at both ends; int4 weights; int16's 32-bit sums, with and without a
    bias."""
    x, weights, bias = layer.inputs
    assert x is not None and weights is not None and weights.data is not None
    output = layer.outputs[0]
    if flavour == "no bias":
        del layer.inputs[2]  # TFLite Micro's depthwise convolution dereferences an input that is there but left out
    elif flavour in ("loud", "faint", "flushed"):
        wanted = {"loud": 1.7, "faint": 1e-6, "flushed": 1e-11}[flavour]
        output.scale = (float(x.scale[0] * max(weights.scale) / wanted),)
    elif flavour in ("low ends", "high ends"):
        rows = np.moveaxis(weights.data, channel_axis, 0)
        rows[0::2], rows[1::2] = 127, -127
        x.zero_point, output.zero_point = (-128 if flavour == "low ends" else 127,), (0,)
        output.scale = (float(x.scale[0] * max(weights.scale) * rows[0].size * 254),)
    elif flavour == "full":
        weights.data = np.where(weights.data < 0, -127, 127).astype(np.int8)
    elif flavour == "minus 128":
        weights.data = np.full_like(weights.data, -128)
    elif flavour == "big bias" and bias is not None and bias.data is not None:
        big = 1 << (29 if x.dtype == "int8" else 40)
        bias.data = np.where(bias.data < 0, -big, big).astype(bias.data.dtype)
    elif flavour == "empty channel":
        np.moveaxis(weights.data, channel_axis, 0)[0] = 0
    elif flavour in ("low zero", "high zero"):
        x.zero_point = output.zero_point = (-128 if flavour == "low zero" else 127,)
    elif flavour == "int4":
        weights.dtype, weights.data = "int4", weights.data >> 4
    elif flavour == "int32 bias" and bias is not None and bias.data is not None:
        bias.dtype, bias.data = "int32", bias.data.astype(np.int32)
    elif flavour == "int32 sums":
        del layer.inputs[2]
        layer.options["quantized_bias_type"] = "INT32"
    else:
        assert flavour == "usual", flavour
    return layer

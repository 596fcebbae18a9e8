"""TRANSPOSE_CONV against TFLite Micro: strides, windows smaller and larger than the stride, batches, odd output sizes."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, conv, model, op, random_tensor
from ops.flavour import FLAVOURS, INT16_FLAVOURS, season
from ops.harness import compare, lowered

SHAPES = [  # (batch, height, width, channels in, channels out, window, stride, padding, activation)
    (1, 3, 4, 2, 3, (3, 3), (1, 1), "SAME", "NONE"),
    (1, 3, 4, 4, 2, (3, 3), (2, 2), "SAME", "RELU"),
    (1, 3, 2, 5, 4, (2, 2), (2, 2), "VALID", "NONE"),
    (2, 2, 3, 3, 2, (3, 2), (2, 1), "VALID", "RELU6"),
    (1, 2, 2, 3, 3, (1, 1), (3, 2), "SAME", "NONE"),
    (1, 1, 1, 1, 1, (1, 1), (1, 1), "VALID", "NONE"),
    (1, 1, 1, 6, 5, (4, 4), (2, 2), "SAME", "NONE"),
    (3, 4, 3, 2, 1, (5, 3), (1, 3), "SAME", "RELU_N1_TO_1"),
    (1, 5, 1, 8, 4, (4, 1), (2, 1), "VALID", "RELU"),
    (1, 3, 3, 2, 2, (2, 3), (3, 3), "SAME", "NONE"),
]
CASES = [
    (dtype, *shape, scales, "usual", 0) for dtype in ("int8", "int16", "float32") for shape in SHAPES for scales in ("channel",)
]
CASES += [(dtype, *SHAPES[1], "tensor", "usual", 0) for dtype in ("int8", "int16")]
CASES += [("int8", *SHAPES[1], "channel", flavour, 0) for flavour in FLAVOURS[1:]]
CASES += [("int16", *SHAPES[1], "channel", flavour, 0) for flavour in INT16_FLAVOURS if flavour != "int32 bias"]
CASES += [("int16", *SHAPES[1], "channel", "int16 bias", 0), ("float32", *SHAPES[1], "tensor", "no bias", 0)]
CASES += [("int16", 1, 3, 3, 256, 1, (3, 3), (1, 1), "SAME", "NONE", "channel", "minus 128", 0)]  # sums of more than 32 bits
CASES += [(dtype, *SHAPES[1], "channel", "usual", 1) for dtype in ("int8", "int16", "float32")]  # an output one row shorter


def make(rng, dtype, batch, height, width, depth, channels, window, stride, padding, activation, scales, flavour, shorter):
    """The convolution from the output's size back to the input's, turned round."""
    x = random_tensor(rng, "x", dtype, (batch, height, width, depth))
    layer = conv(rng, x, channels, window, (1, 1), (1, 1), "SAME", activation, scales == "channel")
    sizes = [n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip((height, width), stride, window, strict=True)]
    y = layer.outputs[0]
    y.shape = (batch, sizes[0] - shorter, sizes[1], channels)
    layer = season(layer, flavour.replace("int16 bias", "usual"), 0)
    x, weights, *bias = layer.inputs
    if flavour == "int16 bias":
        bias = [const("b16", bias[0].data.astype(np.int16), bias[0].scale, bias[0].zero_point)]
    options = dict(padding=padding, stride_h=stride[0], stride_w=stride[1], fused_activation_function=activation)
    turned = op("TRANSPOSE_CONV", [const("shape", np.array(y.shape, np.int32)), weights, x, *bias], [y], version=3, **options)
    return model([turned], [x], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)


def test_another_output_shape_is_refused():
    x = random_tensor(np.random.default_rng(1), "x", "float32", (1, 2, 2, 3))
    y = random_tensor(np.random.default_rng(1), "y", "float32", (1, 4, 4, 2))
    weights = const("w", np.zeros((2, 2, 2, 3), np.float32))
    layer = op("TRANSPOSE_CONV", [const("shape", np.array([1, 5, 4, 2], np.int32)), weights, x], [y], stride_h=2, stride_w=2)
    with pytest.raises(ModelError, match=r"its output has shape \[1, 4, 4, 2\], not \[1, 5, 4, 2\]"):
        lowered(model([layer], [x], [y]))

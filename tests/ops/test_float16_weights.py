"""float16 weights stay float16 in flash, against LiteRT; every kind of float16 is widened right."""

import numpy as np
import pytest

from modelmaker import const, conv, fully_connected, model, op, random_tensor, tensor
from ops.harness import Case, compare

DENSE = [  # (what, input shape, output channels)
    ("dense", (1, 40), 7),
    ("dense", (3, 33), 5),
    ("dense", (2, 2), 5),
    ("dense", (2, 9), 2),
]
CONVOLUTIONS = [
    ("plane", (1, 5, 5, 11), 4),
    ("plane", (2, 4, 6, 8), 10),
    ("plane", (1, 4, 3, 40), 3),
    ("spread", (1, 9, 8, 7), 9),
    ("point", (1, 3, 5, 64), 7),
    ("depthwise", (1, 9, 9, 1), 40),
    ("depthwise", (1, 5, 4, 3), 6),
    ("depthwise", (2, 5, 4, 9), 9),
    ("groups", (1, 4, 4, 4), 6),
    ("transposed", (1, 3, 3, 2), 4),
]


def make(rng, what, shape, channels):
    x = random_tensor(rng, "x", "float32", shape)
    details = {
        "depthwise": {"depthwise": True}, "groups": {"groups": 2}, "point": {"kernel": (1, 1), "activation": "RELU6"},
        "spread": {"kernel": (5, 3), "stride": (2, 1), "dilation": (1, 2)},
    }  # fmt: skip
    made = fully_connected(rng, x, channels) if what == "dense" else conv(rng, x, channels, **details.get(what, {}))
    halves = rng.normal(0, 1, made.inputs[1].shape).astype(np.float16)
    # zero, minus zero, the least subnormal, the largest one, the least normal, 1 and the next, the largest
    ends = np.array([0, 0x8000, 1, 0x83FF, 0x0400, 0x3C00, 0x3C01, 0xFBFF], np.uint16).view(np.float16)
    halves.reshape(-1)[: len(ends)] = ends[: halves.size]
    wide = tensor("wide", "float32", halves.shape)
    turned = [wide, *made.inputs[2:]]
    made.inputs[1] = wide
    if what == "transposed":
        y = tensor("y", "float32", (1, 6, 6, channels))
        turned = [const("shape", np.array(y.shape, np.int32)), wide, x, *made.inputs[2:]]
        made = op("TRANSPOSE_CONV", turned, [y], version=3, padding="SAME", stride_h=2, stride_w=2)
    return model([op("DEQUANTIZE", [const("half", halves)], [wide], version=3), made], [x], made.outputs)


test_dense_matches_litert = compare(DENSE, make, litert=True, optimized=True)
test_convolution_matches_litert = compare(CONVOLUTIONS, make, litert=True, optimized=True)


@pytest.mark.parametrize(
    "case, template, dtype",
    [
        (DENSE[0], "fully_connected_f16", "uint16"),
        (DENSE[1], "fully_connected_f16", "uint16"),
        (("dense", (4, 1), 3), "fully_connected_f32", "float32"),
        (CONVOLUTIONS[0], "conv_2d_f16", "uint16"),
        (CONVOLUTIONS[5], "conv_2d_f16", "uint16"),
        (("plane", (1, 5, 5, 3), 4), "conv_2d_f32", "float32"),  # saves less than the kernel's code
        (("depthwise", (1, 5, 4, 40), 40), "depthwise_conv_2d", "uint16"),  # fewer are rows of float32
        (("groups", (1, 4, 4, 4), 6), "conv_2d_plain", "uint16"),
        (("transposed", (1, 3, 3, 2), 4), "transpose_conv", "uint16"),
    ],
)
def test_weights_are_kept(case, template, dtype):
    (node,) = Case(make(np.random.default_rng(1), *case), optimized=True).planned.graph.nodes
    weights = next(c.data for c in node.kernel.constants if c.role == "weights")
    assert (node.kernel.template, weights.dtype) == (template, dtype)

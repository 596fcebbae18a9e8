"""float16 weights stay float16 in flash, against LiteRT; every kind of float16 is widened right."""

import numpy as np
import pytest

from mcuml import ops, passes, tflite
from mcuml.plan import plan
from modelmaker import const, conv, fully_connected, model, op, random_tensor, tensor
from ops.builds import build
from ops.harness import DSP, SMALL, Case, agree

CASES = [  # (operator, input shape, output channels, batch-wise template)
    ("dense", (1, 40), 7, "fully_connected_f16"),
    ("dense", (3, 33), 5, "fully_connected_f16"),
    ("dense", (2, 2), 5, "fully_connected_f16"),
    ("dense", (2, 9), 2, "fully_connected_f16"),
    ("plane", (1, 5, 5, 11), 4, "conv_2d_f16"),
    ("plane", (2, 4, 6, 8), 10, "conv_2d_f16"),
    ("plane", (1, 4, 3, 40), 3, "conv_2d_f16"),
    ("spread", (1, 9, 8, 7), 9, "conv_2d_f16"),
    ("point", (1, 3, 5, 64), 7, "conv_2d_f16"),
    ("depthwise", (1, 9, 9, 1), 40, "conv_2d_f16"),
    ("depthwise", (1, 5, 4, 3), 6, "depthwise_conv_2d"),
    ("depthwise", (2, 5, 4, 9), 9, "depthwise_conv_2d"),
    ("groups", (1, 4, 4, 4), 6, "conv_2d_plain"),
    ("transposed", (1, 3, 3, 2), 4, "transpose_conv"),
]


class Halves(Case):
    """A model whose weights are float16 behind DEQUANTIZE, with the passes that fold them."""

    @property
    def planned(self):
        return self._planned

    def prepare(self, folder):
        path = folder / "m.tflite"
        path.write_bytes(self.data)
        self._planned = plan(ops.lower(passes.run(tflite.load(path))))
        return self


def make(what, shape, channels):
    rng = np.random.default_rng(len(shape) + channels)
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


@pytest.fixture(scope="module", params=["host", DSP, SMALL])
def built(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    cases = [Halves(make(*case[:3]), litert=True).prepare(folder) for case in CASES]
    return build(request.param, cases), cases


@pytest.mark.parametrize("number", range(len(CASES)), ids=["-".join(map(str, c[:3])).replace(", ", "x") for c in CASES])
def test_matches_litert(built, number):
    runner, cases = built
    case, (what, _, _, template) = cases[number], CASES[number]
    (node,) = case.planned.graph.nodes
    weights = next(c.data for c in node.kernel.constants if c.role == "weights")
    assert node.kernel.template == template and weights.dtype == np.uint16, what
    for at, (sample, expected) in enumerate(zip(case.inputs, case.expected, strict=True)):
        (raw,) = runner.run(case, sample, at)
        agree(np.frombuffer(raw, np.float32).reshape(expected[0].shape), expected[0], False, f"sample {at}")


def test_a_layer_too_small_to_pay_for_the_kernel_is_widened(tmp_path):
    (node,) = Halves(make("plane", (1, 5, 5, 3), 4)).prepare(tmp_path).planned.graph.nodes
    assert node.kernel.template == "conv_2d_f32"

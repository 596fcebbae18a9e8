"""The fast kernels are fast for every shape, not only for the networks that everybody measures: cycles per layer against
CMSIS-NN's, whose kernels TFLite Micro runs on a Cortex-M."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commandline import in_process
from modelmaker import conv, model, tensor

# Cycles of arm_convolve_wrapper_s8 and arm_depthwise_conv_wrapper_s8, CMSIS-NN at 99f736a6 (July 2026), gcc 12.2 -O3,
# Cortex-M4 with zero-wait memory, counted with the cycle table of docs/DESIGN.md on layers of these shapes.
# (operator, height, width, input channels, output channels, window, stride, dilation): cycles; all padded SAME.
CMSIS_NN = {
    ("CONV_2D", 32, 32, 16, 16, (3, 3), 1, 1): 6_648_062,
    ("CONV_2D", 32, 32, 15, 17, (3, 3), 1, 1): 7_089_849,
    ("CONV_2D", 16, 16, 16, 16, (5, 5), 1, 1): 4_149_534,
    ("CONV_2D", 32, 32, 16, 16, (3, 3), 1, 2): 6_652_774,
    ("CONV_2D", 32, 32, 16, 16, (3, 3), 2, 1): 1_662_605,
    ("CONV_2D", 32, 32, 16, 16, (3, 3), 3, 1): 790_863,
    ("CONV_2D", 16, 16, 32, 32, (3, 3), 1, 1): 5_438_767,
    ("CONV_2D", 16, 16, 31, 33, (3, 3), 1, 1): 5_586_824,
    ("CONV_2D", 8, 8, 64, 64, (3, 3), 1, 1): 4_954_563,
    ("CONV_2D", 40, 1, 16, 16, (7, 1), 1, 1): 220_427,
    ("CONV_2D", 25, 5, 64, 64, (1, 1), 1, 1): 1_231_597,
    ("CONV_2D", 25, 5, 63, 61, (1, 1), 1, 1): 1_332_515,
    ("CONV_2D", 24, 24, 16, 32, (1, 1), 1, 1): 1_317_421,
    ("CONV_2D", 49, 10, 1, 64, (10, 4), 2, 1): 1_362_833,
    ("CONV_2D", 96, 96, 3, 8, (3, 3), 2, 1): 3_895_161,
    ("CONV_2D", 32, 32, 3, 16, (3, 3), 1, 1): 2_617_837,
    ("CONV_2D", 32, 32, 3, 16, (3, 3), 3, 1): 311_089,
    ("CONV_2D", 32, 32, 3, 16, (5, 5), 1, 1): 5_208_703,
    ("DEPTHWISE_CONV_2D", 25, 5, 64, 64, (3, 3), 1, 1): 695_450,
    ("DEPTHWISE_CONV_2D", 25, 5, 63, 63, (3, 3), 1, 1): 712_232,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (3, 3), 1, 1): 1_723_690,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (3, 3), 2, 1): 431_106,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (3, 3), 3, 1): 197_034,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (3, 3), 1, 2): 7_341_862,
    ("DEPTHWISE_CONV_2D", 24, 24, 16, 32, (3, 3), 1, 1): 6_565_404,
    ("DEPTHWISE_CONV_2D", 6, 6, 128, 128, (3, 3), 1, 1): 388_570,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (5, 5), 1, 1): 5_726_908,
    ("DEPTHWISE_CONV_2D", 24, 24, 31, 31, (5, 5), 1, 1): 5_903_428,
    ("DEPTHWISE_CONV_2D", 24, 24, 32, 32, (1, 7), 1, 1): 2_257_120,
}
FASTER = 1.85  # times, at least: the keyword model's target is 2.18 times, and other shapes may lose 15 % of that

pytestmark = pytest.mark.slow  # a minute


@pytest.fixture(scope="module")
def cycles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Of each layer; all are in one model, side by side, so that one build serves them."""
    rng, layers = np.random.default_rng(5), []
    for n, (code, height, width, depth, channels, window, stride, dilation) in enumerate(CMSIS_NN):
        x = tensor(f"x{n}", "int8", (1, height, width, depth), 0.05, -128)
        made = conv(
            rng, x, channels, window, (stride, stride), (dilation, dilation), activation="RELU", name=f"layer{n}",
            depthwise=code != "CONV_2D",
        )  # fmt: skip
        made.outputs[0].zero_point = (-128,)
        made.inputs[1].data[...] = rng.normal(0, 30, made.inputs[1].data.shape).clip(-127, 127)
        layers.append(made)
    path: Path = tmp_path_factory.mktemp("speed") / "layers.tflite"
    path.write_bytes(model(layers, [layer.inputs[0] for layer in layers], [layer.outputs[0] for layer in layers]))
    done = in_process("bench", path, "--board", "mps2_an386", "--samples", 1, "--json", "-")
    assert done.exit_code == 0, done.stderr
    return {layer["name"]: layer["cycles"] for layer in json.loads(done.stdout)["layers"]}


@pytest.mark.parametrize("number", range(len(CMSIS_NN)), ids=["-".join(map(str, case)) for case in CMSIS_NN])
def test_faster_than_cmsis_nn(number: int, cycles: dict[str, int]) -> None:
    theirs = list(CMSIS_NN.values())[number]
    assert theirs / cycles[f"layer{number}"] >= FASTER

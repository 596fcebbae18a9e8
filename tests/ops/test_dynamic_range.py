"""Dynamic-range layers, float activations with int8 weights, against LiteRT's reference kernels: TFLite Micro refuses them."""

import numpy as np
import pytest

from mcuml import pipeline, reference, tflite
from mcuml.errors import ModelError
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.render import render_model
from modelmaker import const, conv, fully_connected, model, random_tensor
from ops.harness import compare, lowered

ONE, TWO = (1, 1), (2, 2)
CONVOLUTIONS = [  # (input shape, window, stride, padding, output channels, activation, groups)
    ((1, 7, 6, 3), (3, 3), ONE, "SAME", 5, "RELU", 1),
    ((1, 9, 5, 4), (5, 2), TWO, "VALID", 6, "NONE", 1),
    ((1, 4, 4, 8), ONE, ONE, "SAME", 3, "RELU6", 1),
    ((3, 5, 4, 2), (3, 3), TWO, "SAME", 4, "NONE", 1),
    ((1, 5, 4, 2), (2, 3), ONE, "SAME", 1, "RELU_N1_TO_1", 1),
]
DEPTHWISE = [
    ((1, 7, 6, 4), (3, 3), ONE, "SAME", 4, "RELU", 0),
    ((2, 6, 5, 3), (3, 2), TWO, "VALID", 6, "NONE", 0),
    ((1, 5, 5, 1), (3, 3), ONE, "SAME", 3, "RELU6", 0),
    ((1, 4, 3, 1), (2, 2), ONE, "VALID", 1, "NONE", 0),
]
DENSE = [((1, 40), 7, "NONE"), ((3, 12), 4, "RELU"), ((2, 3, 5), 1, "NONE")]
CASES = [("conv", *case, scales) for case in CONVOLUTIONS for scales in ("tensor", "channel", "equal")]
CASES += [("depthwise", *case, "channel") for case in DEPTHWISE]
CASES += [("dense", shape, None, None, asymmetric, units, activation, 0, scales)
          for shape, units, activation in DENSE for scales in ("tensor", "channel") for asymmetric in (False, True)]  # fmt: skip


def make(rng, what, shape, window, stride, padding, channels, activation, groups, scales):
    """For dense layers `padding` says whether activations are quantized asymmetrically."""
    x = random_tensor(rng, "x", "float32", shape)
    if what == "dense":
        made = fully_connected(rng, x, channels, activation)
        made.options["asymmetric_quantize_inputs"] = padding
    else:
        made = conv(
            rng, x, channels, window, stride, ONE, padding, activation, depthwise=what == "depthwise", groups=max(1, groups)
        )
    weights = rng.integers(-127, 128, made.inputs[1].shape, dtype=np.int8)
    scale = rng.uniform(0.001, 0.02, channels) if scales == "channel" else [0.013] * (channels if scales == "equal" else 1)
    made.inputs[1] = const("w", weights, scale, [0] * len(scale), axis=3 if what == "depthwise" else 0)
    return model([made], [x], made.outputs)


test_matches_litert = compare(CASES, make, litert=True, samples=("random", "zero", "positive", "low", "ramp"))


@pytest.mark.parametrize("asymmetric", [False, True])
def test_activations_halfway_between_two_steps_are_rounded_as_litert_does(tmp_path, asymmetric):
    """One weight of 1 per output shows each input as it was quantized."""
    rng, count = np.random.default_rng(1), 256
    x = random_tensor(rng, "x", "float32", (1, count))
    made = fully_connected(rng, x, count, "NONE")
    made.options["asymmetric_quantize_inputs"] = asymmetric
    made.inputs[1] = const("w", np.eye(count, dtype=np.int8), [1.0], [0], axis=0)
    made.inputs[2] = const("b", np.zeros(count, np.float32))
    samples = []
    for low in (0.0, -0.25, -0.75, -1.5):
        for high in rng.uniform(0.5, 5, 5):
            step = (high - low) / 255 if asymmetric else max(high, -low) / 127
            halves = (rng.integers(1, 100, count) + 0.5) * step * rng.choice([-1, 1], count)
            halves = (halves.astype(np.float32).view(np.int32) + rng.integers(-2, 3, count, dtype=np.int32)).view(np.float32)
            samples.append([np.clip(halves, low, high, dtype=np.float32)[None]])
            samples[-1][0][0, :2] = low, high
    path = tmp_path / "m.tflite"
    path.write_bytes(model([made], [x], made.outputs))
    plan = pipeline.prepare(path)
    host = HostModel(host_library(render_model(plan)), plan)
    for sample, (wanted,) in zip(samples, reference.ask(path, samples).samples, strict=True):
        got = np.frombuffer(host.run([sample[0].tobytes()])[0], np.float32).reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_the_oracle_of_such_a_model_is_litert(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(make(np.random.default_rng(1), "dense", (3, 12), None, None, False, 4, "RELU", 0, "tensor"))
    assert tflite.load(path).scheme == "dynamic"
    assert reference.ask(path, [[np.ones((3, 12), np.float32)]]).oracle.startswith("LiteRT")


@pytest.mark.parametrize(
    "says, what, count, zero",
    [
        ("need one scale, or one for each of 5 channels, and zero point 0", "conv", 3, 0),
        ("need one scale, or one for each of 5 channels, and zero point 0", "conv", 1, 4),
        ("need a scale for each of 3 channels", "depthwise", 1, 0),
    ],
)
def test_is_refused_with_the_rule(says, what, count, zero):
    rng = np.random.default_rng(1)
    x = random_tensor(rng, "x", "float32", (1, 5, 5, 3))
    made = conv(rng, x, 5 if what == "conv" else 3, depthwise=what == "depthwise")
    shape = made.inputs[1].shape
    made.inputs[1] = const("w", np.ones(shape, np.int8), [0.1] * count, [zero] * count, axis=3 if count > 1 else 0)
    with pytest.raises(ModelError) as caught:
        lowered(model([made], [x], made.outputs))
    assert says in caught.value.what

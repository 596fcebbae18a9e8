"""A dynamic-range model from file to answer: the oracle is LiteRT, for TFLite Micro refuses it."""

import numpy as np
import pytest

from mcuml import pipeline, reference
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.render import render_model
from modelmaker import const, conv, fully_connected, model, random_tensor

CASES = [  # (input shape, window or None for FULLY_CONNECTED, stride, padding, output channels, activation)
    ((1, 7, 6, 3), (3, 3), (1, 1), "SAME", 5, "RELU"),
    ((1, 9, 5, 4), (5, 2), (2, 2), "VALID", 6, "NONE"),
    ((1, 4, 4, 8), (1, 1), (1, 1), "SAME", 3, "RELU6"),
    ((1, 40), None, None, None, 7, "NONE"),
    ((3, 12), None, None, None, 4, "RELU"),
]


def layer(case):
    shape, window, stride, padding, channels, activation = case
    rng = np.random.default_rng(len(str(case)))
    x = random_tensor(rng, "x", "float32", shape)
    made = (
        conv(rng, x, channels, window, stride, (1, 1), padding, activation)
        if window
        else fully_connected(rng, x, channels, activation)
    )
    weights = rng.integers(-127, 128, made.inputs[1].shape, dtype=np.int8)
    made.inputs[1] = const("w", weights, scale=0.013, zero_point=0)
    return x, model([made], [x], made.outputs)


@pytest.mark.parametrize("case", CASES, ids=lambda c: "x".join(map(str, c[0])))
def test_matches_litert(case, tmp_path):
    x, data = layer(case)
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    rng = np.random.default_rng(1)
    samples = [[(rng.normal(0, s, x.shape)).astype(np.float32)] for s in (1, 1, 0.001, 100, 0)]
    plan = pipeline.prepare(path)
    answer = reference.ask(path, samples)
    assert answer.oracle.startswith("LiteRT") and plan.graph.scheme == "dynamic"
    host = HostModel(host_library(render_model(plan)), plan)
    for sample, (want,) in zip(samples, answer.samples, strict=True):
        got = np.frombuffer(host.run([sample[0].tobytes()])[0], np.float32).reshape(want.shape)
        assert np.allclose(got, want, rtol=1e-5, atol=1e-5)

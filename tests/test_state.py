"""A model with state, from file to answer: each sample of a run starts from cleared state, for oracle and host build."""

import numpy as np
import pytest

from mcuml import pipeline, reference
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.render import render_model
from modelmaker import const, model, op, tensor


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(1)
    x, y, state = tensor("x", "float32", (1, 3)), tensor("y", "float32", (1, 2)), tensor("state", "float32", (1, 8))
    state.variable = True
    weights = [
        const(name, rng.normal(0, 1, shape).astype(np.float32)) for name, shape in (("f", (2, 3)), ("t", (2, 4)), ("b", (2,)))
    ]
    file = tmp_path / "m.tflite"
    file.write_bytes(model([op("SVDF", [x, *weights, state], [y], rank=1)], [x], [y]))
    return file


@pytest.mark.parametrize("engine", ["tflm", "litert"])
def test_each_sample_starts_from_cleared_state(path, engine):
    sample = [np.array([[1, 2, 3]], np.float32)]
    first, again = reference.ask(path, [sample, sample], engine=engine).samples
    assert np.array_equal(first[0], again[0])
    plan = pipeline.prepare(path)
    host = HostModel(host_library(render_model(plan)), plan)
    for _ in range(2):
        got = np.frombuffer(host.run([sample[0].tobytes()])[0], np.float32).reshape(1, 2)
        assert np.allclose(got, first[0], rtol=1e-5)

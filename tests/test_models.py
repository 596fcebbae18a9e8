"""Every shared model that mcuml serves, as the host build of its C, against the oracle; the board's builds are `make bench`'s."""

import numpy as np
import pytest

from mcuml import dataset, pipeline, reference
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.render import render_model

MODELS = {  # name -> largest arena in bytes
    "mlperf_tiny/kws_ref_model": 10_000,
    "mlperf_tiny/vww_96_int8": 40_000,
    "mlperf_tiny/pretrainedResnet_quant": 35_000,
    "mlperf_tiny/ad01_int8": 1_300,
    "mlperf_tiny/pretrainedResnet": 140_000,
    "mlperf_tiny/kws_ref_model_float32": 75_000,
    "cnn_on_mcu/4_fashion_mnist_model": 35_000,
    "cnn_on_mcu/7_fashion_mnist_Integer_float_model": 35_000,
    "cnn_on_mcu/10_fashion_mnist_float16_model": 35_000,
    "cnn_on_mcu/13_fashion_mnist_integeronly_model": 9_000,
}


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_the_oracles(shared, name):
    path = shared / "models" / f"{name}.tflite"
    plan = pipeline.prepare(path)
    assert plan.arena_bytes <= MODELS[name]
    tensors = [plan.graph.tensors[t] for t in plan.graph.inputs]
    samples = dataset.random(tensors, 5).samples()
    host = HostModel(host_library(render_model(plan)), plan)
    for sample, expected in zip(samples, reference.run(path, samples), strict=True):
        for raw, want in zip(host.run([s.tobytes() for s in sample]), expected, strict=True):
            got = np.frombuffer(raw, want.dtype).reshape(want.shape)
            if want.dtype.kind == "f":
                assert np.all(np.abs(got - want) <= 1e-5 * np.maximum(1, np.abs(want)))
            else:
                assert np.array_equal(got, want)


def test_constants_are_declared_as_they_are_defined(shared):
    """Clang takes an array that it only sees declared for 16-byte aligned, and loads it so."""
    files = render_model(pipeline.prepare(shared / "models" / "mlperf_tiny" / "ad01_int8.tflite"))
    for name in ("model.c", "model_weights.c"):
        declared = [line for line in files[name].splitlines() if line.startswith("extern const") and "_info[" not in line]
        assert declared and all("] WORD_ALIGNED;" in line for line in declared)

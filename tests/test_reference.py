"""The oracle: its answers, its choice of interpreter, and that nothing it meets ends in a traceback or a hang."""

from __future__ import annotations

import numpy as np
import pytest

import modelmaker as mm
from mcuml import reference
from mcuml.errors import CheckError, ModelError, RequestError

RNG = np.random.default_rng(3)
X = mm.tensor("x", "int8", (1, 6, 6, 3), 0.05, -3)
CONV = mm.conv(RNG, X, 4, stride=(2, 2), activation="RELU")
FC = mm.fully_connected(RNG, CONV.outputs[0], 5)
MODEL = mm.model([CONV, FC], [X], FC.outputs)


def _hybrid() -> bytes:
    """Float activations with int8 weights: LiteRT runs it, TFLM refuses."""
    x, y = mm.tensor("x", "float32", (1, 8)), mm.tensor("y", "float32", (1, 4))
    w = mm.const("w", RNG.integers(-127, 128, (4, 8), dtype=np.int8), 0.01, 0)
    return mm.model([mm.op("FULLY_CONNECTED", [x, w, None], [y], version=3)], [x], [y])


def test_many_samples_in_order():
    samples = [[mm.sample(RNG, X)] for _ in range(20)]
    answer = reference.ask(MODEL, samples)
    assert answer.oracle.startswith("TFLite Micro") and len(answer.samples) == 20
    again = reference.run(MODEL, samples[7:8])
    assert np.array_equal(again[0][0], answer.samples[7][0]) and again[0][0].dtype == np.int8
    assert len({s[0].tobytes() for s in answer.samples}) > 15


@pytest.mark.parametrize("engine", ["tflm", "litert"])
def test_every_layer(engine: str):
    sample = [mm.sample(RNG, X)]
    tensors = reference.all_tensors(MODEL, sample, engine=engine)
    raw = reference.tflite.read(MODEL, "m")
    assert np.array_equal(tensors[raw.inputs[0]], sample[0])
    assert np.array_equal(tensors[raw.outputs[0]], reference.ask(MODEL, [sample], engine=engine).samples[0][0])
    assert all(t in tensors and tensors[t].shape == raw.tensors[t].shape for op in raw.operators for t in op.outputs)


def test_a_hybrid_model_goes_to_litert():
    model, samples = _hybrid(), [[RNG.normal(size=(1, 8)).astype(np.float32)]]
    assert reference.ask(model, samples).oracle.startswith("LiteRT")
    with pytest.raises(ModelError, match="No reference interpreter"):
        reference.ask(model, samples, engine="tflm")


BAD = {
    "dtype": [np.zeros((1, 6, 6, 3), np.uint8)],
    "shape": [np.zeros((1, 6, 3, 6), np.int8)],
    "too-many": [np.zeros((1, 6, 6, 3), np.int8)] * 2,
    "none": [],
}


@pytest.mark.parametrize("case", BAD)
def test_samples_that_do_not_fit(case: str):
    with pytest.raises(RequestError, match="Sample 0"):
        reference.ask(MODEL, [BAD[case]])


def test_time_is_limited():
    with pytest.raises(CheckError, match="did not finish"):
        reference.ask(MODEL, [[mm.sample(RNG, X)]], timeout_s=0.01)


def test_a_dying_process_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reference.sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="No reference interpreter"):
        reference.ask(MODEL, [[mm.sample(RNG, X)]])

"""ptq: every format is served by mcuml and equals the oracle, integer files hold no float, small, the same bytes each time."""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="mcuml[optimize] is not installed")


from mcuml import pipeline, reference, tflite
from mcuml.dataset import as_input
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.optimize import converter, frameworks, slim
from mcuml.optimize.data import Data, Split
from mcuml.optimize.steps import Context
from mcuml.optimize.steps.ptq import Ptq
from mcuml.render import render_model

keras = frameworks.keras()
L = keras.layers
FORMATS = ("float32", "dynamic", "float16", "int8", "int16x8")
PAPER_BYTES = {"float32": 83_280, "dynamic": 22_480, "float16": 42_972, "int8": 23_208}  # of the paper's own .tflite files


def paper_cnn():
    layers = [L.Reshape((28, 28, 1)), L.Conv2D(12, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(10)]
    return keras.Sequential([keras.Input((28, 28)), *layers])


def small():
    layers = [L.Conv2D(4, 3, strides=2, activation="relu", name="front"), L.Flatten(), L.Dense(4, activation="softmax")]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def residual():
    """Depthwise separable with batch normalization, and a shortcut."""
    x = keras.Input((8, 8, 1))
    y = shortcut = L.ReLU(6)(norm()(L.Conv2D(6, 3, padding="same", use_bias=False)(x)))
    y = L.ReLU(6)(norm()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)))
    y = norm()(L.Conv2D(6, 1, use_bias=False)(y))
    y = L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([y, shortcut])))
    return keras.Model(x, L.Dense(4)(y))


def norm():
    random = keras.initializers.RandomUniform
    return L.BatchNormalization(moving_variance_initializer=random(0.5, 2, seed=1), gamma_initializer=random(0.5, 2, seed=2))


NETS = {"paper": paper_cnn, "small": small, "residual": residual}


@pytest.fixture(scope="module")
def export(nets):
    """The file of a net with settings, made once."""
    return cache(lambda net, **settings: Ptq(samples=20, **settings).convert(*nets[net]))


@pytest.fixture(scope="module")
def nets():
    """Name -> (untrained model with the same weights each time, context)."""
    found = {}
    for name, build in NETS.items():
        keras.utils.set_random_seed(3)
        model = build()
        found[name] = (model, context(model.input_shape[1:], model.output_shape[-1]))
    return found


def context(shape, classes, count=60, traits=frozenset(), scale=1.0):
    rng = np.random.default_rng(5)
    split = Split(scale * rng.random((count, *shape), np.float32), np.arange(count) % classes)
    told = []
    return Context(Data("made", split, split, split, classes, ""), 0, traits, lambda: None, lambda *news: told.append(news))


def dtypes(data):
    return {tensor.dtype for tensor in tflite.read(data, "made").tensors}


def kinds(data):
    raw = tflite.read(data, "made")
    return [op.code for op in raw.operators], [raw.tensors[t].dtype for t in (*raw.inputs, *raw.outputs)]


SERVED = [(net, kind, {}) for net in NETS for kind in FORMATS] + [
    ("residual", "int8", {"per_tensor": True, "float_io": True}),
    ("residual", "int8", {"bias_correction": True, "calibration": "entropy"}),
]


@pytest.mark.parametrize("net,kind,settings", SERVED, ids=lambda v: str(v).replace(" ", ""))
def test_generated_c_equals_the_oracle(nets, export, tmp_path, net, kind, settings):
    model, with_data = nets[net]
    data = export(net, format=kind, **settings)
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    plan = pipeline.prepare(path)
    tensors = plan.graph.tensors
    x = as_input(with_data.data.train.x[:8], tensors[plan.graph.inputs[0]], "made")
    expected = reference.run(path, [[sample] for sample in x])
    host = HostModel(host_library(render_model(plan)), plan)
    for sample, (right,) in zip(x, expected, strict=True):
        got = np.frombuffer(host.run([sample.tobytes()])[0], right.dtype).reshape(right.shape)
        np.testing.assert_allclose(got, right, rtol=0, atol=0 if right.dtype.kind == "i" else 1e-5 * max(1, np.abs(right).max()))
    exact = model.predict(with_data.data.train.x[:8], verbose=0)
    output = tensors[plan.graph.outputs[0]]
    real = np.stack([right[0] for (right,) in expected]).astype(float)
    if output.quant is not None:
        real = (real - output.quant.zero_point) * output.quant.scale
    assert np.abs(real - exact).max() <= (1e-4 if kind == "float32" else 0.1) * np.abs(exact).max()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("kind,integer", [("int8", "int8"), ("int16x8", "int16")])
def test_integer_files_hold_no_float_anywhere(export, net, kind, integer):
    data = export(net, format=kind)
    assert not {"float32", "float16"} & dtypes(data)
    assert kinds(data)[1] == [integer, integer]


@pytest.mark.parametrize("kind", ["int8", "int16x8"])
def test_float_io_keeps_floats_at_the_ends_only(export, kind):
    codes, ends = kinds(export("small", format=kind, float_io=True))
    assert ends == ["float32", "float32"]
    assert (codes[0], codes[-1]) == ("QUANTIZE", "DEQUANTIZE") and not {"QUANTIZE", "DEQUANTIZE"} & set(codes[1:-1])


@pytest.mark.parametrize("kind", PAPER_BYTES)
def test_files_are_smaller_than_the_papers(export, kind):
    assert len(export("paper", format=kind)) <= PAPER_BYTES[kind]


def test_slim_takes_away_only_what_no_interpreter_needs(nets):
    model, with_data = nets["residual"]
    x = with_data.data.train.x[:4]
    fat = converter._run(converter._converter(model, converter.Options()), model, "float32")
    thin = slim.slim(fat)
    assert len(thin) < len(fat) and slim.slim(thin) == thin
    samples = [[sample[None]] for sample in x]
    assert np.array_equal(reference.run(fat, samples), reference.run(thin, samples))


def test_per_tensor_has_one_scale_per_weight_tensor(export):
    for per_tensor in (False, True):
        raw = tflite.read(export("residual", format="int8", per_tensor=per_tensor), "made")
        scales = {tensor.quant.scale.size for tensor in raw.tensors if tensor.dtype == "int8" and tensor.is_const}
        assert (scales == {1}) == per_tensor


def test_same_bytes_whatever_was_built_before(nets, export):
    for kind in ("int8", "float16"):
        step = Ptq(format=kind, samples=20)
        keras.utils.set_random_seed(3)
        again = residual()
        assert again.layers[1].name != nets["residual"][0].layers[1].name  # Keras went on counting
        assert step.convert(again, nets["residual"][1]) == export("residual", format=kind)


def test_tensors_have_their_layers_names(export):
    raw = tflite.read(export("small", format="int8"), "made")
    assert [raw.tensors[op.outputs[0]].name for op in raw.operators] == ["front", "flatten", "dense", "dense"]
    assert raw.tensors[raw.inputs[0]].name == "input"

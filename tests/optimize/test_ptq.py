"""ptq: every format is served by mcuml and equals the oracle, integer files hold no float, small, the same bytes each time."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")


from mcuml import pipeline, reference, tflite
from mcuml.dataset import as_input
from mcuml.errors import CheckError, ModelError, RequestError
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.optimize import converter, frameworks, recipe, slim
from mcuml.optimize.data import Data, Split
from mcuml.optimize.steps import QUANTIZED, Context
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


SERVED = [(net, kind, {}) for net in ("paper", "residual") for kind in FORMATS] + [
    ("small", "int8", {}),
    ("small", "int16x8", {}),
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
    model, with_data = nets["small"]
    file = slim.pack(slim.unpack(converter.calibrated(model, with_data.data.train.x[:10], converter.Options())))
    thin = slim.slim(file)
    assert len(thin) < len(file) and slim.slim(thin) == thin == slim.slim(shuffled(file))
    assert b"min_runtime_version" not in thin and slim.unpack(thin).signatureDefs is None
    samples = [[sample[None]] for sample in with_data.data.train.x[:4]]
    assert np.array_equal(reference.run(file, samples), reference.run(thin, samples))


def shuffled(file):
    """The same model with its tensors the other way round."""
    model = slim.unpack(file)
    graph = model.subgraphs[0]
    graph.tensors.reverse()
    last = len(graph.tensors) - 1
    graph.inputs, graph.outputs = [last - t for t in graph.inputs], [last - t for t in graph.outputs]
    for op in graph.operators:
        op.inputs, op.outputs = [last - t if t >= 0 else t for t in op.inputs], [last - t for t in op.outputs]
    return slim.pack(model)


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


def test_int8_after_qat_takes_the_learned_ranges(nets, tmp_path):
    """There is no data that ranges could be measured on. tfmot holds the learned ends in weights."""
    wrapped = frameworks.tfmot().quantization.keras.quantize_model(nets["small"][0])
    least, greatest = [w for w in wrapped.get_layer("quant_front").weights if "post_activation_m" in w.name]
    least.assign(0)
    greatest.assign(2.5)
    data = Ptq().convert(wrapped, Context(None, 0, frozenset({QUANTIZED}), None, lambda *news: None))
    assert not {"float32", "float16"} & dtypes(data)
    (front,) = [t for t in tflite.read(data, "made").tensors if t.name == "front"]
    assert front.quant.scale[0] == pytest.approx(2.5 / 255, rel=1e-3)
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    assert pipeline.prepare(path).graph.scheme == "int8"


@pytest.mark.parametrize("kind", [k for k in FORMATS if k != "int8"])
def test_only_int8_comes_after_qat(kind):
    assert f"would stay in a {kind} file" in Ptq(format=kind).legal_after(frozenset({QUANTIZED}))
    assert not Ptq(float_io=True).legal_after(frozenset({QUANTIZED}))
    assert "learned in training" in Ptq(calibration="entropy").legal_after(frozenset({QUANTIZED}))


@pytest.mark.parametrize("per_tensor", [False, True])
def test_zeros_stay_zeros_and_clusters_stay_clusters(per_tensor):
    """Of weights with 60 % zeros and 8 values in all, int8 codes have as many zeros, and per channel at most 8 values; of the
    whole tensor too where it has one scale."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((16,)), L.Dense(12), L.Dense(4)])
    values = np.array([-0.9, -0.41, -0.2, 0.11, 0.3, 0.52, 0.77])
    for layer in model.layers:
        weights = np.where(rng.random(layer.kernel.shape) < 0.6, 0, rng.choice(values, layer.kernel.shape))
        layer.set_weights([weights, rng.normal(size=layer.bias.shape)])
    raw = tflite.read(Ptq(samples=10, per_tensor=per_tensor).convert(model, context((16,), 4)), "made")
    codes = [t.data for t in raw.tensors if t.is_const and t.dtype == "int8"]
    for layer, found in zip(model.layers, codes, strict=True):
        assert np.array_equal(found == 0, layer.kernel.numpy().T == 0)
        assert max(len(np.unique(row)) for row in found) <= 8
        assert len(np.unique(found)) <= 8 or not per_tensor


def test_bias_correction_brings_the_mean_output_back(nets):
    """Weights that all round the same way shift every output: per-tensor scales, one huge weight, the others 0.4 steps."""
    model = keras.Sequential([keras.Input((32,)), L.Dense(4, name="shifted")])
    weights = np.full((32, 4), 0.4 / 127)
    weights[0] = 1
    model.set_weights([weights, np.ones(4)])
    with_data = context((32,), 4)
    x = with_data.data.train.x
    exact = model.predict(x, verbose=0).mean(0)
    shift = []
    for corrected in (False, True):
        data = Ptq(samples=60, per_tensor=True, float_io=True, bias_correction=corrected).convert(model, with_data)
        outputs = np.array(reference.run(data, [[sample[None]] for sample in x]))
        shift.append(np.abs(outputs.reshape(len(x), -1).mean(0) - exact).max())
    assert shift[0] > 0.03 and shift[1] < 0.005


def refused(model, kind="int8", **made_from):
    with pytest.raises((ModelError, CheckError, RequestError)) as caught:
        Ptq(format=kind, samples=10).convert(model, context(model.input_shape[1:], 4, **made_from))
    return str(caught.value)


def dense(*layers, shape=(8,), **first):
    return keras.Sequential([keras.Input(shape), L.Dense(4, name="front", **first), *layers])


def test_an_operator_that_there_is_not_is_named_with_its_layer():
    frequencies = L.Lambda(lambda x: frameworks.tensorflow().math.erfc(x), name="odd")
    text = refused(dense(frequencies, L.Dense(4)))
    assert "no operator for 'Erfc' in layer 'odd'" in text and "Replace" in text


def test_an_operator_without_integers_is_named_with_its_layer():
    text = refused(dense(L.Activation(frameworks.tensorflow().math.cos, name="wave"), L.Dense(4)))
    assert "1 operators of the model have no int8 version: COS (output 'wave')" in text and "float16" in text


def test_weights_that_are_no_numbers_are_named():
    text = refused(dense(kernel_initializer=keras.initializers.Constant(np.nan)), "float32")
    assert "32 of the values of 'front/kernel:0' in layer 'front' are no numbers" in text


def test_channels_of_zeros_alone_have_no_int16x8():
    model = small()
    kernel, bias = model.get_layer("front").get_weights()
    kernel[..., 1] = 0
    model.get_layer("front").set_weights([kernel, bias])
    assert "int16x8 has no scale for channels whose weights are all 0: 'front'" in refused(model, "int16x8")


def test_ranges_of_nothing_are_refused():
    assert "the model's input is 0 in all samples" in refused(dense(), scale=0)
    assert "the model's output is 0 in all samples" in refused(dense(kernel_initializer="zeros"))


def test_models_that_fit_nowhere_are_refused():
    wide = keras.Sequential([keras.Input((4096,)), L.Dense(4200, kernel_initializer="zeros")])
    assert "68" in refused(wide, "float32") and "too large for any microcontroller" in refused(wide, "float32")
    x, z = keras.Input((4,)), keras.Input((4,))
    both = keras.Model([x, z], L.Add()([x, z]))
    free = keras.Sequential([keras.Input((None, 8)), L.Conv1D(2, 3)])
    for model, reason in ((both, "2 inputs"), (free, "None, 8")):
        with pytest.raises(ModelError, match=reason):
            Ptq().convert(model, context((4,), 4))


@pytest.mark.parametrize(
    "text,reason",
    [
        ("float16(float_io=true)", "float_io is for int8 and int16x8"),
        ("int16x8(calibration=entropy)", "calibration is for int8"),
        ("float16(per_tensor=true)", "per_tensor is for formats with int8 weights"),
        ("float32(bias_correction=true)", "bias_correction repairs what int8 weights do"),
        ("int8(samples=9)", "greater than or equal to 10"),
    ],
)
def test_settings_that_do_nothing_are_refused(text, reason):
    with pytest.raises(RequestError, match=reason):
        recipe.parse(text)


QUIET = """
import sys
sys.path.insert(0, {here!r})
import made
from mcuml.optimize import frameworks
from mcuml.optimize.steps.ptq import Ptq
keras = frameworks.keras()
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
for settings in ({{"calibration": "entropy"}}, {{"format": "int16x8"}}):
    Ptq(samples=10, **settings).convert(model, made.context())
print("data")
"""


def test_nothing_but_data_on_stdout_and_nothing_on_stderr():
    done = subprocess.run(
        [sys.executable, "-c", QUIET.format(here=str(Path(__file__).parent))], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("data\n", "")

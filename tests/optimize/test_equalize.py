"""equalize: the function stays, weights' ranges meet, and int8 per tensor gets better where channels are scaled badly."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")
pytest.importorskip("ai_edge_litert", reason="mcuml[verify] is not installed")

import made
from ai_edge_litert.interpreter import Interpreter

from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.steps.equalize import Equalize

keras, tf = frameworks.keras(), frameworks.tensorflow()
L = keras.layers
X = made.split(64, 5).x


def relu():
    return L.Activation("relu")


CHAINS = {  # layers, and how many pairs there are
    "conv-conv": ([L.Conv2D(6, 3, activation="relu"), L.Conv2D(3, 3)], 1),
    "mobile": ([L.Conv2D(6, 1), relu(), L.DepthwiseConv2D(3), L.ReLU(), L.Conv2D(4, 1), relu(), L.Conv2D(2, 1)], 3),
    "multiplier": ([L.DepthwiseConv2D(3, depth_multiplier=3, activation="relu"), L.Conv2D(4, 1)], 1),
    "into-multiplier": ([L.Conv2D(3, 3, activation="relu"), L.DepthwiseConv2D(3, depth_multiplier=2)], 1),
    "separable": ([L.SeparableConv2D(4, 3, activation="relu"), L.SeparableConv2D(3, 3)], 1),
    "transpose": ([L.Conv2DTranspose(4, 3), L.Conv2DTranspose(3, 3)], 1),
    "pool-flatten-dense": ([L.Conv2D(5, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4)], 1),
    "mean-dense": ([L.Conv2D(5, 3, use_bias=False), L.LeakyReLU(), L.GlobalAveragePooling2D(), L.Dense(4)], 1),
    "dense": ([L.Flatten(), L.Dense(9, activation="relu"), L.Dropout(0.5), L.Dense(4)], 1),
    "normalized": ([L.Conv2D(6, 3), L.BatchNormalization(), relu(), L.ZeroPadding2D(), L.Conv2D(3, 3)], 1),
    "relu6": ([L.Conv2D(6, 3), L.ReLU(6.0), L.Conv2D(6, 3, activation="relu6"), L.Conv2D(6, 3), L.Conv2D(3, 1)], 1),
    "softmax-between": ([L.Conv2D(6, 3, activation="softmax"), L.Conv2D(6, 3), L.Conv2D(6, 3)], 1),
    "into-groups": ([L.Conv2D(6, 3), L.Conv2D(6, 3, groups=2), L.Conv2D(2, 3)], 1),
}


def chain(layers, badly=True):
    """A model of copies of `layers`; `badly`: its channels scaled by factors from 1/30 to 30."""
    x = y = keras.Input(X.shape[1:])
    for number, layer in enumerate(layers):
        y = layer.from_config({**layer.get_config(), "name": f"layer{number}"})(y)
    model, rng = keras.Model(x, y), np.random.default_rng(1)
    if badly:
        for layer in model.layers:
            layer.set_weights([w * np.exp(rng.uniform(-3.4, 3.4, w.shape[-1])).astype(np.float32) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("name", CHAINS)
def test_the_function_stays(name):
    layers, pairs = CHAINS[name]
    model, context = chain(layers), made.context()
    before = model(X).numpy()
    after = Equalize().apply(model, context)
    np.testing.assert_allclose(after(X).numpy(), before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    assert context.progress.told[-1][0].endswith(f"pairs of layers: {pairs}")
    np.testing.assert_array_equal(model(X).numpy(), before, "the model that was given has changed")
    assert any(np.abs(a - b).max() > 0.1 for a, b in zip(after.get_weights(), model.get_weights(), strict=False))


def test_ranges_meet():
    """Eq. 11: both ranges of a channel become the geometric mean of what they were."""
    model = chain([L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4)])
    after = Equalize().apply(model, made.context())

    def ranges(of):
        first, second = of.get_layer("layer0").get_weights()[0], of.get_layer("layer3").get_weights()[0]
        return np.abs(first).max(axis=(0, 1, 2)), np.abs(second).reshape(9, 6, 4).max(axis=(0, 2))

    mean = np.sqrt(np.prod(ranges(model), axis=0))
    np.testing.assert_allclose(ranges(after), [mean, mean], rtol=1e-4)


def test_unused_channels_stay():
    model = chain([L.Conv2D(6, 3, activation="relu"), L.Conv2D(3, 3)])
    kernel, bias = model.get_layer("layer0").get_weights()
    reader, offset = model.get_layer("layer1").get_weights()
    kernel[..., 2], reader[:, :, 4] = 0, 0
    model.get_layer("layer0").set_weights([kernel, bias])
    model.get_layer("layer1").set_weights([reader, offset])
    after = Equalize().apply(model, made.context())
    np.testing.assert_allclose(after(X).numpy(), model(X).numpy(), rtol=1e-4, atol=1e-4 * np.abs(model(X)).max())
    np.testing.assert_array_equal(after.get_layer("layer0").get_weights()[0][..., [2, 4]], kernel[..., [2, 4]])


@pytest.mark.parametrize("layers", [[L.Flatten(), L.Dense(4)], [L.Conv2D(4, 3, activation="tanh"), L.Conv2D(4, 3)]])
def test_a_model_without_pairs_is_refused(layers):
    with pytest.raises(ModelError, match="equalize: no two layers"):
        Equalize().apply(chain(layers), made.context())


def per_tensor(model, x):
    """Outputs of `model` in int8 with one scale per weight tensor."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter._experimental_disable_per_channel = True
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    outputs = []
    for one in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], one[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.array(outputs)


def test_int8_per_tensor_gets_better_where_channels_are_scaled_badly():
    layers = [L.Conv2D(8, 3, activation="relu"), L.DepthwiseConv2D(3, activation="relu"), L.Conv2D(6, 1)]
    good = chain(layers, badly=False)
    weights, rng = good.get_weights(), np.random.default_rng(1)
    for first, second in ((0, 2), (2, 4)):
        factors = np.exp(rng.uniform(-4, 4, 8)).astype(np.float32)[:, None]
        weights[first] = weights[first] * factors[:, 0].reshape((1, 1, 1, 8) if first == 0 else (1, 1, 8, 1))
        weights[second] = weights[second] / factors
    bad = chain(layers, badly=False)
    bad.set_weights(weights)
    wanted = good(X).numpy()
    np.testing.assert_allclose(bad(X).numpy(), wanted, rtol=1e-4, atol=1e-4)
    equalized = Equalize().apply(bad, made.context())
    before, after = (np.abs(per_tensor(model, X) - wanted).mean() / np.abs(wanted).mean() for model in (bad, equalized))
    assert before > 0.2 and after < 0.05, (before, after)


def test_resnet_of_mlperf_tiny(shared):
    model = keras.models.load_model(shared / "models/mlperf_tiny/pretrainedResnet.h5", compile=False)
    x = np.random.default_rng(0).uniform(0, 255, (32, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(Equalize().apply(model, made.context())(x).numpy(), model(x).numpy(), atol=1e-4)

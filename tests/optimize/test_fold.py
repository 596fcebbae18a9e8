"""fold: outputs stay equal, what can be folded is gone, what cannot stays and still computes the same."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.optimize import frameworks, recipe
from mcuml.optimize.steps.fold import Fold

keras = frameworks.keras()
L = keras.layers


def norm(**settings):
    return L.BatchNormalization(
        beta_initializer=keras.initializers.RandomNormal(1.0, seed=1),
        gamma_initializer=keras.initializers.RandomNormal(seed=2),
        moving_mean_initializer=keras.initializers.RandomNormal(2.0, seed=3),
        moving_variance_initializer=keras.initializers.RandomUniform(0.01, 9, seed=4),
        **settings,
    )


LAYERS = {  # layers between input and output, and whether every normalization among them can be folded
    "conv": ([L.Conv2D(4, 3, strides=2, padding="same"), norm(), L.ReLU()], True),
    "conv-no-bias": ([L.Conv2D(4, 3, use_bias=False), norm()], True),
    "conv-groups": ([L.Conv2D(4, 3, groups=2), norm()], True),
    "depthwise": ([L.DepthwiseConv2D(3, depth_multiplier=2), norm(), L.Activation("relu")], True),
    "separable": ([L.SeparableConv2D(4, 3, depth_multiplier=2), norm()], True),
    "transpose": ([L.Conv2DTranspose(3, 3, strides=2), norm()], True),
    "dense": ([L.Flatten(), L.Dense(5), norm()], True),
    "dense-on-last-axis": ([L.Dense(5), norm()], True),
    "one-channel": ([L.Conv2D(1, 3), norm()], True),
    "through-dropout": ([L.Conv2D(4, 3), L.Dropout(0.5), norm(), L.SpatialDropout2D(0.2)], True),
    "twice": ([L.Conv2D(4, 3), norm(), norm()], True),
    "no-scale": ([L.Conv2D(4, 3), norm(scale=False, epsilon=0.1)], True),
    "no-center": ([L.Conv2D(4, 3), norm(center=False)], True),
    "neither": ([L.Conv2D(4, 3), norm(center=False, scale=False)], True),
    "after-relu": ([L.Conv2D(4, 3, activation="relu"), norm()], False),
    "after-pool": ([L.Conv2D(4, 3), L.MaxPooling2D(), norm()], False),
    "first": ([norm(), L.Conv2D(4, 3)], False),
    "along-rows": ([L.Conv2D(4, 3), norm(axis=1)], False),
    "idle": ([L.Activation("linear"), L.GaussianNoise(1.0), L.Dropout(0.9)], True),
}
X = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, L.BatchNormalization)]


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_stay_equal(name):
    layers, whole = LAYERS[name]
    x = y = keras.Input((8, 8, 2))
    for layer in layers:
        y = layer.from_config(layer.get_config())(y)
    model, context = keras.Model(x, y), made.context()
    before = model(X).numpy()
    folded = Fold().apply(model, context)
    np.testing.assert_allclose(folded(X).numpy(), before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    assert (not norms(folded)) == whole
    told = context.progress.told[-1][0]
    assert all(name in told for name in norms(folded)), "what is left is told"
    assert not [layer for layer in folded.layers if "dropout" in layer.name or "noise" in layer.name]
    np.testing.assert_array_equal(model(X).numpy(), before, "the model that was given has changed")


def test_a_convolution_with_another_reader_keeps_its_own_outputs():
    x = keras.Input((8, 8, 2))
    conv = L.Conv2D(4, 3)(x)
    model = keras.Model(x, L.Add()([norm()(conv), conv]))
    folded = Fold().apply(model, made.context())
    assert len(norms(folded)) == 1
    np.testing.assert_allclose(folded(X).numpy(), model(X).numpy(), rtol=1e-5, atol=1e-6)


def test_a_shared_convolution_is_left():
    x, conv = keras.Input((8, 8, 2)), L.Conv2D(2, 3, padding="same")
    model = keras.Model(x, conv(norm()(conv(x))))
    folded = Fold().apply(model, made.context())
    assert len(norms(folded)) == 1
    np.testing.assert_allclose(folded(X).numpy(), model(X).numpy(), rtol=1e-5, atol=1e-6)


def test_zeros_stay_zeros():
    x = keras.Input((8, 8, 2))
    model = keras.Model(x, norm()(L.Conv2D(4, 3, name="conv")(x)))
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[:, 1] = 0
    model.get_layer("conv").set_weights([kernel, bias])
    folded = Fold().apply(model, made.context()).get_layer("conv").get_weights()[0]
    np.testing.assert_array_equal(folded == 0, kernel == 0)


def test_resnet_of_mlperf_tiny(shared):
    model = keras.models.load_model(shared / "models/mlperf_tiny/pretrainedResnet.h5", compile=False)
    folded = Fold().apply(model, made.context())
    x = np.random.default_rng(0).uniform(0, 255, (32, 32, 32, 3)).astype(np.float32)
    assert not norms(folded) and len(folded.layers) == len(model.layers) - 7
    np.testing.assert_allclose(folded(x).numpy(), model(x).numpy(), atol=1e-4)


def test_fold_in_a_recipe():
    assert recipe.parse("fold+int8").steps[0] == Fold()

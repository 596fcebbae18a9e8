"""separable: sizes, the nearest parts of a kernel, settings kept, what cannot be parted left or refused, training on."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks, recipe
from mcuml.optimize.steps.separable import Separable, separated

keras = frameworks.keras()
L = keras.layers
X = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype(np.float32)


def chain(*layers, shape=(12, 12, 3)):
    keras.utils.set_random_seed(1)
    x = y = keras.Input(shape)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def parted(model, **settings):
    return Separable(**{"epochs": 0, **settings}).apply(model, made.context())


def test_the_papers_convolution_gets_33_parameters():
    model = parted(chain(L.Conv2D(12, 3, activation="relu", name="conv"), shape=(28, 28, 1)))
    assert model.count_params() == 33
    assert [type(layer).__name__ for layer in model.layers[1:]] == ["DepthwiseConv2D", "Conv2D"]


@pytest.mark.parametrize("multiplier", [1, 2, 4])
def test_parts_are_the_nearest(multiplier):
    """By Eckart and Young, the squares that are lost are those of the singular values left out, per input channel."""
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 16)).astype(np.float32)
    depthwise, mixing = separated(kernel, multiplier)
    joined = np.einsum("hwcm,cmf->hwcf", depthwise, mixing.reshape(2, multiplier, 16))
    lost = sum((np.linalg.svd(kernel[:, :, c].reshape(9, 16), compute_uv=False)[multiplier:] ** 2).sum() for c in range(2))
    np.testing.assert_allclose(((joined - kernel) ** 2).sum(), lost, rtol=1e-4)


SETTINGS = {
    "plain": {},
    "strides": {"strides": 2, "padding": "same"},
    "dilation": {"dilation_rate": 2},
    "no-bias": {"use_bias": False, "activation": "tanh"},
    "same": {"padding": "same", "activation": "relu"},
    "5x3": {"kernel_size": (5, 3)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_separable_kernel_computes_the_same_after_as_before(name):
    """A kernel of rank 2 loses nothing at multiplier 2: what differs then is a setting that was not kept."""
    conv = L.Conv2D(**{"filters": 8, "kernel_size": 3, "bias_initializer": "random_normal", **SETTINGS[name]}, name="conv")
    model = chain(conv)
    depthwise, mixing = separated(conv.get_weights()[0], 2)
    exact = np.einsum("hwcm,cmf->hwcf", depthwise, mixing.reshape(3, 2, 8))
    conv.set_weights([exact, *conv.get_weights()[1:]])
    after = parted(model, multiplier=2)
    assert len(after.layers) == 3
    np.testing.assert_allclose(after(X).numpy(), model(X).numpy(), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_parted_is_left():
    model = chain(
        L.Conv2D(8, 3, name="yes"),
        L.Conv2D(8, 1, name="point"),
        L.Conv2D(8, 3, groups=2, name="groups"),
        L.Conv2D(8, 3, strides=(1, 2), name="strides"),
        L.Conv2D(2, 2, name="few"),
    )
    names = [layer.name for layer in parted(model, multiplier=2).layers[1:]]
    assert names == ["yes_0", "yes", "point", "groups", "strides", "few"]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (L.Conv2D(8, 1, name="conv"), "conv is 1x1"),
        (L.Conv2D(9, 3, groups=3, name="conv"), "conv has 3 groups"),
        (L.Conv2D(1, 3, name="conv"), "conv would grow from 27 to 30 weights"),
        (L.Dense(4, name="conv"), "conv is a Dense"),
    ],
)
def test_a_model_without_a_layer_to_part_is_refused(layer, why):
    with pytest.raises(ModelError, match="separable: the model has no convolution") as error:
        parted(chain(layer))
    assert why in error.value.evidence


def test_layers_by_name():
    model = chain(L.Conv2D(8, 3, name="one"), L.Conv2D(8, 3, name="two"), L.Conv2D(8, 1, name="point"))
    assert [layer.name for layer in parted(model, layers="tw*").layers[1:]] == ["one", "two_0", "two", "point"]
    with pytest.raises(ModelError, match="separable: it cannot rewrite") as error:
        parted(model, layers="two point")
    assert error.value.evidence == "point is 1x1."
    with pytest.raises(RequestError, match="separable: the model has no layer 'three'"):
        parted(model, layers="three")


def test_random_parts_are_those_of_the_seed():
    model = chain(L.Conv2D(8, 3))
    runs = [parted(model, init="random").get_weights() for _ in range(2)]
    for one, two, svd in zip(*runs, parted(model).get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert svd.ndim == 1 or np.abs(one - svd).max() > 1e-3


def test_training_follows_and_the_model_given_stays():
    model = chain(L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(3), L.Flatten(), L.Dense(made.CLASSES), shape=(8, 8, 1))
    context, before = made.context(), model.get_weights()
    after = Separable(epochs=8, learning_rate=1e-2).apply(model, context)
    assert made.accuracy(after, context.data.validation) > 0.85
    assert len(context.progress.told) == 8 and context.progress.told[-1][1] == 1
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_on_a_command_line():
    assert recipe.parse("separable(multiplier=2,layers=a b)+int8").steps[0] == Separable(multiplier=2, layers="a b")
    with pytest.raises(RequestError, match="separable does not take multiplier = '0'"):
        recipe.parse("separable(multiplier=0)+int8")

"""lowrank: budgets kept, what is lost is the least of its kind, settings kept, layers that would not shrink left."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.steps.lowrank import Lowrank

keras = frameworks.keras()
L = keras.layers
X = made.split(32, 4).x


def chain(*layers):
    keras.utils.set_random_seed(1)
    x = y = keras.Input(X.shape[1:])
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def thinner(model, **settings):
    return Lowrank(**{"epochs": 0, **settings}).apply(model, made.context())


@pytest.mark.parametrize("nearest", ["outputs", "weights"])
@pytest.mark.parametrize(("keep", "rank"), [(0.9, 19), (0.5, 10), (0.1, 2), (0.01, 1)])
def test_rank_by_weights(keep, rank, nearest):
    """64 x 32: a rank costs 96 of 2048 weights; at least one rank stays."""
    model = thinner(chain(L.Flatten(), L.Dense(32, name="dense")), keep=keep, nearest=nearest)
    assert model.get_layer("dense_0").units == rank
    assert model.get_layer("dense").kernel.shape == (model.get_layer("dense_0").units, 32)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.8])
def test_rank_by_energy_is_the_smallest_that_keeps_it(keep):
    dense = L.Dense(32, name="dense")
    model = chain(L.Flatten(), dense)
    after = thinner(model, budget="energy", keep=keep, nearest="weights")
    squares = np.linalg.svd(dense.get_weights()[0], compute_uv=False) ** 2
    rank = after.get_layer("dense_0").units
    assert squares[:rank].sum() >= keep * squares.sum() > squares[: rank - 1].sum()
    joined = after.get_layer("dense_0").get_weights()[0] @ after.get_layer("dense").get_weights()[0]
    np.testing.assert_allclose(((joined - dense.get_weights()[0]) ** 2).sum(), squares[rank:].sum(), rtol=1e-3)


SETTINGS = {
    "strides": {"strides": 2, "padding": "same", "activation": "relu"},
    "dilation": {"dilation_rate": 2, "use_bias": False},
    "tanh": {"activation": "tanh", "padding": "same"},
}


@pytest.mark.parametrize("nearest", ["outputs", "weights"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_convolution_of_low_rank_computes_the_same(name, nearest):
    conv = L.Conv2D(16, 3, bias_initializer="random_normal", name="conv", **SETTINGS[name])
    model, rng = chain(L.Conv2D(3, 1, bias_initializer="random_normal"), conv), np.random.default_rng(2)
    low = (rng.normal(size=(27, 4)) @ rng.normal(size=(4, 16))).reshape(3, 3, 3, 16) / 10
    conv.set_weights([low, *conv.get_weights()[1:]])
    after = thinner(model, keep=0.4, nearest=nearest)
    assert after.get_layer("conv_0").filters == 4
    np.testing.assert_allclose(after(X).numpy(), model(X).numpy(), rtol=1e-3, atol=1e-4)


def test_nearest_in_outputs_loses_less_of_them():
    """Inputs that vary in few directions: those of the outputs differ from those of the weights."""
    model = chain(L.Conv2D(2, 3, name="narrow"), L.Flatten(), L.Dense(32, bias_initializer="random_normal", name="dense"))
    wanted = model(X).numpy()
    lost = {
        nearest: ((thinner(model, layers="dense", keep=0.2, nearest=nearest)(X).numpy() - wanted) ** 2).mean()
        for nearest in ("outputs", "weights")
    }
    assert lost["outputs"] < 0.5 * lost["weights"], lost


def test_nearest_in_outputs_keeps_their_mean():
    model = chain(L.Flatten(), L.Dense(32, bias_initializer="random_normal"))
    x = made.context().data.train.x[:100]
    after = thinner(model, keep=0.2, samples=100)(x).numpy()
    np.testing.assert_allclose(after.mean(axis=0), model(x).numpy().mean(axis=0), atol=1e-5)
    assert np.abs(after - model(x).numpy()).max() > 0.1


def test_layers_that_would_not_shrink_are_left_and_none_is_refused():
    model = chain(L.Conv2D(16, 3, name="conv"), L.Conv2D(2, 1, name="few"), L.Flatten(), L.Dense(1, name="one"))
    names = [layer.name for layer in thinner(model, layers="all", keep=0.2).layers[1:]]
    assert [name for name in names if name.endswith("_0")] == ["conv_0", "few_0"], names
    with pytest.raises(ModelError, match="lowrank: the model has no layer with weights that it can rewrite") as error:
        thinner(chain(L.DepthwiseConv2D(3, name="deep"), L.Flatten(), L.Dense(1, name="one")))
    assert "deep is a DepthwiseConv2D; one would not shrink" in error.value.evidence


def test_training_follows():
    model = chain(L.Conv2D(8, 3, activation="relu"), L.Flatten(), L.Dense(made.CLASSES))
    context = made.context()
    after = Lowrank(keep=0.8, epochs=8, learning_rate=1e-2).apply(model, context)
    assert after.count_params() < model.count_params()
    assert made.accuracy(after, context.data.validation) > 0.85

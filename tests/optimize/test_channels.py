"""channels: constant channels go without a trace, joined ones together, to the share or MACs asked for, and shapes shrink."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError
from mcuml.optimize import coupling, frameworks, surgery
from mcuml.optimize.steps.channels import Channels, macs

keras = frameworks.keras()
L = keras.layers
SHAPE = (made.SIDE, made.SIDE, 1)
X = made.data().test.x


def conv(filters, size=3, **settings):
    return L.Conv2D(filters, size, padding="same", bias_initializer="random_normal", **settings)


def residual(x):
    x = L.ReLU()(L.BatchNormalization()(conv(8, name="first")(x)))
    y = L.ReLU()(L.BatchNormalization()(conv(8, name="inner")(x)))
    x = L.ReLU()(L.Add()([x, conv(8, name="second")(y)]))
    return L.Dense(made.CLASSES, name="last")(L.GlobalAveragePooling2D()(x))


def mobile(x):
    x = L.Activation("relu")(conv(8, name="first")(x))
    x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    x = L.MaxPooling2D(2)(L.SeparableConv2D(8, 3, name="inner", activation="relu")(x))
    x = L.Dense(12, name="second")(L.Flatten()(x))
    return L.Softmax()(L.Dense(made.CLASSES, name="last")(L.LeakyReLU()(x)))


def branches(x):
    a, b = conv(8, name="first", activation="relu")(x), conv(8, 1, name="inner", use_bias=False)(x)
    x = L.Concatenate()([a, L.ZeroPadding2D(1)(L.Cropping2D(1)(b))])
    x = L.Reshape((8, 1, 64))(L.AveragePooling2D((1, 2))(conv(16, 1, name="second")(x)))  # (8, 4, 16): each channel four times
    return L.Dense(made.CLASSES, name="last")(L.Flatten()(x))


def reshaped(x):
    x = L.Conv1D(8, 3, name="second")(L.Reshape((64, 8))(conv(8, name="first", activation="relu")(x)))
    return L.Dense(made.CLASSES, name="last")(L.GlobalMaxPooling1D()(L.PReLU(shared_axes=[1])(L.Conv1D(8, 1, name="inner")(x))))


NETWORKS = {"residual": residual, "mobile": mobile, "branches": branches, "reshaped": reshaped}


def network(name):
    keras.utils.set_random_seed(1)
    x = keras.Input(SHAPE)
    model = keras.Model(x, NETWORKS[name](x))
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.set_weights([np.random.default_rng(2).uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def silence(model, coupled, units):
    """Set the weights that make these units, their normalization too, to zero."""
    for layer in model.layers:
        dead = np.isin(coupled.outputs[layer.name], units)
        if dead.any() and layer.weights and "depthwise" not in layer.name:
            values = [w.copy() for w in layer.get_weights()]
            for value in values if isinstance(layer, L.BatchNormalization) else values[-2:]:
                if value.shape[-1] == len(dead):
                    value[..., dead] = 0
            layer.set_weights(values)


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_that_give_nothing_go_without_a_trace(name):
    model = network(name)
    coupled = coupling.coupled(surgery.replace(model, {}))
    dead = np.concatenate([units[1::2] for units in coupled.groups().values()])
    silence(model, coupled, dead)
    thin = Channels(epochs=0, keep=0.5, multiple=2).apply(model, made.context())
    np.testing.assert_allclose(thin.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
    for names, units in coupled.groups().items():
        for maker in names:
            assert thin.get_layer(maker).output_shape[-1] == len(units) / 2
    assert thin.count_params() < model.count_params()


def test_which_channels_may_go():
    groups = {name: coupling.coupled(surgery.replace(network(name), {})).groups() for name in NETWORKS}
    sizes = {name: {names: len(units) for names, units in found.items()} for name, found in groups.items()}
    assert sizes == {
        "residual": {("first", "second"): 8, ("inner",): 8},
        "mobile": {("first",): 8, ("inner",): 8, ("second",): 12},
        "branches": {("first",): 8, ("inner",): 8, ("second",): 16},
        "reshaped": {("first",): 8, ("second",): 8},
    }


def test_a_constant_moves_into_the_next_bias():
    """Also where the layer after it had none."""
    keras.utils.set_random_seed(1)
    first = L.Conv2D(8, 3, activation="relu", bias_initializer="ones", name="first")
    model = keras.Sequential([L.Input(SHAPE), first, L.Conv2D(4, 3, use_bias=False), L.Flatten(), L.Dense(4)])
    kernel = first.kernel.numpy()
    kernel[..., 4:] = 0
    first.kernel.assign(kernel)
    graph = surgery.replace(model, {})
    coupled = coupling.coupled(graph)
    means = {name: np.ones(coupled.inputs[name].shape) for name in coupled.mixers}
    thin = coupling.without(graph, coupled, frozenset(coupled.outputs["first"][4:].tolist()), means)
    np.testing.assert_allclose(thin.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_macs_fall_to_the_share_asked_for(share):
    counts = []
    for model in (network("residual"), Channels(epochs=0, macs=share, multiple=1).apply(network("residual"), made.context())):
        graph = surgery.replace(model, {})
        counts.append(macs(graph, coupling.coupled(graph), set()))
    assert counts[0] == 64 * 9 * (1 * 8 + 8 * 8 + 8 * 8) + 8 * 4
    assert share - 0.12 < counts[1] / counts[0] <= share


def test_counts_are_multiples():
    model = Channels(epochs=0, macs=0.5, multiple=4).apply(network("residual"), made.context())
    assert {model.get_layer(name).filters for name in ("first", "inner", "second")} <= {4, 8}


def test_it_trains_on():
    model = Channels(epochs=10, learning_rate=1e-2, rate="cosine").apply(network("mobile"), made.context())
    assert made.accuracy(model, made.data().validation) > 0.9


def test_gamma_decides():
    """And not the weights before it, which are large where it is small."""
    model = network("residual")
    inner = surgery.wiring(model).only_reader("inner")
    gamma, *rest = model.get_layer(inner).get_weights()
    gamma[:] = [1, 0.01, 1, 0.01, 1, 0.01, 1, 0.01]
    model.get_layer(inner).set_weights([gamma, *rest])
    kernel, bias = model.get_layer("inner").get_weights()
    model.get_layer("inner").set_weights([kernel / gamma**2, bias])
    thin = Channels(epochs=0, importance="gamma").apply(model, made.context())
    assert thin.get_layer(inner).gamma.numpy().tolist() == [1, 1, 1, 1]


IMPOSSIBLE = {
    "nothing can go": (lambda: keras.Sequential([L.Input(SHAPE), L.Flatten(), L.Dense(4)]), {}, "no channel of .* can go"),
    "too few channels": (lambda: network("residual"), {"multiple": 8}, "no channel of .* can go"),
    "too few macs": (lambda: network("residual"), {"macs": 0.01}, r"macs=0.01 cannot be reached.\nWith 4 channels"),
    "no gamma": (lambda: network("mobile"), {"importance": "gamma"}, "importance=gamma needs a batch normalization after first"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_done_is_said(case):
    model, settings, text = IMPOSSIBLE[case]
    with pytest.raises(ModelError, match=text):
        Channels(epochs=0, **settings).apply(model(), made.context())

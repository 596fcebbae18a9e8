"""Surgery on tf_keras graphs: what is not replaced computes the same, chains and removals join up, copies share nothing."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks, recipe, surgery
from mcuml.optimize.steps import all_steps

keras = frameworks.keras()
X = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype(np.float32)


def branched():
    """Dropout read by three layers, one of them an operation with a constant; Dropout is the output too."""
    x = keras.Input((8, 8, 2))
    a = keras.layers.Dropout(0.5, name="first")(keras.layers.Conv2D(4, 3, name="conv")(x))
    b = keras.layers.Add(name="sum")([a, keras.layers.Conv2D(4, 1, name="point")(a)])
    return keras.Model(x, keras.layers.Dropout(0.5, name="last")(b * 2 + a))


def sequential():
    return keras.Sequential(
        [
            keras.layers.Reshape((8, 8, 2), input_shape=(128,), name="shape"),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(5, name="dense"),
        ]
    )


def shared():
    """One convolution called twice, with the second call reading the first."""
    x, conv = keras.Input((8, 8, 2)), keras.layers.Conv2D(2, 3, padding="same", name="conv")
    return keras.Model(x, keras.layers.Concatenate(name="join")([conv(x), conv(conv(x))]))


def names(model):
    return [layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


@pytest.mark.parametrize("make", [branched, sequential, shared])
def test_a_copy_computes_the_same_and_shares_nothing(make):
    model = make()
    x = X.reshape(-1, *model.input_shape[1:])
    before = model(x).numpy()
    copy = surgery.replace(model, {})
    np.testing.assert_array_equal(copy(x).numpy(), before)
    copy.set_weights([w + 1 for w in copy.get_weights()])
    np.testing.assert_array_equal(model(x).numpy(), before)


def test_removed_layers_are_bypassed_by_all_readers():
    model = branched()
    copy = surgery.replace(model, {"first": [], "last": []})
    assert not {"first", "last"} & set(names(copy))
    np.testing.assert_array_equal(copy(X).numpy(), model(X).numpy())


@pytest.mark.parametrize("make", [branched, shared])
def test_a_chain_stands_where_the_layer_stood(make):
    model = make()
    conv = model.get_layer("conv")
    kernel, bias = conv.get_weights()
    half = surgery.changed(conv, [kernel / 2, bias / 2])
    twice = surgery.Piece("Rescaling", {"scale": 2.0, "offset": 0.0})
    copy = surgery.replace(model, {"conv": [half, twice]})
    assert isinstance(copy.get_layer("conv"), keras.layers.Rescaling) and "conv_0" in names(copy)
    np.testing.assert_allclose(copy(X).numpy(), model(X).numpy(), rtol=1e-5, atol=1e-6)


def test_a_layer_that_came_of_a_chain_may_become_one_itself():
    """Its first piece's name is taken by the earlier chain's."""
    model = branched()
    for _ in range(2):
        conv = model.get_layer("conv")
        half = surgery.Piece("Rescaling", {"scale": 0.5, "offset": 0.0})
        model = surgery.replace(model, {"conv": [half, surgery.changed(conv, conv.get_weights())]})
    assert {"conv", "conv_0", "conv_1"} <= set(names(model))
    quarter = branched()
    quarter.set_weights(model.get_weights())
    np.testing.assert_allclose(model(X).numpy(), quarter(X / 4).numpy(), rtol=1e-5, atol=1e-6)


def test_shapes_may_change_behind_a_replaced_layer():
    model = sequential()
    conv, dense = model.get_layer("conv"), model.get_layer("dense")
    kernel, bias = conv.get_weights()
    rows, out = dense.get_weights()
    copy = surgery.replace(
        model,
        {
            "conv": [surgery.changed(conv, [kernel[..., :2], bias[:2]], filters=2)],
            "dense": [surgery.changed(dense, [rows.reshape(6, 6, 3, 5)[:, :, :2].reshape(72, 5), out])],
        },
    )
    kernel[..., 2], bias[2] = 0, 0
    conv.set_weights([kernel, bias])
    x = X.reshape(3, 128)
    np.testing.assert_allclose(copy(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


def test_wiring():
    wires = surgery.wiring(branched())
    assert len(wires.read_by["first"]) == 3 and {"point", "sum"} < set(wires.read_by["first"])
    assert wires.reads["sum"] == ("first", "point") and wires.read_by["last"] == ("",)
    assert wires.only_reader("conv") == "first" and wires.only_reader("first") is None and wires.only_reader("last") is None
    assert wires.only_reader("point") is None, "the sum reads another layer too"
    assert surgery.wiring(shared()).only_reader("conv") is None


def test_a_model_that_is_no_graph_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match="no graph of layers"):
        surgery.replace(Own(), {})


@pytest.mark.parametrize(("text", "found"), [("all", {"conv", "point"}), ("conv", {"conv"}), ("p* conv", {"conv", "point"})])
def test_layers_are_chosen_by_name_and_pattern(text, found):
    chosen = surgery.chosen(branched(), text, "separable")
    assert {layer.name for layer in chosen} & {"conv", "point"} == found


def test_a_name_that_is_not_in_the_model_is_refused():
    with pytest.raises(RequestError, match="separable: the model has no layer 'cnv'") as error:
        surgery.chosen(branched(), "conv cnv", "separable")
    assert "conv" in error.value.try_next


@pytest.mark.parametrize(
    "order", ["prune+separable", "prune+lowrank", "qat+separable", "qat+lowrank", "qat+fold", "qat+equalize", "cluster+fold"]
)
def test_rewrites_that_would_undo_an_earlier_step_are_refused(order):
    first, second = order.split("+")
    if first not in all_steps():
        pytest.skip(f"there is no step {first}")
    with pytest.raises(RequestError, match=f"{second} cannot come after {first}: "):
        recipe.parse(f"{order}+int8")

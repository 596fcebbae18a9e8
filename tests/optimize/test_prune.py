"""prune: the share of zeros it was asked for, to the weight; schedules, scopes, 2:4; zeros that later steps keep."""

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import SPARSE
from mcuml.optimize.steps.finetune import Finetune
from mcuml.optimize.steps.prune import Prune, two_of_four
from mcuml.optimize.steps.qat import Qat
from mcuml.optimize.steps.train import Train

keras = frameworks.keras()
L = keras.layers


def network():
    keras.utils.set_random_seed(1)
    shape = (made.SIDE, made.SIDE, 1)
    return keras.Sequential([
        L.Input(shape), L.Conv2D(7, 3, name="conv"), L.ReLU(), L.DepthwiseConv2D(3, name="depthwise"),
        L.Flatten(), L.Dense(made.CLASSES, name="dense"),
    ])  # fmt: skip


def pruned(**settings):
    return Prune(**{"epochs": 2, "learning_rate": 1e-2, **settings}).apply(network(), made.context())


def zeros(model):
    return {v.name.split("/")[0].removeprefix("quant_"): v.numpy() == 0 for v in model.trainable_variables if v.shape.rank > 1}


@pytest.mark.parametrize("schedule", ["polynomial", "constant"])
@pytest.mark.parametrize("epochs", [0, 2])
def test_each_layer_has_its_share(schedule, epochs):
    counts = {
        name: int(mask.sum())
        for name, mask in zeros(pruned(scope="layer", sparsity=0.7, schedule=schedule, epochs=epochs)).items()
    }
    assert counts == {"conv": round(0.7 * 63), "depthwise": 0, "dense": round(0.7 * 16 * 7 * 4)}


def test_globally_one_threshold_for_all():
    model = pruned(sparsity=0.6, epochs=0)
    masks = zeros(model)
    before = {name: np.abs(network().get_layer(name).kernel.numpy()) for name in ("conv", "dense")}
    assert masks["conv"].sum() + masks["dense"].sum() == round(0.6 * (63 + 448))
    assert masks["conv"].sum() != round(0.6 * 63)
    gone = np.concatenate([before[name][masks[name]] for name in ("conv", "dense")])
    left = np.concatenate([before[name][~masks[name]] for name in ("conv", "dense")])
    assert gone.max() <= left.min()


def test_two_of_four():
    masks = zeros(pruned(pattern="2:4"))
    assert (masks["dense"].reshape(-1, 4, made.CLASSES).sum(axis=1) == 2).all()
    conv = masks["conv"].reshape(9, 7)
    assert (conv[:8].reshape(2, 4, 7).sum(axis=1) == 2).all() and not conv[8].any()


def test_two_of_four_takes_the_smaller_ones():
    kernel = np.array([[3, -1, 2, -4], [1, 1, 1, 1]], np.float32).reshape(8, 1)
    assert two_of_four(kernel).ravel().tolist() == [1, 0, 0, 1, 0, 0, 1, 1]


def test_sparsity_grows_by_the_cube():
    step = Prune(sparsity=0.8, initial=0.5, until=0.5)
    np.testing.assert_allclose([step.sparsity_at(d) for d in (0, 0.25, 0.5, 1)], [0.5, 0.8 - 0.3 / 8, 0.8, 0.8])
    assert Prune(sparsity=0.3).sparsity_at(0) == 0.3


def test_the_others_train_on_and_the_model_given_stays():
    model = network()
    before = [w.copy() for w in model.get_weights()]
    after = Prune(epochs=8, learning_rate=1e-2, sparsity=0.5).apply(model, made.context())
    assert made.accuracy(after, made.data().validation) > made.accuracy(model, made.data().validation) + 0.2
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("step", [Finetune(epochs=1), Qat(epochs=1), Train(epochs=1)], ids=lambda s: s.name)
def test_later_steps_keep_the_zeros(step):
    model = pruned()
    later = step.apply(model, made.context(SPARSE))
    before, after = zeros(model), zeros(later)
    for old, new in zip(before.values(), after.values(), strict=True):
        assert np.array_equal(old, new)


def test_a_seed_gives_the_same_weights():
    first, second = pruned(), pruned()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_only_the_layers_named():
    masks = zeros(pruned(layers="de*nse"))
    assert masks["dense"].any() and not masks["conv"].any()
    with pytest.raises(ModelError, match="depthwise has few weights per channel"):
        pruned(layers="depthwise")


def test_two_of_four_has_no_other_share():
    with pytest.raises(ValidationError, match="pattern 2:4 is half of each layer from the start: leave out sparsity"):
        Prune(pattern="2:4", sparsity=0.9)

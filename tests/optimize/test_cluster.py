"""cluster: at most n values per layer, the nearest ones, zeros kept, and still so after later steps."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.optimize import frameworks
from mcuml.optimize.steps import CLUSTERED, SPARSE
from mcuml.optimize.steps.cluster import Cluster, nearest_centres
from mcuml.optimize.steps.finetune import Finetune
from mcuml.optimize.steps.prune import Prune
from mcuml.optimize.steps.qat import Qat

keras = frameworks.keras()
L = keras.layers


def network():
    keras.utils.set_random_seed(1)
    shape = (made.SIDE, made.SIDE, 1)
    return keras.Sequential([L.Input(shape), L.Conv2D(7, 3), L.ReLU(), L.Flatten(), L.Dense(made.CLASSES)])


def values(model):
    return [len(np.unique(v.numpy())) for v in model.trainable_variables if v.shape.rank > 1]


def test_a_layer_has_the_values_asked_for():
    model = Cluster(clusters=5, epochs=0).apply(network(), made.context())
    assert values(model) == [5, 5]


@pytest.mark.parametrize("after", [None, Finetune(epochs=2), Qat(epochs=2)], ids=["cluster", "finetune", "qat"])
def test_it_trains_on_as_shared_values(after):
    first = Cluster(clusters=8, epochs=0).apply(network(), made.context())
    model = Cluster(clusters=8, epochs=6, learning_rate=1e-2).apply(network(), made.context())
    validation = made.data().validation
    assert made.accuracy(model, validation) > made.accuracy(first, validation) + 0.2
    later = after.apply(model, made.context(CLUSTERED)) if after else model
    assert values(later) == values(model)
    assert max(values(later)) <= 8


def test_zeros_are_one_of_the_clusters():
    sparse = Prune(epochs=0, sparsity=0.7).apply(network(), made.context())
    model = Cluster(clusters=4, init="density", epochs=1).apply(sparse, made.context(SPARSE))
    later = Qat(epochs=1).apply(model, made.context(SPARSE, CLUSTERED))
    for one, two, three in zip(*(m.trainable_variables for m in (sparse, model, later)), strict=True):
        if one.shape.rank > 1:
            assert np.array_equal(one.numpy() == 0, two.numpy() == 0)
            assert np.array_equal(one.numpy() == 0, three.numpy() == 0)
    assert values(model) == [4, 4] and values(later) == [4, 4]


@pytest.mark.parametrize("init", ["linear", "density"])
def test_centres_are_means_of_what_is_nearest(init):
    given = np.random.default_rng(0).normal(size=500).astype(np.float32)
    taken = nearest_centres(given, 6, init)
    centres = np.unique(taken)
    assert len(centres) == 6
    np.testing.assert_array_equal(taken, centres[np.abs(given[:, None] - centres).argmin(axis=1)])
    np.testing.assert_allclose(centres, [given[taken == centre].mean() for centre in centres], atol=1e-6)


def test_fewer_different_weights_than_clusters():
    given = np.array([1, 1, 2, 3], np.float32)
    np.testing.assert_array_equal(nearest_centres(given, 16, "density"), given)

"""train: the seed alone decides, not the weights that there were."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.optimize import frameworks
from mcuml.optimize.steps.train import Train

keras = frameworks.keras()
L = keras.layers


def weights(before, seed):
    keras.utils.set_random_seed(before)
    model = keras.Sequential([L.Input((made.SIDE, made.SIDE, 1)), L.Flatten(), L.Dense(made.CLASSES)])
    given = [w.copy() for w in model.get_weights()]
    new = Train(epochs=1).apply(model, made.context(seed=seed))
    assert all(np.array_equal(a, b) for a, b in zip(given, model.get_weights(), strict=True))
    return new.get_weights()[0]


def test_the_seed_alone_decides():
    first = weights(before=1, seed=5)
    assert np.array_equal(first, weights(before=2, seed=5))
    assert not np.array_equal(first, weights(before=1, seed=6))

"""training.fit: repeats itself, learns with any last layer, keeps zeros and shared values, stops at NaN and interrupts."""

import dataclasses
import gc

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import CheckError, RequestError
from mcuml.optimize import frameworks, training
from mcuml.optimize.steps import CLUSTERED, SPARSE

tf, keras = frameworks.tensorflow(), frameworks.keras()
L = keras.layers


def network(*last, seed=0, regularizer=None):
    keras.utils.set_random_seed(seed)
    shape = (made.SIDE, made.SIDE, 1)
    conv = L.Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer, name="conv")
    return keras.Sequential([L.Input(shape), conv, L.MaxPool2D(2), L.Flatten(), L.Dense(made.CLASSES, name="dense"), *last])


def trained(model, epochs=2, learning_rate=1e-2, traits=(), seed=0, **settings):
    context = made.context(*traits, seed=seed)
    training.fit(model, context, "step", epochs, 32, learning_rate, **settings)
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("settings", [{}, {"augment": "shift-flip", "rate": "cosine"}], ids=["plain", "augmented"])
def test_a_seed_gives_the_same_weights_each_time(settings):
    first, second, other = (trained(network(), seed=seed, **settings) for seed in (3, 3, 4))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("last", [[], [L.Softmax()]], ids=["logits", "softmax"])
def test_it_learns_with_and_without_softmax(last):
    model = network(*last)
    trained(model, epochs=12)
    assert made.accuracy(model, made.data().validation) > 0.9


def test_the_data_are_given_back_after_training():
    """Steps of one process must not add up their copies of the training data."""
    shape, held = tf.TensorShape(made.context().data.train.x.shape), []
    for _ in range(3):
        trained(network(), epochs=1)
        gc.collect()
        held.append(sum(o.shape == shape for o in gc.get_objects() if isinstance(o, tf.__internal__.EagerTensor)))
    assert held[0] == held[2]


def test_the_learning_rate_falls_to_nothing_along_a_cosine():
    """Adam's first updates have the size of the learning rate: the last epoch of two moves the weights far less."""
    weights = []
    for rate in ("constant", "cosine"):
        model = network()
        start = trained(model, epochs=0)
        weights.append(np.abs(trained(model, epochs=40, rate=rate) - start).mean())
    assert weights[1] < 0.95 * weights[0]


def test_zeros_and_shared_values_stay():
    model = network()
    conv, dense = model.get_layer("conv"), model.get_layer("dense")
    kernel = np.round(dense.kernel.numpy(), 1)
    dense.kernel.assign(kernel)
    conv.kernel.assign(conv.kernel.numpy() * (np.arange(36).reshape(3, 3, 1, 4) % 3 == 0))
    zeros = conv.kernel.numpy() == 0
    trained(model, traits={SPARSE, CLUSTERED})
    assert np.array_equal(conv.kernel.numpy() == 0, zeros)
    after = dense.kernel.numpy()
    assert np.array_equal(after == 0, kernel == 0)
    assert not np.allclose(after, kernel)
    pairs = np.unique(np.stack([kernel.ravel(), after.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(kernel)) == len(np.unique(after))


def test_a_dense_model_may_use_its_zeros():
    model = network()
    model.get_layer("dense").kernel.assign(np.zeros((36, made.CLASSES)))
    trained(model)
    assert model.get_layer("dense").kernel.numpy().all()


def test_a_regularizer_stays_in_the_loss():
    weak, strong = (trained(network(regularizer=keras.regularizers.L2(s)), epochs=4)[:36] for s in (0.0, 1.0))
    assert np.abs(strong).mean() < np.abs(weak).mean() / 2


def test_a_loss_that_is_no_number_stops_at_its_update():
    context = made.context()
    context.data.train.x[:] = 1e30
    with pytest.raises(
        CheckError, match=r"^distill: the loss is (nan|inf) at update \d of 8, epoch 1 of 3\.\n.*rate 0.5, batch 32"
    ):
        training.fit(network(), context, "distill", 3, 32, 0.5)


def test_an_interrupt_passes_through():
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(network(), between=stop)


def test_progress_ends_at_1():
    context = made.context()
    training.fit(network(), context, "step", 3, 100, 1e-3)
    text, share = context.progress.told[-1]
    assert text.startswith("step: epoch 3 of 3, loss ") and share == 1
    assert [share for _, share in context.progress.told] == sorted(share for _, share in context.progress.told)


@pytest.mark.parametrize("kind", ["shift", "shift-flip"])
def test_images_are_moved_and_mirrored(kind):
    """Of an image with one bright pixel, which stays within an eighth of the side (1 of 8) from where it or its mirror was."""
    images = np.zeros((500, 8, 8, 1), np.float32)
    images[:, 3, 2] = 1
    moved = training.changer(kind, 0)(tf.constant(images), tf.constant(5)).numpy()
    assert np.array_equal(moved.sum(axis=(1, 2, 3)), np.ones(500))
    _, rows, columns, _ = np.nonzero(moved)
    assert set(rows) == {2, 3, 4}
    assert set(columns) == ({1, 2, 3} if kind == "shift" else {1, 2, 3, 4, 5, 6})


def test_only_images_are_moved():
    context = made.context()
    data = dataclasses.replace(context.data, train=dataclasses.replace(context.data.train, x=context.data.train.x[..., 0, 0]))
    with pytest.raises(RequestError, match=r"step: augment=shift moves images, and the samples have the shape \(8,\)"):
        training.fit(network(), dataclasses.replace(context, data=data), "step", 1, 32, 1e-3, augment="shift")

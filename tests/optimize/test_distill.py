"""distill: the loss is the paper's formula, a student learns from its teacher alone, and what must not change does not."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks, recipe
from mcuml.optimize.data import Split
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE
from mcuml.optimize.steps.distill import Distill
from mcuml.optimize.steps.qat import quantized

keras = frameworks.keras()
L = keras.layers


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def net(width, ends=None, classes=made.CLASSES, seed=1):
    keras.utils.set_random_seed(seed)
    x = keras.Input((8, 8, 1))
    y = L.Dense(classes, activation=ends)(L.Dense(width, activation="relu")(L.Flatten()(x)))
    return keras.Model(x, y)


@pytest.fixture(scope="module")
def teacher():
    model, train = net(24), made.data(512).train
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(train.x, train.y, epochs=8, verbose=0)
    return model


@pytest.mark.parametrize("ends", [None, "softmax"])
@pytest.mark.parametrize(("alpha", "temperature"), [(0.3, 4.0), (0.0, 1.0), (1.0, 2.0)])
def test_the_loss_is_the_formula(alpha, temperature, ends):
    rng = np.random.default_rng(0)
    labels, student, taught = rng.integers(0, 4, 9), rng.normal(size=(9, 4)), rng.normal(size=(9, 4))
    hard = -np.log(softmax(student))[np.arange(9), labels]
    p = softmax(taught / temperature)
    apart = np.log(p / softmax(student / temperature))
    wanted = alpha * hard + (1 - alpha) * temperature**2 * (p * apart).sum(axis=1)
    loss = Distill(alpha=alpha, temperature=temperature).loss(net(2, ends))
    outputs = softmax(student) if ends else student
    given = loss(np.column_stack([labels, taught]).astype(np.float32), outputs.astype(np.float32))
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ends", [None, "softmax"])
def test_a_student_learns_from_its_teacher_alone(teacher, ends):
    """With alpha 0 labels do not matter: they are made wrong here."""
    context = made.context(teacher=teacher)
    wrong = Split(context.data.train.x, (context.data.train.y + 1) % made.CLASSES)
    student, before = net(12, ends), teacher.get_weights()
    started = student.get_weights()
    learned = Distill(alpha=0, epochs=12, learning_rate=1e-2).apply(
        student, replace(context, data=replace(context.data, train=wrong))
    )
    assert made.accuracy(teacher, context.data.validation) > 0.9
    assert made.accuracy(learned, context.data.validation) > 0.85
    for a, b in zip([*started, *before], [*student.get_weights(), *teacher.get_weights()], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("augment", ["none", "shift-flip"])
def test_the_teacher_sees_what_the_student_sees(teacher, augment):
    """A copy of the teacher has nothing to learn from it, unless they are shown different images."""
    said = []
    context = replace(made.context(teacher=teacher), progress=lambda sentence, done: said.append(sentence))
    copy = net(24)
    copy.set_weights(teacher.get_weights())
    Distill(alpha=0, epochs=1, learning_rate=1e-9, augment=augment).apply(copy, context)
    assert said
    assert float(said[-1].rpartition("loss ")[2]) < 1e-3


def test_a_teacher_of_probabilities_teaches_the_same():
    teacher = net(6, "softmax")
    logits = keras.models.clone_model(teacher)
    logits.set_weights(teacher.get_weights())
    logits.layers[-1].activation = keras.activations.linear
    logits = keras.models.clone_model(logits)
    logits.set_weights(teacher.get_weights())
    one, two = (Distill(epochs=1).apply(net(3), made.context(teacher=t, count=64)).get_weights() for t in (teacher, logits))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_other_classes_are_refused():
    with pytest.raises(ModelError, match=r"distill: the model has outputs of shape \(None, 3\), its teacher of \(None, 4\)"):
        Distill(epochs=1).apply(net(3, classes=3), made.context(teacher=net(3)))


def few_values(array):
    return np.round(array * 4) / 4


@pytest.mark.parametrize(("trait", "change"), [(SPARSE, lambda w: w * (np.abs(w) > 0.2)), (CLUSTERED, few_values)])
def test_what_earlier_steps_left_stays(teacher, trait, change):
    student = net(24)
    student.set_weights([change(w) if w.ndim > 1 else w for w in teacher.get_weights()])
    context = made.context(trait, teacher=teacher)
    learned = Distill(epochs=3, learning_rate=1e-2).apply(student, context)
    assert made.accuracy(learned, context.data.validation) > 0.85
    for before, after in zip(student.get_weights(), learned.get_weights(), strict=True):
        assert np.abs(before - after).max() > 0.01
        if before.ndim > 1 and trait == SPARSE:
            assert (before == 0).mean() > 0.2 and not after[before == 0].any()
        if before.ndim > 1 and trait == CLUSTERED:
            assert len(np.unique(after)) <= len(np.unique(before)) < 20


def test_a_model_of_qat_learns_in_its_own_rounding(teacher):
    x = keras.Input((8, 8, 1))
    student = quantized(keras.Model(x, L.Dense(made.CLASSES)(L.Flatten()(x))), "qat")
    context = made.context(QUANTIZED, teacher=teacher)
    learned = Distill(epochs=8, learning_rate=1e-2).apply(student, context)
    assert [type(layer) for layer in learned.layers] == [type(layer) for layer in student.layers]
    assert made.accuracy(learned, context.data.validation) > 0.85


def test_in_a_recipe():
    assert recipe.parse("separable+distill(alpha=0.5)+int8").steps[1] == Distill(alpha=0.5)
    for wrong in ("alpha=2", "augment=rotate", "epochs=0"):
        setting, _, value = wrong.partition("=")
        with pytest.raises(RequestError, match=f"distill does not take {setting} = '{value}'"):
            recipe.parse(f"distill({wrong})+int8")

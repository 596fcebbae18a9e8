"""Calibration: samples drawn from the training data alone, even over classes; ranges that leave outliers out."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

from mcuml import tflite
from mcuml.errors import RequestError
from mcuml.optimize import calibration, frameworks
from mcuml.optimize.data import Data, Split
from mcuml.optimize.steps import Context
from mcuml.optimize.steps.ptq import Ptq

keras = frameworks.keras()
L = keras.layers


def uneven(count=200, rare=12):
    """Class 0 has nearly all samples; x tells the class and the place."""
    y = np.zeros(count, np.int64)
    y[:rare] = np.arange(rare) % 3 + 1
    return Split(np.stack([y, np.arange(count)], 1).astype(np.float32), y)


def test_every_class_is_drawn_as_often_as_it_can_be():
    drawn = calibration.representative(uneven(), 4, 30, 0)
    assert np.bincount(drawn[:, 0].astype(int)).tolist() == [18, 4, 4, 4]
    assert len(np.unique(drawn[:, 1])) == 30


def test_the_seed_draws():
    draws = [calibration.representative(uneven(), 4, 20, seed) for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize(
    "train,classes,count,reason",
    [(uneven(), 30, 20, "20 samples are too few to measure ranges for 30"), (uneven(9, 3), 4, 20, "training data has 9 samples")],
)
def test_too_few_samples_are_refused(train, classes, count, reason):
    with pytest.raises(RequestError, match=reason):
        calibration.representative(train, classes, count, 0)


def test_percentile_leaves_that_share_out():
    values = np.random.default_rng(0).normal(size=100_000)
    span = (values.min(), values.max())
    counts = np.histogram(values, calibration.BINS, span)[0]
    for share in (90, 99, 99.9):
        least, greatest = calibration.by_percentile(counts, span, share)
        inside = np.mean((values >= least) & (values <= greatest))
        assert inside == pytest.approx(share / 100, abs=2e-3)
        assert least == pytest.approx(np.percentile(values, (100 - share) / 2), abs=0.02)
    assert calibration.by_percentile(counts, span, 100) == pytest.approx(span)


def test_a_range_holds_zero():
    counts = np.ones(calibration.BINS, np.int64)
    assert calibration.by_percentile(counts, (2.0, 3.0), 99)[0] == 0
    assert calibration.by_percentile(counts, (-3.0, -2.0), 99)[1] == 0
    assert calibration.by_entropy(counts, (2.0, 3.0))[0] == 0


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_entropy_leaves_a_lone_outlier_out_and_keeps_an_even_spread(low):
    rng = np.random.default_rng(0)
    body = np.abs(rng.normal(scale=0.2, size=50_000))
    outlier = np.append(body, 10.0)
    counts = np.histogram(outlier, calibration.BINS, (0, 10))[0]
    least, greatest = calibration.by_entropy(counts, (10 * low, 10.0))
    assert 0.5 < greatest < 2 and least == low * greatest
    even = np.histogram(rng.random(50_000), calibration.BINS, (0, 1))[0]
    assert calibration.by_entropy(even, (low, 1.0))[1] > 0.95


def test_a_range_of_one_sign_has_twice_the_codes():
    body = np.abs(np.random.default_rng(0).normal(scale=0.05, size=50_000))
    counts = np.histogram(np.append(body, 10.0), calibration.BINS, (0, 10))[0]
    assert calibration.by_entropy(counts, (0.0, 10.0))[1] == 2 * calibration.by_entropy(counts, (-10.0, 10.0))[1]


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_outliers_make_a_smaller_scale_and_pooling_keeps_it(method):
    """One pixel of 400 images is far off: its range is not the layers'."""
    rng = np.random.default_rng(1)
    x = rng.exponential(0.2, (400, 8, 8, 1)).astype(np.float32)
    x[0, 4, 4] = 100
    train = Split(x, np.arange(400) % 4)
    context = Context(Data("made", train, None, None, 4, ""), 0, frozenset(), None, lambda *news: None)
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, activation="relu", name="front"), L.MaxPooling2D(name="pool"), L.Flatten(), L.Dense(4)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    scales = {}
    for name in ("minmax", method):
        step = Ptq(samples=400, calibration=name, percentile=99)
        tensors = tflite.read(step.convert(model, context), "made").tensors
        scales[name] = {t.name: float(t.quant.scale[0]) for t in tensors if not t.is_const}
    assert all(scales[method][name] < 0.1 * scales["minmax"][name] for name in ("input", "front", "dense"))
    assert scales[method]["pool"] == scales[method]["front"]

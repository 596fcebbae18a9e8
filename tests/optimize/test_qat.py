"""qat: it learns, its export is int8 throughout, and what cannot be quantized is named."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

import made

from mcuml.errors import ModelError
from mcuml.optimize import frameworks, surgery
from mcuml.optimize.steps import QUANTIZED, SPARSE
from mcuml.optimize.steps.finetune import Finetune
from mcuml.optimize.steps.prune import Prune
from mcuml.optimize.steps.qat import Qat

tf, keras = frameworks.tensorflow(), frameworks.keras()
L = keras.layers
SHAPE = (made.SIDE, made.SIDE, 1)


def network(*middle, last=None):
    keras.utils.set_random_seed(2)
    return keras.Sequential([L.Input(SHAPE), *middle, L.Flatten(), L.Dense(made.CLASSES, activation=last, name="dense")])


def int8(model):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    return interpreter


def quantized(last=None):
    return network(L.Conv2D(4, 3, use_bias=False, name="conv"), L.BatchNormalization(), L.ReLU(), L.MaxPool2D(2), last=last)


@pytest.mark.parametrize("last", [None, "softmax"])
def test_it_learns_and_exports_as_int8_alone(last):
    model = Qat(epochs=12, learning_rate=1e-2).apply(quantized(last), made.context())
    assert made.accuracy(model, made.data().validation) > 0.85
    types = {detail["dtype"].__name__ for detail in int8(model).get_tensor_details()}
    assert types == {"int8", "int32"}


def test_zeros_are_zeros_of_the_export():
    sparse = Prune(epochs=0, sparsity=0.5, scope="layer").apply(quantized(), made.context())
    model = Qat(epochs=1).apply(sparse, made.context(SPARSE))
    interpreter = int8(model)
    kernels = [d for d in interpreter.get_tensor_details() if tuple(d["shape"]) in ((4, 3, 3, 1), (made.CLASSES, 36))]
    assert len(kernels) == 2
    for detail in kernels:
        kernel = interpreter.get_tensor(detail["index"])
        assert (kernel == 0).sum() >= kernel.size // 2


def test_the_range_of_a_relu_begins_at_zero():
    model = Qat(epochs=1, learning_rate=1e-6).apply(network(L.Conv2D(4, 3, activation="relu", name="c")), made.context())
    least, greatest = (v.numpy() for v in model.get_layer("quant_c").non_trainable_variables if "post_activation" in v.name)
    assert abs(least) < 1e-6
    assert 0 < greatest < 6


def test_finetune_trains_it_on():
    model = Qat(epochs=1).apply(quantized(), made.context())
    context = made.context(QUANTIZED)
    later = Finetune(epochs=8, learning_rate=1e-2).apply(model, context)
    assert made.accuracy(later, made.data().validation) > made.accuracy(model, made.data().validation)


def test_a_copy_computes_the_same():
    model, x = Qat(epochs=1).apply(quantized(), made.context()), made.data().test.x
    np.testing.assert_array_equal(surgery.replace(model, {}).predict(x, verbose=0), model.predict(x, verbose=0))


WRONG = {
    "no such layer": (lambda: L.LayerNormalization(name="norm"), r"cannot quantize norm \(LayerNormalization\)"),
    "batch normalization alone": (lambda: L.BatchNormalization(name="bn"), r"cannot quantize bn \(BatchNormalization\)"),
    "activation": (lambda: L.Conv2D(2, 3, activation="elu", name="c"), "(?s)Only some Keras activations.*c has elu"),
    "lambda": (lambda: L.Lambda(lambda x: x, name="lam"), r"cannot quantize lam \(Lambda\)"),
    "model in it": (lambda: keras.Sequential([L.Input(SHAPE), L.Conv2D(2, 3)]), "inside another keras Model"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_quantized_is_named(case):
    layer, text = WRONG[case]
    with pytest.raises(ModelError, match=text) as refused:
        Qat().apply(network(layer()), made.context())
    assert "Leave qat out" in refused.value.try_next

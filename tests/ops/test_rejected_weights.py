"""What operators with weights do not serve: each rule broken once, with the message that says so."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, conv, fully_connected, model, random_tensor
from ops.harness import lowered


def convolution(dtype="int8", channels=6, **options):
    rng = np.random.default_rng(1)
    return conv(rng, random_tensor(rng, "x", dtype, (1, 4, 4, 4)), channels, **options)


def dense(dtype="int8"):
    rng = np.random.default_rng(1)
    return fully_connected(rng, random_tensor(rng, "x", dtype, (2, 8)), 6)


def changed(layer, tensor, **attributes):
    """`layer` with attributes of one of its tensors ("input", "weights", "bias", "output") changed."""
    spec = layer.outputs[0] if tensor == "output" else layer.inputs[("input", "weights", "bias").index(tensor)]
    for name, value in attributes.items():
        setattr(spec, name, value)
    return layer


def with_bias(layer, data):
    layer.inputs[2] = const("b", data)
    return layer


def activated(layer, activation):
    layer.options["fused_activation_function"] = activation
    return layer


CASES = [  # (what the message says, layer)
    *(
        (f"the fused activation {activation} is not served", activated(layer, activation))
        for activation in ("TANH", "SIGN_BIT")  # TFLite Micro computes as if there were none
        for layer in (convolution(), convolution("float32"), convolution(channels=4, depthwise=True), dense(), dense("float32"))
    ),
    ("do not go into groups of 3", changed(convolution(), "weights", shape=(6, 3, 3, 3), data=np.zeros((6, 3, 3, 3), np.int8))),
    ("do not go into groups of 1", changed(convolution(), "weights", shape=(6, 3, 3, 1), data=np.zeros((6, 3, 3, 1), np.int8))),
    ("differ in batch size", changed(convolution(), "output", shape=(2, 4, 4, 6))),
    ("int16 input and output must have zero point 0", changed(convolution("int16"), "input", zero_point=(1,))),
    ("int16 input and output must have zero point 0", changed(dense("int16"), "output", zero_point=(-1,))),
    ("must be 6 constant int64 or int32 values", with_bias(convolution("int16"), np.zeros(6, np.int16))),
    ("must be 6 constant int32 values", with_bias(convolution(), np.zeros(6, np.int64))),
    ("must be 8 constant int64 values", with_bias(convolution("int16", 8, depthwise=True), np.zeros(8, np.int32))),
    ("bias or its scales are out of range", with_bias(convolution("int16"), np.full(6, 1 << 50))),
    ("bias or its scales are out of range", changed(convolution("int16"), "output", scale=(1e-12,))),
    ("are not served", changed(dense(), "output", dtype="int16")),
    ("weights format", None),
]


@pytest.mark.parametrize("says, layer", CASES, ids=[f"{n}-{c[0][:20]}" for n, c in enumerate(CASES)])
def test_is_refused_with_its_name_and_the_rule(says, layer):
    if layer is None:
        layer = dense()
        layer.options["weights_format"] = "SHUFFLED4x16INT8"
    with pytest.raises(ModelError) as caught:
        lowered(model([layer], [layer.inputs[0]], layer.outputs))
    assert says in caught.value.what
    assert f"{layer.code} (operator 0, output '{layer.outputs[0].name}')" in caught.value.what

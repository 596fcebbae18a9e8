"""UNIDIRECTIONAL_SEQUENCE_LSTM against TFLite Micro, several inferences in a row: the states are kept between them, and cleared
before the first."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, model, op, tensor
from ops.harness import compare, lowered

SHAPES = [  # (batch, steps, inputs, units)
    (1, 3, 4, 5),
    (2, 2, 3, 4),
    (1, 1, 1, 1),
    (3, 1, 5, 2),
    (1, 6, 9, 3),
    (2, 4, 1, 7),
]
CODE = "UNIDIRECTIONAL_SEQUENCE_LSTM"
# (type, *shape, time-major, cell clip, log2 of the cell's scale, zero points of input and hidden state, gain)
CASES = [("float32", *shape, major, clip, 0, (0, 0), 1) for shape in SHAPES for major, clip in ((False, 0.0), (True, 0.5))]
CASES += [
    ("int8", *shape, major, clip, power, zeros, 1)
    for shape in SHAPES
    for major, clip, power, zeros in (
        (False, 0.0, -11, (3, -5)),
        (True, 0.0, -12, (-128, 127)),
        (True, 0.7, -15, (127, -128)),
        (False, 10.0, -9, (0, 0)),
    )
]
CASES += [
    ("int16", *shape, major, clip, power, (0, 0), 1)
    for shape in SHAPES
    for major, clip, power in ((False, 0.0, -11), (True, 0.3, -14))
]
CASES += [(kind, *SHAPES[1], False, 0.0, -11, (0, 0), gain) for kind in ("int8", "int16") for gain in (0.01, 20, 150)]
CASES += [("float32", 1, 3, 2, 3, False, 0.0, 0, (0, 0), 0)]  # open gates sum up the tanh of 0.25, whatever comes in
CASES += [("int16", 1, 1, 600, 2, False, 0.0, -11, (0, 0), 0.01)]  # sums of more than 32 bits


def layer(rng, dtype, batch, steps, inputs, units, major, clip, power, zeros, gain):
    real = dtype == "float32"
    order = (steps, batch) if major else (batch, steps)
    x = tensor("x", dtype, (*order, inputs), *(() if real else (0.03 if dtype == "int8" else 2e-4, zeros[0])))
    y = tensor("y", dtype, (*order, units), *(() if real else (1 / (128 if dtype == "int8" else 32768), zeros[1])))
    hidden = tensor("hidden", dtype, (batch, units), y.scale, y.zero_point)
    cell = tensor("cell", dtype if real else "int16", (batch, units), *(() if real else (2.0**power, 0)))
    hidden.variable = cell.variable = True

    def weights(name, columns):
        if real:
            return const(name, rng.normal(0, 0.5 * gain, (units, columns)).astype(np.float32))
        full = (
            np.full((units, columns), -127, np.int8) if inputs > 500 else rng.integers(-127, 128, (units, columns), dtype=np.int8)
        )
        return const(name, full, float(rng.uniform(0.004, 0.01) * gain), 0)

    def bias(name):
        if real:
            values = rng.normal(0, 0.2, units) if gain else np.full(units, 0.249 if name == "b2" else 20)
            return const(name, values.astype(np.float32))
        return const(name, rng.integers(-2000, 2000, units).astype(np.int32 if dtype == "int8" else np.int64), 0.03 * 0.007, 0)

    gates = [weights(f"w{g}", inputs) for g in range(4)] + [weights(f"r{g}", units) for g in range(4)]
    biases = [bias(f"b{g}") for g in range(4)]
    operands = [x, *gates, *[None] * 3, *biases, None, None, hidden, cell, *[None] * 4]
    return op(CODE, operands, [y], version=3, fused_activation_function="TANH", cell_clip=clip, time_major=major)


def make(rng, *case):
    made = layer(rng, *case)
    return model([made], made.inputs[:1], made.outputs)


test_matches_tflite_micro = compare(CASES, make, samples=("random", "random", "high", "random", "low", "ramp"), sequence=True)


def spoiled(number, **attributes):
    def spoil(made):
        for name, value in attributes.items():
            setattr(made.inputs[number] if number < 24 else made.outputs[0], name, value)

    return spoil


REFUSED = [  # (what the message says, what breaks the rule)
    ("its states must be variables", spoiled(19, variable=False)),
    ("its states must be variables", spoiled(18, variable=False)),
    ("activation NONE is not served", lambda made: made.options.update(fused_activation_function="NONE")),
    ("no peepholes", lambda made: made.inputs.__setitem__(9, const("p", np.zeros(4, np.int16), 0.1, 0))),
    ("no peepholes", lambda made: made.inputs.__setitem__(1, None)),
    ("24 inputs and one output", lambda made: made.inputs.pop()),
    ("are not served", spoiled(19, dtype="int8", zero_point=(0,))),
    ("weights and biases must be constant", spoiled(7, data=None)),
    ("shapes do not go together", spoiled(24, shape=(2, 2, 5))),
    ("weights and its cell state must have zero point 0", spoiled(2, zero_point=(1,))),
    ("weights and its cell state must have zero point 0", spoiled(19, zero_point=(1,))),
    ("scales are out of range", spoiled(19, scale=(16.0,))),
    ("biases are out of range", spoiled(12, data=np.full(4, 1 << 30, np.int32))),
]


@pytest.mark.parametrize("says, spoil", REFUSED, ids=[f"{n}-{c[0][:20]}" for n, c in enumerate(REFUSED)])
def test_is_refused_with_the_rule(says, spoil):
    made = layer(np.random.default_rng(1), "int8", *SHAPES[1], False, 0.0, -11, (3, -5), 1)
    spoil(made)
    activations = [t for t in made.inputs if t is not None and t.data is None and not t.variable]
    with pytest.raises(ModelError) as caught:
        lowered(model([made], activations, made.outputs))
    assert says in caught.value.what


def test_a_large_scale_of_int16_is_refused():
    made = layer(np.random.default_rng(1), "int16", *SHAPES[1], False, 0.0, -11, (0, 0), 1)
    spoiled(0, scale=(1e3,))(made)
    with pytest.raises(ModelError, match="scales are out of range"):
        lowered(model([made], made.inputs[:1], made.outputs))

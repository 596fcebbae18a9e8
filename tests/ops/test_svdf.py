"""SVDF against TFLite Micro, several inferences in a row: the state is kept between them, and cleared before the first."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, model, op, tensor
from ops.harness import compare, lowered

SHAPES = [  # (batch, inputs, units, rank, memory)
    (1, 3, 4, 1, 10),
    (2, 5, 3, 2, 4),
    (1, 1, 1, 1, 1),
    (3, 2, 2, 1, 2),
    (1, 17, 5, 3, 7),
    (2, 4, 1, 4, 1),
    (1, 40, 6, 2, 3),
]
ZEROS = [(3, -5, 9), (-128, 127, -128), (127, -128, 0), (0, 0, 0)]
CASES = [
    (kind, *shape, "RELU", ZEROS[n % 4], gain) for kind in ("int16", "int8") for n, shape in enumerate(SHAPES) for gain in (1, 8)
]
CASES += [("int8", *SHAPES[1], "NONE", zeros, 1) for zeros in ZEROS] + [("int16", *SHAPES[1], "TANH", ZEROS[0], 40)]
CASES += [("float32", *shape, "NONE", ZEROS[3], 1) for shape in SHAPES]
CASES += [
    ("float32", *SHAPES[1], activation, ZEROS[3], 1) for activation in ("RELU", "RELU6", "RELU_N1_TO_1", "TANH", "SIGN_BIT")
]


def layer(rng, kind, batch, inputs, units, rank, memory, activation, zeros, gain):
    filters, real = units * rank, kind == "float32"
    quants = (None,) * 6
    if not real:
        state_scale = float(np.float32(0.3 if kind == "int8" else 0.001))
        quants = (0.02, 0.01, 0.03, float(np.float32(state_scale) * np.float32(0.03)), state_scale, 0.1 / gain)
    zeros = (None,) * 3 if real else (zeros[0], 0 if kind == "int16" else zeros[1], zeros[2])

    def weights(name, shape, dtype, scale):
        if real:
            return const(name, rng.normal(0, 0.4, shape).astype(np.float32))
        return const(name, rng.integers(-127, 128, shape).astype(dtype), scale, 0)

    x = tensor("x", "float32" if real else "int8", (batch, inputs), quants[0], zeros[0])
    state = tensor("state", kind, (batch, filters * memory), quants[4], zeros[1])
    state.variable = True
    y = tensor("y", "float32" if real else "int8", (batch, units), quants[5], zeros[2])
    features, times = weights("f", (filters, inputs), "int8", quants[1]), weights("t", (filters, memory), kind, quants[2])
    bias = weights("b", (units,), "int32", quants[3])
    return op("SVDF", [x, features, times, bias, state], [y], version=3, rank=rank, fused_activation_function=activation)


def make(rng, *case):
    made = layer(rng, *case)
    return model([made], made.inputs[:1], made.outputs)


SAMPLES = ("random", "random", "high", "random", "low", "ramp")
test_matches_tflite_micro = compare(CASES, make, samples=SAMPLES, sequence=True)


def without_number(rng, activation):
    """One unit's sum is no number."""
    made = layer(rng, "float32", *SHAPES[1], activation, ZEROS[3], 1)
    made.inputs[3].data[0] = np.nan
    return model([made], made.inputs[:1], made.outputs)


test_no_number_is_clamped_as_tflite_micro_does = compare(
    [("RELU",), ("RELU6",), ("RELU_N1_TO_1",)], without_number, sequence=True
)


def state_is_constant(made):
    made.inputs[4] = const("state", np.zeros(made.inputs[4].shape, np.int8), 0.3, 0)


REFUSED = [  # (what the message says, what breaks the rule)
    ("its state must be a variable", lambda made: setattr(made.inputs[4], "variable", False)),
    ("its state must be a variable", state_is_constant),
    ("its rank 5 does not fit", lambda made: made.options.update(rank=5)),
    ("its rank 0 does not fit", lambda made: made.options.update(rank=0)),
    ("shapes do not go together", lambda made: setattr(made.inputs[4], "shape", (2, 3))),
    ("must have two dimensions", lambda made: setattr(made.outputs[0], "shape", (6,))),
    ("are not served", lambda made: setattr(made.inputs[4], "dtype", "int16")),
    ("weights must have zero point 0", lambda made: setattr(made.inputs[1], "zero_point", (1,))),
    ("not that of state times weights", lambda made: setattr(made.inputs[3], "scale", (1.0,))),
    ("weights and its bias must be constant", lambda made: setattr(made.inputs[2], "data", None)),
    ("needs input, two weights, bias, state", lambda made: made.inputs.__setitem__(3, None)),
]


@pytest.mark.parametrize("says, spoil", REFUSED, ids=[f"{n}-{c[0][:20]}" for n, c in enumerate(REFUSED)])
def test_is_refused_with_the_rule(says, spoil):
    made = layer(np.random.default_rng(1), "int8", *SHAPES[1], "NONE", ZEROS[0], 1)
    spoil(made)
    activations = [t for t in made.inputs if t is not None and t.data is None and not t.variable]
    with pytest.raises(ModelError) as caught:
        lowered(model([made], activations, made.outputs))
    assert says in caught.value.what

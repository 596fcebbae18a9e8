"""FAKE_QUANT against LiteRT's reference kernels, to the last bit: TFLite Micro lacks it."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, model, op, tensor
from ops.harness import compare, lowered

CASES = [  # (shape, low, high, bits, narrow range, constant input)
    ((2, 131), -1.0, 1.0, 8, False, False),
    ((2, 131), -5.3, 17.7, 8, False, False),
    ((700,), 0.0, 6.0, 8, False, False),
    ((700,), -0.3, 0.0, 8, False, False),
    ((1, 3, 5, 7), -30.0, 30.0, 4, False, False),
    ((64,), -2.0, 9.0, 2, False, False),
    ((700,), -77.0, 99.0, 16, False, False),
    ((1,), -1e-30, 1e30, 8, False, False),
    ((40,), -1.0, 1.0, 8, False, True),
]


def layer(shape, low, high, bits, narrow, source=None):
    x, y = source or tensor("x", "float32", shape), tensor("y", "float32", shape)
    return op("FAKE_QUANT", [x], [y], min=low, max=high, num_bits=bits, narrow_range=narrow)


def make(rng, shape, low, high, bits, narrow, constant):
    made = layer(shape, low, high, bits, narrow, const("c", rng.normal(0, 1, shape).astype(np.float32)) if constant else None)
    unread = tensor("unread", "float32", (1,))
    return model([made], [unread] if constant else made.inputs, made.outputs)


test_matches_litert = compare(CASES, make, exact=True, litert=True)


@pytest.mark.parametrize(
    "says, case",
    [
        ("1 bits are not served", (-1.0, 1.0, 1, False)),
        ("17 bits are not served", (-1.0, 1.0, 17, False)),
        ("a narrow range is not served", (-1.0, 1.0, 8, True)),
        ("lacks 0", (1.0, 2.0, 8, False)),
        ("lacks 0", (0.0, 0.0, 8, False)),
    ],
)
def test_is_refused_with_the_rule(says, case):
    made = layer((4,), *case)
    with pytest.raises(ModelError) as caught:
        lowered(model([made], made.inputs, made.outputs))
    assert says in caught.value.what

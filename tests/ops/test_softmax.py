"""SOFTMAX against TFLite Micro: wide and narrow rows, ties, beta, scales tiny and huge, int8 and int16 in and out."""

import numpy as np
import pytest

from modelmaker import model, op, tensor
from ops.builds import build
from ops.harness import DSP, SMALL, Case, compare

CASES = [  # (input type, output type, shape, scale, zero point, beta)
    ("int8", "int8", (1, 10), 0.1, 3, 1.0),
    ("int8", "int8", (5, 12), 0.05, -128, 1.0),
    ("int8", "int8", (1, 2, 3, 2), 0.3, 5, 0.5),
    ("int8", "int8", (3, 2), 1.0, 5, 2.0),
    ("int8", "int8", (3, 1), 0.1, 5, 1.0),
    ("int8", "int8", (4, 33), 0.00001, 5, 1.0),
    ("int8", "int8", (4, 33), 20.0, 5, 1.0),
    ("int8", "int8", (4, 300), 20.0, 5, 100.0),
    ("int8", "int8", (1, 7), 1.8945, 5, 1.0),  # the ramp's largest share lies between two bytes
    ("int8", "int16", (2, 12), 0.1, 3, 1.0),
    ("int16", "int16", (1, 10), 1 / 4096, 0, 1.0),
    ("int16", "int16", (3, 64), 0.0001, 0, 1.0),
    ("int16", "int16", (2, 1), 0.001, 0, 2.0),
    ("int16", "int16", (1797,), 0.000152, 0, 1.0),
    ("int16", "int16", (2, 1000), 0.001, 0, 1.0),
    ("int16", "int16", (2, 3, 29), 0.05, 0, 1.0),
    ("int16", "int16", (4, 33), 1e-9, 0, 0.5),
    ("int16", "int16", (40, 7), 0.00003, 0, 1.5),
    ("float32", "float32", (1, 10), None, None, 1.0),
    ("float32", "float32", (4, 33), None, None, 0.3),
    ("float32", "float32", (2, 3, 640), None, None, 1.0),
    ("float32", "float32", (3, 1), None, None, 1.0),
]
# TFLite Micro's host build aborts on rows whose exponentials add up to 512 or more, as equal inputs' do.
WIDE = [
    ("int8", "int8", (1, 640), 0.01, 0, 1.0),
    ("int8", "int8", (2, 1000), 0.2, 127, 1.0),
    ("int8", "int16", (1, 640), 0.003, 3, 1.0),
]


def make(rng, source, target, shape, scale, zero_point, beta):
    x = tensor("x", source, shape, scale, zero_point)
    output = {"int8": (1 / 256, -128), "int16": (1 / 65536, -32768)}.get(target, ())
    y = tensor("y", target, shape, *((1 / 32768, 0) if source == "int16" else output))
    return model([op("SOFTMAX", [x], [y], beta=beta)], [x], [y])


test_matches_tflite_micro = compare(CASES, make)


@pytest.mark.parametrize("kind", ["host", DSP, SMALL])
def test_equal_inputs_that_the_oracle_does_not_take(kind):
    case = Case(make(None, *WIDE[0]), ("low", "high"))
    runner = build(kind, [case])
    for number, sample in enumerate(case.inputs):
        (raw,) = runner.run(case, sample, number)
        assert set(np.frombuffer(raw, np.int8)) == {-128}, "1/640 rounds to zero 256ths"


test_wide_rows = compare(WIDE, make, samples=("random", "random", "ramp"))

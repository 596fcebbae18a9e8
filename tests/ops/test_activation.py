"""Activations against TFLite Micro: every int8 value, zero points at both ends, scales tiny and huge, int16 and float32."""

from modelmaker import model, op, tensor
from ops.harness import compare

SHAPE = (1, 3, 91)  # more than all values of a byte; no multiple of four
WIDE = (3, 599)  # a ramp over all of int16
SIGMOID, TANH = (1 / 256, -128), (1 / 128, 0)
CURVE16 = (1 / 32768, 0)
CASES = [  # (operator, type, shape, input scale, input zero point, output scale, output zero point)
    ("RELU", "int8", SHAPE, 0.1, 0, 0.1, 0),
    ("RELU", "int8", SHAPE, 0.1, -128, 0.05, -128),
    ("RELU", "int8", SHAPE, 0.05, 127, 0.1, 3),
    ("RELU", "int8", SHAPE, 3.0, -5, 0.01, 127),
    ("RELU", "int8", SHAPE, 1e-6, 4, 100.0, -4),
    ("RELU", "int8", (5,), 0.3, 1, 0.2, 2),
    ("RELU", "int16", SHAPE, 0.001, 0, 0.001, 0),
    ("RELU", "int16", SHAPE, 0.001, 0, 0.0003, 0),
    ("RELU6", "int8", SHAPE, 0.1, -3, 0.1, -3),
    ("RELU6", "int8", SHAPE, 0.02, -128, 0.02, -128),
    ("RELU6", "int8", SHAPE, 0.07, 100, 0.07, 100),
    ("RELU6", "int16", WIDE, 0.001, 0, 0.001, 0),
    ("RELU6", "int16", WIDE, 0.001, -300, 0.001, 0),
    ("RELU6", "int16", (), 0.0001, 0, 0.001, 0),
    ("LOGISTIC", "int8", SHAPE, 0.1, 0, *SIGMOID),
    ("LOGISTIC", "int8", SHAPE, 0.05, -128, *SIGMOID),
    ("LOGISTIC", "int8", SHAPE, 0.0003, 127, *SIGMOID),
    ("LOGISTIC", "int8", SHAPE, 2.5, 12, *SIGMOID),
    ("LOGISTIC", "int8", SHAPE, 40.0, -7, *SIGMOID),
    ("LOGISTIC", "int16", WIDE, 1 / 4096, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 1 / 2048, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 1 / 8192, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 0.000311, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 2.66, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 1e-7, 0, *CURVE16),
    ("LOGISTIC", "int16", WIDE, 1e-12, 0, *CURVE16),
    ("TANH", "int8", SHAPE, 0.1, 0, *TANH),
    ("TANH", "int8", SHAPE, 0.03, -128, *TANH),
    ("TANH", "int8", SHAPE, 0.003, 127, *TANH),
    ("TANH", "int8", SHAPE, 0.00001, 4, *TANH),
    ("TANH", "int8", SHAPE, 3.0, -77, 0.5, 20),
    ("TANH", "int16", WIDE, 1 / 4096, 0, *CURVE16),
    ("TANH", "int16", WIDE, 1 / 2048, 0, *CURVE16),
    ("TANH", "int16", WIDE, 1 / 1024, 0, *CURVE16),
    ("TANH", "int16", WIDE, 1 / 8192, 0, *CURVE16),
    ("TANH", "int16", WIDE, 0.000311, 0, *CURVE16),
    ("TANH", "int16", WIDE, 2.66, 0, *CURVE16),
    ("TANH", "int16", WIDE, 1e-7, 0, *CURVE16),
    *((code, "int16", (5, 4000), scale, 0, *CURVE16) for code in ("LOGISTIC", "TANH") for scale in (1 / 2048, 1 / 3000)),
    ("ELU", "int8", SHAPE, 0.1, 0, 0.1, 0),
    ("ELU", "int8", SHAPE, 0.05, -128, 0.03, -128),
    ("ELU", "int8", SHAPE, 0.02, 127, 0.008, 127),
    ("ELU", "int8", SHAPE, 0.001, 5, 0.00001, 0),
    ("HARD_SWISH", "int8", SHAPE, 0.1, 0, 0.05, 0),
    ("HARD_SWISH", "int8", SHAPE, 0.05, -128, 0.05, -128),
    ("HARD_SWISH", "int8", SHAPE, 0.02, 127, 0.01, 127),
    ("HARD_SWISH", "int8", SHAPE, 0.3, 3, 0.004, -100),
    ("HARD_SWISH", "int8", SHAPE, 20.0, -9, 0.3, 4),
    ("HARD_SWISH", "int8", SHAPE, 0.0001, 0, 0.00002, 4),
    ("HARD_SWISH", "int8", SHAPE, 1e-8, 0, 1.0, 4),
    ("HARD_SWISH", "int8", SHAPE, 0.001, 0, 1.0, 4),
    ("HARD_SWISH", "int8", SHAPE, 0.0926, -99, 0.1452, 0),  # here and below: float32 quotients of scales give other numbers
    ("HARD_SWISH", "int8", SHAPE, 0.0559, 95, 0.0459, 0),
    *(("RELU", "int16", (5, 4000), scale, 0, out_scale, 0) for scale, out_scale in ((0.000121, 8.8e-05), (0.00021, 0.00014))),
    ("LEAKY_RELU", "int16", (5, 4000), 0.00123, 0, 0.00077, 0, 0.13),
    ("LEAKY_RELU", "int16", (5, 4000), 0.00123, 0, 0.00077, 0, -0.13),
    ("HARD_SWISH", "int8", SHAPE, 1e-7, 0, 1e-6, 4),
    ("LEAKY_RELU", "int8", SHAPE, 0.1, 0, 0.1, 0, 0.2),
    ("LEAKY_RELU", "int8", SHAPE, 0.05, -128, 0.02, -128, 0.01),
    ("LEAKY_RELU", "int8", SHAPE, 0.02, 127, 0.01, 127, 3.0),
    ("LEAKY_RELU", "int8", SHAPE, 0.02, 7, 0.01, -7, 0.0),
    ("LEAKY_RELU", "int8", SHAPE, 0.02, 7, 1e-4, -7, 1e-3),
    ("LEAKY_RELU", "int16", WIDE, 0.001, 0, 0.001, 0, 0.2),
    ("LEAKY_RELU", "int16", WIDE, 0.001, 0, 0.0004, 0, 1.5),
    ("LEAKY_RELU", "int16", WIDE, 0.001, 40, 0.002, -3, 0.01),
    ("LEAKY_RELU", "int8", SHAPE, 0.02, 7, 0.01, -7, -0.3),
    ("LEAKY_RELU", "int16", WIDE, 0.001, 0, 0.002, 0, -0.3),
    ("LEAKY_RELU", "int8", SHAPE, 0.5, 7, 0.5, -7, -0.5),  # ties
    ("LEAKY_RELU", "int16", WIDE, 0.5, 0, 0.5, 0, -0.5),
]
EXACT = [
    *((code, "float32", SHAPE, None, None, None, None) for code in ("RELU", "RELU6", "HARD_SWISH")),
    *(("LEAKY_RELU", "float32", SHAPE, None, None, None, None, alpha) for alpha in (0.1, -0.3, 2.0)),
    *((code, "float32", (), None, None, None, None) for code in ("RELU", "HARD_SWISH")),
]
CURVES = [(code, "float32", SHAPE, None, None, None, None) for code in ("LOGISTIC", "TANH", "ELU")]


def make(rng, code, dtype, shape, scale, zero_point, out_scale, out_zero_point, alpha=None):
    x = tensor("x", dtype, shape, scale, zero_point)
    y = tensor("y", dtype, shape, out_scale, out_zero_point)
    return model([op(code, [x], [y], **({} if alpha is None else {"alpha": alpha}))], [x], [y])


test_matches_tflite_micro = compare(CASES, make)
test_float_exactly = compare(EXACT, make, exact=True)
test_float_curves = compare(CURVES, make)

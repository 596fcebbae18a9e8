"""ADD, SUB and MUL against TFLite Micro: broadcasting, a constant operand on either side, activations, scales apart."""

import numpy as np

from modelmaker import const, model, op, tensor
from ops.harness import compare

A, B, Y = (0.05, 3), (0.02, -7), (0.06, 5)  # scale, zero point
QUANTIZED = [  # (type, shape a, shape b, which is constant (or both the same), a, b, output, activation)
    ("int8", (1, 4, 5, 3), (1, 4, 5, 3), None, A, B, Y, "NONE"),
    ("int8", (1, 4, 5, 3), (1, 4, 5, 3), None, B, A, Y, "RELU"),
    ("int8", (2, 35), (2, 35), None, A, (0.05, -9), Y, "RELU6"),
    ("int8", (64,), (64,), None, (0.05, -128), (0.05, 127), (0.05, -128), "NONE"),
    ("int8", (67,), (67,), None, (0.05, 127), (0.0499, 127), (0.11, 127), "RELU_N1_TO_1"),
    ("int8", (64,), (64,), None, (0.5, -128), (0.0001, 127), (0.5, 0), "NONE"),
    ("int8", (64,), (64,), None, (0.0001, 127), (0.5, -128), (0.5, 0), "NONE"),
    ("int8", (64,), (64,), None, (1e-6, 1), (2e-6, 2), (50.0, 3), "NONE"),
    ("int8", (64,), (64,), None, (1.0, 1), (2.0, 2), (0.001, 3), "NONE"),
    ("int8", (300,), (300,), None, (1.0, 1), (1.3, 2), (1.0, 3), "NONE"),  # MUL shifts left, and not all products saturate
    ("int8", (1, 4, 5, 3), (1, 1, 1, 3), None, A, B, Y, "RELU"),
    ("int8", (1, 1, 1, 3), (1, 4, 5, 3), None, A, B, Y, "NONE"),
    ("int8", (1, 4, 1, 3), (1, 1, 5, 1), None, A, B, Y, "NONE"),
    ("int8", (3, 1), (1, 9), None, A, B, Y, "RELU"),
    ("int8", (2, 3, 4), (4,), None, B, A, Y, "NONE"),
    ("int8", (1, 4, 5, 3), (1, 4, 5, 1), None, A, B, Y, "NONE"),
    ("int8", (2, 7), (1,), None, A, B, Y, "NONE"),
    ("int8", (2, 133), (), 1, A, B, Y, "NONE"),
    ("int8", (2, 133), (1, 1), 1, B, A, Y, "RELU"),
    ("int8", (1,), (2, 133), 0, A, B, Y, "RELU6"),
    ("int8", (1, 6, 7), (7,), 1, A, B, Y, "NONE"),
    ("int8", (1, 6, 7), (1, 6, 7), 0, A, B, Y, "RELU"),
    ("int8", (1, 6, 7), (1, 6, 7), "same", A, A, Y, "NONE"),
    ("int16", (3, 50), (3, 50), None, (0.0011, 0), (0.0007, 0), (0.002, 0), "NONE"),
    ("int16", (3, 50), (3, 1), None, (0.0011, 0), (0.0007, 0), (0.002, 0), "RELU"),
]
PLAIN = [  # the same without quantization
    (dtype, a, b, constant, None, None, None, activation)
    for dtype, a, b, constant, activation in [
        ("float32", (2, 35), (2, 35), None, "NONE"),
        ("float32", (2, 35), (35,), None, "RELU6"),
        ("float32", (1, 6), (5, 6), 0, "RELU"),
        ("float32", (7, 3), (1,), 1, "RELU_N1_TO_1"),
        ("int32", (2, 35), (2, 35), None, "NONE"),
        ("int32", (2, 35), (2, 1), None, "NONE"),
    ]
]
CASES = [(code, *case) for code in ("ADD", "SUB", "MUL") for case in QUANTIZED + PLAIN]


def make(rng, code, dtype, a_shape, b_shape, constant, a_quant, b_quant, y_quant, activation):
    def operand(position, shape, quant):
        scale, zero_point = quant or (None, None)
        if position != constant:
            return tensor("ab"[position], dtype, shape, scale, zero_point)
        numbers = rng.normal(0, 2, shape) if dtype == "float32" else rng.integers(-128, 128, shape)
        return const("ab"[position], np.asarray(numbers, dtype), scale, zero_point)

    # TFLM multiplies int8 scales freely, so MUL gets an output scale of the size of its products.
    if code == "MUL" and dtype == "int8" and y_quant == Y:
        y_quant = (0.06 * 0.3, 5)
    a = operand(0, a_shape, a_quant)
    b = a if constant == "same" else operand(1, b_shape, b_quant)
    y = tensor("y", dtype, np.broadcast_shapes(a_shape, b_shape), *(y_quant or (None, None)))
    inputs = [t for t in (a, b) if t.data is None][: 1 if constant == "same" else 2]
    return model([op(code, [a, b], [y], version=2, fused_activation_function=activation)], inputs, [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)

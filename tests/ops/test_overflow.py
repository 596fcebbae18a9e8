"""float32 results that overflow, infinities and NaN: TFLite clamps to float's ends where there is a fused activation, even NONE.

Not so CONV_2D's fast kernels, which leave an infinity where all else is finite: three cycles per output less."""

import numpy as np

from modelmaker import conv, fully_connected, model, op, tensor
from ops.harness import compare

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
CASES = [
    *((code, activation) for code in ("ADD", "SUB", "MUL", "DIV") for activation in ACTIVATIONS),
    *((code, activation) for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D") for activation in ACTIVATIONS[:2]),
    *((code, activation) for code in ("DEPTHWISE_CONV_2D", "FULLY_CONNECTED") for activation in ACTIVATIONS[:2]),
]


def make(rng, code, activation):
    if code in ("ADD", "SUB", "MUL", "DIV"):
        x, y, z = (tensor(name, "float32", (3, 50)) for name in "xyz")
        return model([op(code, [x, y], [z], fused_activation_function=activation)], [x, y], [z])
    x = tensor("x", "float32", (1, 6, 6, 3))
    if code.endswith("POOL_2D"):
        y = tensor("y", "float32", (1, 3, 3, 3))
        options = dict(padding="VALID", stride_w=2, stride_h=2, filter_width=2, filter_height=2)
        return model([op(code, [x], [y], fused_activation_function=activation, **options)], [x], [y])
    if code == "FULLY_CONNECTED":
        x = tensor("x", "float32", (40, 2))
        made = fully_connected(rng, x, 5, activation)
    else:
        made = conv(rng, x, 6, (1, 2), activation=activation, depthwise=True)
    made.inputs[1].data *= np.float32(8)
    return model([made], [x], made.outputs)


test_matches_tflite_micro = compare(CASES, make, exact=True, samples=("overflow", "overflow", "random"))

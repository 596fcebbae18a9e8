"""What operators without weights do not serve: each rule broken once, with the message that says so."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import const, model, op, tensor
from ops.harness import lowered

Q = (0.1, 3)
SOFTMAX_Q = (1 / 256, -128)


def t(dtype="int8", shape=(2, 3), quant=Q):
    """An activation; only int8 and int16 get a quantization."""
    scale, zero_point = quant if dtype in ("int8", "uint8", "int16") else (None, None)
    return tensor("t", dtype, shape, scale, zero_point)


def ints(*values, dtype=np.int32):
    return const("numbers", np.array(values, dtype))


def reject(code, inputs, output, **options):
    return code, inputs, [output], options


def refusals(cases):
    """A test function over `cases`: the message names the operator and its output, and says the rule."""

    @pytest.mark.parametrize("says, code, inputs, outputs, options", cases, ids=[f"{n}-{c[1]}" for n, c in enumerate(cases)])
    def test(says, code, inputs, outputs, options):
        outputs[0].name = "the/output"
        activations = [x for x in inputs if x is not None and x.data is None]
        data = model([op(code, inputs, outputs, **options)], activations or [t()], outputs)
        with pytest.raises(ModelError) as caught:
            lowered(data)
        assert says in caught.value.what
        assert f"{code} (operator 0, output 'the/output')" in caught.value.what

    return test


CASES = [  # (what the message says, operator, inputs, outputs, options)
    ("needs 1 input and one output", *reject("RELU", [t(), t()], t())),
    ("needs 2 inputs and one output", *reject("ADD", [t()], t())),
    ("needs 2 inputs and one output", *reject("MUL", [t(), None], t())),
    ("needs 1 to 2 inputs", *reject("RESHAPE", [t(), ints(6), ints(6)], t(shape=(6,)))),
    ("needs 2 to 3 inputs", *reject("PAD", [t()], t())),
    ("must all be int8 or all float32", *reject("RELU6", [t()], t("float32"))),
    ("must all be int8 or all float32", *reject("LOGISTIC", [t("uint8")], t("uint8"))),
    ("too far apart", *reject("RSQRT", [t(quant=(0.1, 0))], t(quant=(1e5, 0)))),
    ("too far apart", *reject("SUB", [t(quant=(1000.0, 0)), t()], t(quant=(1e-4, 0)))),
    ("too far apart", *reject("DIV", [t(quant=(1000.0, 0)), t()], t(quant=(1e-4, 0)))),
    ("too far apart", *reject("ADD_N", [t(quant=(1000.0, 0)), t(quant=(1000.0, 0))], t(quant=(1e-4, 0)))),
    ("int32 tensors must not be quantized", *reject("SUB", [tensor("q", "int32", (2, 3), 0.1, 0), t("int32")], t("int32"))),
    ("int32 tensors must not be quantized", *reject("DIV", [tensor("q", "int32", (2, 3), 0.1, 0), t("int32")], t("int32"))),
    ("activation SIGN_BIT is not served", *reject("DIV", [t(), t()], t(), fused_activation_function="SIGN_BIT")),
    ("must all be float32", *reject("FLOOR_DIV", [t("int32"), t("int32")], t("int32"))),
    ("must all be int8 or all float32 or all int32", *reject("DIV", [t("int16"), t("int16")], t("int16"))),
    ("must all be", *reject("MAXIMUM", [t("uint8"), t("uint8")], t("uint8"))),
    ("do not go together", *reject("MINIMUM", [t(shape=(2, 3)), t(shape=(2, 4))], t())),
    ("its output has shape [2, 3]; its inputs give [4, 2, 3]", *reject("SQUARED_DIFFERENCE", [t(shape=(4, 1, 3)), t()], t())),
    ("its slopes must be int8", *reject("PRELU", [t("int16", quant=(0.1, 0)), t("int16", quant=(0.1, 0))], t("int16"))),
    ("needs one scale and one zero point", *reject("PRELU", [t(), tensor("bare", "int8", (3,))], t())),
    ("needs one scale and one zero point", *reject("DIV", [t(), tensor("bare", "int8", (3,))], t())),
    ("must all be int8 or all float32 or all int32 or all int64", *reject("LESS", [t("bool"), t("bool")], t("bool"))),
    ("must all be", *reject("GREATER", [t("int16", quant=(0.1, 0)), t("int16", quant=(0.1, 0))], t("bool"))),
    ("must all be bool", *reject("LOGICAL_OR", [t(), t()], t("bool"))),
    ("its output is int8, not bool", *reject("EQUAL", [t(), t()], t())),
    ("do not go together", *reject("LOGICAL_AND", [t("bool", (2, 3)), t("bool", (2, 4))], t("bool"))),
    ("its inputs must be below 1", *reject("EQUAL", [t(quant=(1.0, 0)), t()], t("bool"))),
    ("its condition is int8, not bool", *reject("SELECT_V2", [t(), t(), t()], t())),
    ("must all be", *reject("SELECT_V2", [t("bool"), t("int32"), t("int32")], t("int32"))),
    ("do not go together", *reject("SELECT_V2", [t("bool", (2, 4)), t(), t()], t())),
    ("needs 2 to 64 inputs", *reject("ADD_N", [t()], t())),
    ("must all be int8 or all float32", *reject("ADD_N", [t("int16"), t("int16")], t("int16"))),
    ("its output has shape [2, 3]; its inputs give [3]", *reject("ADD_N", [t(), t(shape=(3,))], t())),
    ("must have the same scale and zero point", *reject("ADD_N", [t(), t(quant=(0.2, 3))], t())),
    ("must all be bool", *reject("LOGICAL_NOT", [t()], t())),
    ("must all be float32", *reject("SQRT", [t()], t())),
    ("must all be int8 or all float32", *reject("RSQRT", [t("int32")], t("int32"))),
    ("must all be int8 or all float32", *reject("ELU", [t("int16", quant=(0.1, 0))], t("int16", quant=(0.1, 0)))),
    ("must all be", *reject("ZEROS_LIKE", [t("bool")], t("bool"))),
    ("its output has shape [3, 2]", *reject("ABS", [t()], t(shape=(3, 2)))),
    ("its output has shape [3, 2]", *reject("CAST", [t()], t("float32", (3, 2)))),
    ("its output has shape [3, 2]", *reject("ZEROS_LIKE", [t()], t(shape=(3, 2)))),
    ("needs one scale and one zero point", *reject("RSQRT", [tensor("bare", "int16", (2, 3))], tensor("t", "int16", (2, 3)))),
    ("needs one scale and one zero point", *reject("ABS", [tensor("bare", "int8", (2, 3))], t())),
    ("must have zero point 0", *reject("ABS", [t("int16", quant=(0.1, 5))], t("int16", quant=(0.1, 0)))),
    ("must have zero point 0", *reject("TANH", [t("int16", quant=(0.1, 5))], t("int16", quant=(1 / 32768, 0)))),
    ("has scale 0.10000000149011612, not 1/32768", *reject("TANH", [t("int16", quant=(0.1, 0))], t("int16", quant=(0.1, 0)))),
    ("scale 3.0 is too large", *reject("LOGISTIC", [t("int16", quant=(3.0, 0))], t("int16", quant=(1 / 32768, 0)))),
    ("less than 1/128 of its input's", *reject("HARD_SWISH", [t(quant=(1.0, 0))], t(quant=(0.005, 0)))),
    ("int8 to bool is not served", *reject("CAST", [t()], t("bool"))),
    ("int64 to float32 is not served", *reject("CAST", [t("int64")], t("float32"))),
    ("int16 to int8 is not served", *reject("SOFTMAX", [t("int16", quant=(0.1, 0))], t(quant=SOFTMAX_Q), beta=1.0)),
    ("must have scale 3.0517578125e-05", *reject("SOFTMAX", [t("int16", quant=(0.1, 0))], t("int16", quant=(0.1, 0)), beta=1.0)),
    ("is too small", *reject("SOFTMAX", [t("int16", quant=(0.1, 0))], t("int16", quant=(1 / 32768, 0)), beta=-1.0)),
    ("must all be", *reject("ADD", [t(), t("float32")], t())),
    ("must all be", *reject("MEAN", [t("int32"), ints(0)], t("int32", (3,)))),
    ("must all be", *reject("TRANSPOSE", [t("int32"), ints(1, 0)], t("int32", (3, 2)))),
    ("its output has shape [3, 2]; its inputs give [2, 3]", *reject("RELU", [t()], t(shape=(3, 2)))),
    ("its output has shape [3, 2]", *reject("QUANTIZE", [t("float32")], t(shape=(3, 2)))),
    ("its output has shape [3, 2]", *reject("DEQUANTIZE", [t()], t("float32", (3, 2)))),
    ("its output has shape [3, 2]", *reject("SOFTMAX", [t()], t(shape=(3, 2), quant=SOFTMAX_Q))),
    ("its output has shape [2, 3]; its inputs give [3, 2]", *reject("TRANSPOSE", [t(), ints(1, 0)], t())),
    ("its output has shape [2, 3]; its inputs give [3]", *reject("MEAN", [t(), ints(0)], t())),
    (
        "its output has shape [2, 3]; its inputs give [4, 3]",
        *reject("PAD", [t(), const("p", np.array([[1, 1], [0, 0]], np.int32))], t()),
    ),
    ("needs one scale and one zero point", *reject("RELU", [tensor("bare", "int8", (2, 3))], t())),
    ("needs one scale and one zero point", *reject("QUANTIZE", [t()], tensor("many", "int8", (2, 3), [0.1] * 3, [0] * 3, 1))),
    ("needs one scale and one zero point", *reject("DEQUANTIZE", [tensor("bare", "int8", (2, 3))], t("float32"))),
    ("must have zero point 0", *reject("RELU", [t("int16", quant=(0.1, 5))], t("int16", quant=(0.1, 0)))),
    ("its output has zero point 3, not -128", *reject("LOGISTIC", [t()], t())),
    ("do not go together", *reject("ADD", [t(shape=(2, 3)), t(shape=(2, 4))], t())),
    ("activation TANH is not served", *reject("ADD", [t(), t()], t(), fused_activation_function="TANH")),
    ("too far apart", *reject("ADD", [t(quant=(1000.0, 0)), t()], t(quant=(1e-4, 0)))),
    ("activation RELU is not served", *reject("CONCATENATION", [t(), t()], t(shape=(4, 3)), fused_activation_function="RELU")),
    ("axis 2 is outside its 2 dimensions", *reject("CONCATENATION", [t(), t()], t(shape=(4, 3)), axis=2)),
    ("axis -3 is outside its 2 dimensions", *reject("CONCATENATION", [t(), t()], t(shape=(4, 3)), axis=-3)),
    ("do not go together", *reject("CONCATENATION", [t(), t(shape=(2, 4))], t(shape=(4, 3)), axis=0)),
    ("its inputs give [4, 3]", *reject("CONCATENATION", [t(), t()], t(shape=(5, 3)), axis=0)),
    ("must have the same scale and zero point", *reject("CONCATENATION", [t(), t(quant=(0.2, 3))], t(shape=(4, 3)), axis=0)),
    ("needs 1 to 10 inputs", *reject("CONCATENATION", [t() for _ in range(11)], t(shape=(22, 3)), axis=0)),
    ("float32 to int32 is not served", *reject("QUANTIZE", [t("float32")], t("int32"))),
    ("int32 to float32 is not served", *reject("DEQUANTIZE", [t("int32")], t("float32"))),
    ("float32 to int8 is not served", *reject("SOFTMAX", [t("float32")], t(quant=SOFTMAX_Q))),
    ("must have scale 0.00390625 and zero point -128", *reject("SOFTMAX", [t()], t())),
    ("is too small", *reject("SOFTMAX", [t(quant=(1e-9, 0))], t(quant=SOFTMAX_Q), beta=1.0)),
    ("axes must be constant integers", *reject("MEAN", [t(), t("int32", (1,))], t(shape=(3,)))),
    ("axes [2] are not all within its 2 dimensions", *reject("MEAN", [t(), ints(2)], t(shape=(3,)))),
    ("lie too far apart", *reject("MEAN", [t(shape=(2,) * 7), ints(0, 2, 4, 6)], t(shape=(2, 2, 2)))),
    ("its input has 6 dimensions; 1 to 5 are served", *reject("PAD", [t(shape=(1,) * 6), ints(*[0] * 12)], t(shape=(1,) * 6))),
    ("its paddings must be 2 pairs", *reject("PAD", [t(), ints(1, 1)], t(shape=(4, 3)))),
    ("its paddings must be 2 pairs", *reject("PAD", [t(), ints(-1, 0, 0, 0)], t(shape=(1, 3)))),
    ("paddings must be constant integers", *reject("PAD", [t(), t("int32", (2, 2))], t())),
    ("its value has shape [2]", *reject("PADV2", [t(), ints(0, 0, 0, 0), t(shape=(2,))], t())),
    (
        "must have the same scale and zero point",
        *reject("PADV2", [t(), ints(0, 0, 0, 0), const("v", np.array([1], np.int8), 0.7, 3)], t()),
    ),
    ("another type", *reject("RESHAPE", [t()], t("float32", (6,)))),
    ("its output has 5 elements, its input 6", *reject("RESHAPE", [t()], t(shape=(5,)))),
    ("the new shape is [2, 3]", *reject("RESHAPE", [t(), ints(2, 3)], t(shape=(6,)))),
    ("the new shape is [-1, -1]", *reject("RESHAPE", [t()], t(shape=(6, 1)), new_shape=[-1, -1])),
    ("each must be 1", *reject("SQUEEZE", [t(shape=(1, 6))], t(shape=(6,)), squeeze_dims=[1])),
    ("each must be 1", *reject("SQUEEZE", [t(shape=(1, 6))], t(shape=(6,)), squeeze_dims=[5])),
    ("its output has shape [1, 6], not [6]", *reject("SQUEEZE", [t(shape=(1, 6))], t(shape=(1, 6)))),
    (
        "its input has 6 dimensions; 1 to 5 are served",
        *reject("TRANSPOSE", [t(shape=(1,) * 6), ints(*range(6))], t(shape=(1,) * 6)),
    ),
    ("[0, 0] is not a permutation of its 2 dimensions", *reject("TRANSPOSE", [t(), ints(0, 0)], t())),
    ("permutation must be constant integers", *reject("TRANSPOSE", [t(), t("int32", (2,))], t(shape=(3, 2)))),
]


test_is_refused_with_its_name_and_the_rule = refusals(CASES)

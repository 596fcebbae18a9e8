"""What a converter or a model's author can put in the place of an operator that mcuml does not serve."""

# TFLite's builtin name -> what to do, in the imperative.
REWRITES = {
    "ATAN2": "compute the angle after the model",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use two UNIDIRECTIONAL_SEQUENCE_LSTM, one on REVERSE_V2 of the input, and CONCATENATION",
    "BIDIRECTIONAL_SEQUENCE_RNN": "use two UNIDIRECTIONAL_SEQUENCE_LSTM, one on REVERSE_V2 of the input",
    "CONV_3D": "fold one dimension into the channels and use CONV_2D",
    "GELU": "train with HARD_SWISH or RELU6, or write x * LOGISTIC(1.702 * x)",
    "LOCAL_RESPONSE_NORMALIZATION": "train with batch normalization, which folds into the convolution",
    "ONE_HOT": "use EQUAL with a constant 0, 1, 2, ... and CAST",
    "POW": "use SQUARE, or MUL of the tensor with itself",
    "RANGE": "use a constant",
    "RANK": "use a constant: every shape is known before the model runs",
    "REDUCE_ANY": "use REDUCE_MAX on a CAST of the tensor",
    "REDUCE_PROD": "use MUL on the parts that SPLIT gives",
    "RELU_N1_TO_1": "use MAXIMUM and MINIMUM with constants -1 and 1",
    "RELU_0_TO_1": "use MAXIMUM and MINIMUM with constants 0 and 1",
    "RNN": "use UNIDIRECTIONAL_SEQUENCE_LSTM",
    "SELECT": "convert with a newer TensorFlow, which writes SELECT_V2",
    "SIGN": "use GREATER and LESS with a constant 0, CAST and SUB",
    "TILE": "use BROADCAST_TO, or CONCATENATION of the tensor with itself",
    "TOPK_V2": "use ARG_MAX, or sort after the model",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "use UNIDIRECTIONAL_SEQUENCE_LSTM",
    "WHERE": "use SELECT_V2, whose output has a fixed shape",
}
FLEX = "convert without SELECT_TF_OPS (the Flex delegate): a microcontroller has no TensorFlow"


def rewrite_of(code: str, custom: str) -> str:
    """The closest rewrite of an operator ("" where there is none); `custom` is a custom operator's name."""
    return FLEX if custom.startswith("Flex") else REWRITES.get(code, "")

"""Facts of the TFLite schema (version 3) as data: operator names, tensor types, and where each option field lies."""

from __future__ import annotations

from typing import NamedTuple

IDENTIFIER = b"TFL3"  # at byte 4 of the file
VERSION = 3

# Builtin operator names; the place in the list is the code in the file.
_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS
SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG
ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST
BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS = tuple(_OPERATORS.split())

# Tensor types; the place in the list is the code in the file.
_TENSOR_TYPES = """
FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT UINT32 UINT16
INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
"""
TENSOR_TYPES = tuple(_TENSOR_TYPES.split())

# The types that mcuml takes, and numpy's name for each. INT4 is served for constants only (unpacked to int8 by the importer).
NUMPY_TYPES = {
    name: name.lower()
    for name in ("FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "BOOL", "INT16", "INT8", "UINT64", "UINT32", "UINT16")
} | {"RESOURCE": "int32"}  # a variable's handle; subgraphs.py resolves it

# Enumerations inside option tables; a field of that kind reads as the name at the index in the file.
ENUMS = {
    "activation": ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"),
    "padding": ("SAME", "VALID"),
    "weights_format": ("DEFAULT", "SHUFFLED4x16INT8"),
    "mirror_mode": ("REFLECT", "SYMMETRIC"),
    "dtype": TENSOR_TYPES,
}


class OptionField(NamedTuple):
    """One field of an options table: its place in the vtable, its kind ("i32", "i32[]", "bool", "f32", "str" or an ENUMS key)."""

    name: str
    slot: int
    kind: str
    default: int | float


# Option tables by their number in the BuiltinOptions union: "name:kind[=default]" in vtable order, "-" for a retired field.
_FIELDS = {
    1: (  # Conv2D
        "padding:padding stride_w:i32 stride_h:i32 fused_activation_function:activation dilation_w_factor:i32=1 "
        "dilation_h_factor:i32=1 quantized_bias_type:dtype"
    ),
    2: (  # DepthwiseConv2D
        "padding:padding stride_w:i32 stride_h:i32 depth_multiplier:i32 fused_activation_function:activation "
        "dilation_w_factor:i32=1 dilation_h_factor:i32=1"
    ),
    5: (  # Pool2D
        "padding:padding stride_w:i32 stride_h:i32 filter_width:i32 filter_height:i32 fused_activation_function:activation"
    ),
    6: "rank:i32 fused_activation_function:activation asymmetric_quantize_inputs:bool",  # SVDF
    8: (  # FullyConnected
        "fused_activation_function:activation weights_format:weights_format keep_num_dims:bool "
        "asymmetric_quantize_inputs:bool quantized_bias_type:dtype"
    ),
    9: "beta:f32",  # Softmax
    10: "axis:i32 fused_activation_function:activation",  # Concatenation
    11: "fused_activation_function:activation pot_scale_int16:bool=1",  # Add
    12: "fused_activation_function:activation",  # L2Norm
    15: "- - align_corners:bool half_pixel_centers:bool",  # ResizeBilinear
    17: "new_shape:i32[]",  # Reshape
    19: "block_size:i32",  # SpaceToDepth
    21: "fused_activation_function:activation",  # Mul
    23: "axis:i32 batch_dims:i32",  # Gather
    27: "keep_dims:bool",  # Reducer
    28: "fused_activation_function:activation pot_scale_int16:bool=1",  # Sub
    29: "fused_activation_function:activation",  # Div
    30: "squeeze_dims:i32[]",  # Squeeze
    32: "begin_mask:i32 end_mask:i32 ellipsis_mask:i32 new_axis_mask:i32 shrink_axis_mask:i32 offset:bool",  # StridedSlice
    35: "num_splits:i32",  # Split
    37: "in_data_type:dtype out_data_type:dtype",  # Cast
    40: "output_type:dtype",  # ArgMax
    49: "padding:padding stride_w:i32 stride_h:i32 fused_activation_function:activation quantized_bias_type:dtype",
    55: "out_type:dtype",  # Shape
    57: "output_type:dtype",  # ArgMin
    58: "min:f32 max:f32 num_bits:i32 narrow_range:bool",  # FakeQuant
    59: "values_count:i32 axis:i32",  # Pack
    64: "num:i32 axis:i32",  # Unpack
    71: (  # UnidirectionalSequenceLSTM
        "fused_activation_function:activation cell_clip:f32 proj_clip:f32 time_major:bool "
        "asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool"
    ),
    74: "align_corners:bool half_pixel_centers:bool",  # ResizeNearestNeighbor
    75: "alpha:f32",  # LeakyRelu
    77: "mode:mirror_mode",  # MirrorPad
    79: "num_splits:i32",  # SplitV
    92: "then_subgraph_index:i32 else_subgraph_index:i32",  # If
    93: "cond_subgraph_index:i32 body_subgraph_index:i32",  # While
    94: "block_size:i32",  # DepthToSpace
    101: "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool",  # BatchMatMul
    102: "exclusive:bool reverse:bool",  # Cumsum
    103: "init_subgraph_index:i32",  # CallOnce
    111: "container:str shared_name:str",  # VarHandle
}

# Which options table an operator uses, by its number in the union. Operators that are not here have no options to read.
OPTIONS_OF = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), 5),
    "SVDF": 6,
    "FULLY_CONNECTED": 8,
    "SOFTMAX": 9,
    "CONCATENATION": 10,
    "ADD": 11,
    "L2_NORMALIZATION": 12,
    "RESIZE_BILINEAR": 15,
    "RESHAPE": 17,
    "SPACE_TO_DEPTH": 19,
    "MUL": 21,
    "GATHER": 23,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"), 27),
    "SUB": 28,
    "DIV": 29,
    "SQUEEZE": 30,
    "STRIDED_SLICE": 32,
    "SPLIT": 35,
    "CAST": 37,
    "ARG_MAX": 40,
    "TRANSPOSE_CONV": 49,
    "SHAPE": 55,
    "ARG_MIN": 57,
    "FAKE_QUANT": 58,
    "PACK": 59,
    "UNPACK": 64,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 71,
    "RESIZE_NEAREST_NEIGHBOR": 74,
    "LEAKY_RELU": 75,
    "MIRROR_PAD": 77,
    "SPLIT_V": 79,
    "IF": 92,
    "WHILE": 93,
    "DEPTH_TO_SPACE": 94,
    "BATCH_MATMUL": 101,
    "CUMSUM": 102,
    "CALL_ONCE": 103,
    "VAR_HANDLE": 111,
}


def option_fields(table: int) -> tuple[OptionField, ...]:
    """The fields of options table `table` (its number in the BuiltinOptions union)."""
    found = []
    for slot, text in enumerate(_FIELDS[table].split()):
        if text == "-":
            continue
        name, _, rest = text.partition(":")
        kind, _, default = rest.partition("=")
        found.append(OptionField(name, slot, kind, int(default or 0)))
    return tuple(found)

"""What operators with weights and per-channel scales have in common: operands, checks, requantization constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuml import halves, lanes
from mcuml.geometry import Axis
from mcuml.graph import ABSENT, Constant, Graph, Kernel, Node, Tensor
from mcuml.numerics import activation_range, float_activation_range
from mcuml.ops import require, tensors

HYBRID = ("float32", "int8", "float32")  # input, weights, output of a dynamic-range layer
INT16X8 = ("int16", "int8", "int16")
BIAS = {"int8": ("int32",), "int16": ("int64", "int32"), "float32": ("float32",)}
ORDER = {"TRANSPOSE_CONV": (2, 1, 3)}  # the operands of input, weights and bias, where they are not the first three
MAX_WIDE = 1 << 47  # MultiplyByQuantizedMultiplier's limit for 64-bit sums


def weighted(node: Node, graph: Graph) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """(input, weights, bias or None, output) of an operator with weights. Raises ModelError when one is missing."""
    order = ORDER.get(node.code, (0, 1, 2))
    require(
        len(node.inputs) in (order[2], order[2] + 1) and len(node.outputs) == 1 and ABSENT not in node.inputs[: order[2]],
        node,
        graph,
        "it needs input, weights, an optional bias, and one output.",
    )
    inputs, outputs = tensors(node, graph)
    source, weights = inputs[order[0]], inputs[order[1]]
    assert source is not None and weights is not None
    return source, weights, inputs[order[2]] if len(inputs) > order[2] else None, outputs[0]


def check_weighted(
    node: Node, graph: Graph, axis: int, hybrid: bool = False, biases: Mapping[str, tuple[str, ...]] = BIAS
) -> None:
    """Types and quantization of an operator with weights whose output channels lie along weight dimension `axis`. `hybrid`:
    float activations with int8 weights are served too. `biases`: types of the bias by the input's type."""
    source, weights, bias, output = weighted(node, graph)
    kinds = (source.dtype, weights.dtype, output.dtype)
    require(
        kinds in (("int8",) * 3, ("float32",) * 3, INT16X8) or (hybrid and kinds == HYBRID),
        node,
        graph,
        f"types {kinds} are not served.",
        "Use int8 or float32 throughout, or int16 with int8 weights.",
    )
    require(weights.is_const, node, graph, "its weights must be constant.")
    channels = weights.shape[axis]
    if bias is not None:
        wanted = biases[source.dtype]
        require(
            bias.is_const and bias.dtype in wanted and bias.elements == channels,
            node,
            graph,
            f"its bias must be {channels} constant {' or '.join(wanted)} values.",
        )
    if kinds == HYBRID:
        quant = weights.quant
        count = 0 if quant is None else len(quant.scale)
        fits = quant is not None and not np.any(quant.zero_point) and (count == 1 or (count == channels and quant.axis == axis))
        rule = f"its int8 weights need one scale, or one for each of {channels} channels, and zero point 0."
        require(fits, node, graph, rule)
    elif source.dtype != "float32":
        quant = weights.quant
        require(source.scale > 0 and output.scale > 0, node, graph, "its input and output need a scale.")
        require(
            quant is not None and len(quant.scale) in (1, channels),
            node,
            graph,
            f"its weights need one scale, or one for each of {channels} channels.",
        )
        assert quant is not None
        require(not np.any(quant.zero_point), node, graph, "its weights must have zero point 0.")
        require(
            quant.per_tensor or quant.axis == axis,
            node,
            graph,
            f"its weights are quantized along dimension {quant.axis}, not {axis}.",
        )
        if source.dtype == "int16":
            symmetric = source.zero_point == output.zero_point == 0
            require(symmetric, node, graph, "its int16 input and output must have zero point 0.")


def channel_scales(source: Tensor, weights: Tensor, output: Tensor) -> list[float]:
    """Each output channel's real multiplier (PopulateConvolutionQuantizationParams): products of doubles."""
    assert weights.quant is not None
    channels = weights.shape[weights.quant.axis] if not weights.quant.per_tensor else 0
    scales = [float(s) for s in weights.quant.scale]
    return [source.scale * s / output.scale for s in (scales if channels else scales * output.shape[-1])]


def bias_f32(bias: Tensor | None, channels: int) -> Constant:
    return Constant("bias", np.zeros(channels, np.float32) if bias is None or bias.data is None else bias.data.reshape(-1))


def plain_table(scaling: lanes.Requantization) -> Constant:
    """int32 (N, 3): bias, multiplier, shift (> 0 is left), for the kernels that call requantize()."""
    return Constant("channels", np.stack([scaling.bias, scaling.multiplier, scaling.shift], 1).astype(np.int32))


def plain(
    node: Node, graph: Graph, matrix: np.ndarray, real: list[float], activation: str, int32_sums: bool = False
) -> tuple[dict[str, Any], tuple[Constant, ...]]:
    """What the kernels in plain C (partials/plain.c.j2) need for `matrix` (N, K), the weights by output channel, with the
    channels' real multipliers (unused for floats): (params, constants but the weights).

    int16 activations have 64-bit sums, or 32-bit ones where the bias is int32 or, without a bias, if `int32_sums`; 64-bit
    sums that fit 32 bits are added up as such. channels is then int32 (N, 4): the bias's low and high word, the multiplier
    reduced to 15 bits, the right shift (MultiplyByQuantizedMultiplier for int64, kernels/internal/common.cc)."""
    source, _, bias, output = weighted(node, graph)
    if source.dtype == "float32":
        low, high = float_activation_range(activation)
        kind = "f16" if halves.is_half(graph, matrix) else "f32"
        return {"kind": kind, "low": low, "high": high}, (bias_f32(bias, len(matrix)),)
    low_q, high_q = activation_range(activation, output)
    params = {"low": low_q, "high": high_q, "in_zero": source.zero_point, "out_zero": output.zero_point}
    scaling = lanes.requantization(None if bias is None else bias.data, real)
    if source.dtype == "int8" or (int32_sums if bias is None else bias.dtype == "int32"):
        return params | {"kind": "s8" if source.dtype == "int8" else "s16x32"}, (plain_table(scaling),)
    sums = np.abs(matrix.astype(np.int64)).sum(1) << 15
    fits = bool(np.all(sums + np.abs(scaling.bias) < MAX_WIDE) and np.all(scaling.shift < 8))
    require(fits, node, graph, "its bias or its scales are out of range.")
    reduced = np.where(scaling.multiplier < 0x7FFF0000, (scaling.multiplier + (1 << 15)) >> 16, 0x7FFF)
    words = np.stack([scaling.bias & 0xFFFFFFFF, scaling.bias >> 32, reduced, 15 - scaling.shift], 1)
    table = Constant("channels", words.astype(np.uint32).view(np.int32))
    return params | {"kind": "s16" if np.all(sums < 1 << 31) else "s16x64"}, (table,)


def stored(kind: str, weights: np.ndarray) -> Constant:
    """The weights of a kernel in plain C; "f16" as the bits of float16, which no C99 type holds."""
    return Constant("weights", halves.bits(weights) if kind == "f16" else np.ascontiguousarray(weights))


def is_hybrid(source: Tensor, weights: Tensor) -> bool:
    """Whether a layer's activations are float32 and its weights int8."""
    return (source.dtype, weights.dtype) == HYBRID[:2]


def hybrid_kernel(
    node: Node,
    graph: Graph,
    filters: np.ndarray,
    vertical: Axis,
    horizontal: Axis,
    activation: str,
    asymmetric: bool,
    batch: int = 1,
    groups: int = 1,
) -> Kernel:
    """The kernel of a dynamic-range layer with `filters` (N, KH, KW, C / groups), int8, `batch` times in a row. Each image's
    activations are quantized to -127..127, or, if `asymmetric`, from their least to their largest to -128..127.

    Formulas: SymmetricQuantizeFloats, AsymmetricQuantizeFloats (kernels/internal/reference/portable_tensor_utils.cc), EvalHybrid
    and EvalHybridPerChannel in tensorflow/lite/kernels/{conv,depthwise_conv,fully_connected}.cc."""
    _, weights, bias, _ = weighted(node, graph)
    assert weights.quant is not None
    low, high = float_activation_range(activation)
    channels, _, _, depth = filters.shape
    size = vertical.size * horizontal.size * depth * groups
    params = {
        "height": vertical, "width": horizontal, "in_channels": depth * groups, "out_channels": channels,
        "low": low, "high": high, "scale": weights.scale if weights.quant.per_tensor else 0.0, "asymmetric": asymmetric,
        "groups": groups, "batch": batch,
        "in_elements": size, "out_elements": vertical.out * horizontal.out * channels,
    }  # fmt: skip
    constants = [Constant("weights", np.ascontiguousarray(filters)), bias_f32(bias, channels)]
    if not weights.quant.per_tensor:
        constants.append(Constant("scales", weights.quant.scale))
    return Kernel("conv_2d_hybrid", params, tuple(constants), size, macs=batch * vertical.out * horizontal.out * filters.size)

"""What operators with weights and per-channel scales have in common: operands, checks, requantization constants."""

from __future__ import annotations

import numpy as np

from mcuml import lanes
from mcuml.graph import ABSENT, Constant, Graph, Node, Tensor
from mcuml.ops import require, tensors


def weighted(node: Node, graph: Graph) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """(input, weights, bias or None, output) of an operator with weights. Raises ModelError when one is missing."""
    require(
        len(node.inputs) in (2, 3) and len(node.outputs) == 1 and ABSENT not in node.inputs[:2],
        node,
        graph,
        "it needs input, weights, an optional bias, and one output.",
    )
    inputs, outputs = tensors(node, graph)
    assert inputs[0] is not None and inputs[1] is not None
    return inputs[0], inputs[1], inputs[2] if len(inputs) == 3 else None, outputs[0]


def check_weighted(node: Node, graph: Graph, axis: int) -> None:
    """Types and quantization of an operator with weights whose output channels lie along weight dimension `axis`."""
    source, weights, bias, output = weighted(node, graph)
    kinds = (source.dtype, weights.dtype, output.dtype)
    require(
        kinds in (("int8",) * 3, ("float32",) * 3),
        node,
        graph,
        f"types {kinds} are not served.",
        "Use int8 or float32 throughout.",
    )
    require(weights.is_const, node, graph, "its weights must be constant.")
    channels = weights.shape[axis]
    if bias is not None:
        wanted = "int32" if source.dtype == "int8" else "float32"
        require(
            bias.is_const and bias.dtype == wanted and bias.elements == channels,
            node,
            graph,
            f"its bias must be {channels} constant {wanted} values.",
        )
    if source.dtype == "int8":
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


def unroll_f32(depth: int) -> tuple[int, int]:
    """(elements per loop body, elements in all) for `depth` elements that are copied and can be padded: least cycles, 23
    per element and 9 per turn of the loop."""
    choices = [(23 * body * turns + 9 * turns, -body, body * turns) for body in range(1, 10) for turns in [-(-depth // body)]]
    _, body, taps = min(choices)
    return -body, taps


def pad_f32(weights: np.ndarray, taps: int) -> Constant:
    """float32 (at least 4, `taps`) of weights (N, K), filled up with zeros: the kernels take four channels at a time."""
    channels, depth = weights.shape
    padded = np.zeros((max(channels, 4), taps), np.float32)
    padded[:channels, :depth] = weights
    return Constant("weights", padded)

"""FULLY_CONNECTED: int8, int16 with int8 weights, float32, and float32 with int8 weights; any batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml import conv_s16, floats, halves, lanes, palette, sparse
from mcuml.elementwise import known_activation
from mcuml.geometry import Axis
from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.numerics import activation_range, float_activation_range
from mcuml.ops import Operator, require
from mcuml.weighted import (
    bias_f32,
    channel_scales,
    check_weighted,
    hybrid_kernel,
    is_hybrid,
    plain,
    stored,
    weighted,
)


@dataclass(frozen=True)
class FullyConnected(Operator):
    """Input of any shape holding B x K elements, weights (N, K), bias (N,) or absent, output of B x N elements."""

    activation: str
    weights_format: str
    int32_sums: bool  # of int16 activations without a bias
    asymmetric: bool  # quantization of float activations for int8 weights

    CODES: ClassVar[tuple[str, ...]] = ("FULLY_CONNECTED",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> FullyConnected:
        int32_sums = options["quantized_bias_type"] == "INT32"
        return cls(
            options["fused_activation_function"], options["weights_format"], int32_sums, options["asymmetric_quantize_inputs"]
        )

    def check(self, node: Node, graph: Graph) -> None:
        source, weights, _, output = weighted(node, graph)
        require(self.weights_format == "DEFAULT", node, graph, f"weights format {self.weights_format} is not served.")
        require(len(weights.shape) == 2, node, graph, "its weights must have two dimensions.")
        rows, depth = weights.shape
        require(source.elements % depth == 0, node, graph, f"its input's {source.elements} elements are no multiple of {depth}.")
        require(
            output.shape[-1:] == (rows,) and output.elements == source.elements // depth * rows,
            node,
            graph,
            "its output's shape does not follow.",
        )
        known_activation(node, graph, self.activation)
        check_weighted(node, graph, axis=0, hybrid=True)

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, weights, _, _ = weighted(node, graph)
        rows, depth = weights.shape
        assert weights.data is not None
        if is_hybrid(source, weights):
            pixel = Axis(1, 1, 1, 1, 1, 0)
            filters = weights.data.reshape(rows, 1, 1, depth)
            return hybrid_kernel(node, graph, filters, pixel, pixel, self.activation, self.asymmetric, source.elements // depth)
        return dense(node, graph, weights.data, self.activation, self.int32_sums)

    def candidates(self, node: Node, graph: Graph) -> tuple[Kernel, ...]:
        usual = self.lower(node, graph)
        real = multipliers(node, graph)
        return usual, *sparse.dense(node, graph, usual, real), *palette.dense(node, graph, usual, real)


def multipliers(node: Node, graph: Graph) -> list[float]:
    """Each row's real multiplier, none of float activations. GetQuantizedConvolutionMultipler: the product of the input's and of
    the weights' scale is a float where that is one for all, unlike a convolution's."""
    source, weights, _, output = weighted(node, graph)
    if source.dtype == "float32":
        return []
    if weights.quant is not None and weights.quant.per_tensor:
        return [float(np.float32(source.scale) * np.float32(weights.scale)) / output.scale] * output.shape[-1]
    return channel_scales(source, weights, output)


def dense(node: Node, graph: Graph, matrix: np.ndarray, activation: str, int32_sums: bool = False) -> Kernel:
    """The kernel that multiplies `matrix` (N, K) with each K elements of the node's input; scales and bias are its own."""
    source, _, bias, output = weighted(node, graph)
    rows, depth = matrix.shape
    params: dict[str, Any] = {"batch": source.elements // depth, "depth": depth, "rows": rows}
    macs = source.elements // depth * matrix.size
    if source.dtype == "float32":
        low, high = float_activation_range(activation)
        if depth > 1 and halves.is_half(graph, matrix):
            return halves.dense(params | {"low": low, "high": high}, matrix, bias_f32(bias, rows), macs)
        return floats.dense(params, matrix, (low, high), bias_f32(bias, rows), macs)
    real = multipliers(node, graph)
    if source.dtype == "int8":
        scaling = lanes.requantization(None if bias is None else bias.data, real)
        reach = lanes.reach(source.zero_point)
        table = lanes.channel_table(matrix, scaling, reach, output.zero_point)
        unrolled = lanes.unroll_exactly(depth)
        packed = lanes.pack(lanes.widened(matrix), depth // 2) if unrolled else None
        if table is not None and unrolled is not None and packed is not None:
            low_q, high_q = activation_range(activation, output)
            params |= {"low": low_q, "high": high_q, "in_zero": source.zero_point, "out_zero": output.zero_point}
            constants = (Constant("weights", packed), Constant("channels", table[lanes.table_order(rows)]))
            chunk = lanes.CHUNK // unrolled if lanes.wide(matrix, reach) else 0  # turns
            turns, chunks = depth // (2 * unrolled), -(-depth // (2 * unrolled * chunk)) if chunk else 0
            group = turns * (5 + 10 * unrolled) + 22 * chunks + 80 + 28 * ((low_q, high_q) != (-128, 127))
            cycles = params["batch"] * (60 + -(-rows // lanes.GROUP) * group)  # as counted for a Cortex-M4
            params |= {"body": unrolled, "chunk": chunk}
            return Kernel("fully_connected_s8", params, constants, macs=macs, cycles=cycles)
    more, channel_constants = plain(node, graph, matrix, real, activation, int32_sums)
    batch = Axis(params["batch"], params["batch"], 1, 1, 1, 0)
    filters = matrix.reshape(rows, 1, 1, depth)
    wide = conv_s16.convolution(node, graph, filters, (batch, conv_s16.POINT), more, channel_constants[0])
    if wide is not None:
        return wide
    return Kernel("fully_connected", params | more, (stored(more["kind"], matrix), *channel_constants), macs=macs)

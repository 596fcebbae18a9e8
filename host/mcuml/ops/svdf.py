"""SVDF: int8 with int8 or int16 state, and float32; its state is a variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mcuml.graph import Constant, Graph, Kernel, Node
from mcuml.numerics import open_activation_range, quantize_multiplier
from mcuml.ops import Operator, require

KINDS: dict[tuple[str, ...], str] = {  # types of input, feature weights, time weights, bias, state, output
    ("int8", "int8", "int16", "int32", "int16", "int8"): "s16",
    ("int8", "int8", "int8", "int32", "int8", "int8"): "s8",
    ("float32",) * 6: "f32",
}
CLOSE = 1e-5  # of the bias's scale to the product that it stands for


@dataclass(frozen=True)
class Svdf(Operator):
    """Input (B, K), feature weights (R * U, K), time weights (R * U, M), bias (U,), state (B, R * U * M), output (B, U).

    Formulas: tensorflow/lite/micro/kernels/svdf_common.cc. Its integer kernels leave out the activation."""

    rank: int
    activation: str

    CODES: ClassVar[tuple[str, ...]] = ("SVDF",)

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Svdf:
        return cls(options["rank"], options["fused_activation_function"])

    def check(self, node: Node, graph: Graph) -> None:
        complete = len(node.inputs) == 5 and len(node.outputs) == 1 and min(node.inputs) >= 0
        require(complete, node, graph, "it needs input, two weights, bias, state and one output.")
        tensors = [graph.tensors[t] for t in (*node.inputs, *node.outputs)]
        source, features, times, bias, state, output = tensors
        kinds = tuple(t.dtype for t in tensors)
        require(kinds in KINDS, node, graph, f"types {kinds} are not served.")
        require(all(t.is_const for t in (features, times, bias)), node, graph, "its weights and its bias must be constant.")
        require(state.variable, node, graph, "its state must be a variable.")
        require(self.rank >= 1 and features.shape[0] % self.rank == 0, node, graph, f"its rank {self.rank} does not fit.")
        flat = all(len(t.shape) == 2 for t in (source, features, times, output, state))
        require(flat, node, graph, "its tensors but the bias must have two dimensions.")
        filters, units, batch, memory = features.shape[0], features.shape[0] // self.rank, source.shape[0], times.shape[1]
        shapes = tuple(t.shape for t in tensors)
        wanted = (
            source.shape,
            (filters, source.shape[1]),
            (filters, memory),
            (units,),
            (batch, memory * filters),
            (batch, units),
        )
        require(shapes == wanted, node, graph, "its tensors' shapes do not go together.")
        if source.dtype == "int8":
            require(all(t.scale > 0 for t in tensors), node, graph, "its tensors need a scale.")
            require(features.zero_point == times.zero_point == 0, node, graph, "its weights must have zero point 0.")
            near = abs(bias.scale - float(np.float32(state.scale) * np.float32(times.scale))) < CLOSE
            require(near, node, graph, "its bias's scale is not that of state times weights.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        source, features, times, bias, state, output = (graph.tensors[t] for t in (*node.inputs, *node.outputs))
        params: dict[str, Any] = {
            "kind": KINDS[tuple(graph.tensors[t].dtype for t in (*node.inputs, *node.outputs))], "batch": source.shape[0],
            "inputs": source.shape[1], "units": output.shape[1], "rank": self.rank, "memory": times.shape[1],
        }  # fmt: skip
        if source.dtype == "float32":
            params["activation"] = self.activation
            if self.activation in ("RELU6", "RELU_N1_TO_1"):
                params["low"], params["high"] = open_activation_range(self.activation)
        else:
            scales = [np.float32(t.scale) for t in (source, features, times, state, output)]
            first = quantize_multiplier(float(scales[0] * scales[1] / scales[3]))
            second = quantize_multiplier(float(scales[3] * scales[2] / scales[4]))
            zeros = (source.zero_point, state.zero_point, output.zero_point)
            params |= {"scales": (*first, *second), "zeros": zeros}
        constants = tuple(
            Constant(role, np.ascontiguousarray(t.data))
            for role, t in (("features", features), ("times", times), ("bias", bias))
            if t.data is not None
        )
        return Kernel("svdf", params, constants, macs=source.shape[0] * (features.elements + times.elements))

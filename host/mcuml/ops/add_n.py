"""ADD_N: the sum of two or more tensors of one shape, int8 or float32.

Constants: tensorflow/lite/micro/kernels/add_n.cc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mcuml.elementwise import operand_constants, operands, per_tensor, same_quantization, same_type, shaped
from mcuml.graph import Graph, Kernel, Node, Overlap, Tensor
from mcuml.numerics import quantize_multiplier
from mcuml.ops import Operator, require

MOST = 64  # inputs; a table of pointers to them lies on the stack


@dataclass(frozen=True)
class AddN(Operator):
    """Inputs and output of one type and shape; int8 inputs share one scale and zero point."""

    CODES: ClassVar[tuple[str, ...]] = ("ADD_N",)

    def check(self, node: Node, graph: Graph) -> None:
        inputs, output = operands(node, graph, 2, MOST)
        dtype = same_type(node, graph, [*inputs, output], ("int8", "float32"))
        for tensor in inputs:
            shaped(node, graph, output, tensor.shape)
        if dtype == "int8":
            per_tensor(node, graph, [*inputs, output])
            for tensor in inputs[1:]:
                same_quantization(node, graph, inputs[0], tensor)
            near = _real(inputs[0], output) < 1
            require(near, node, graph, "the scales of its inputs and its output are too far apart.", "Train or quantize again.")

    def lower(self, node: Node, graph: Graph) -> Kernel:
        inputs, output = [graph.tensors[t] for t in node.inputs], graph.tensors[node.outputs[0]]
        numbers: tuple[int, ...] = ()
        if output.dtype == "int8":
            # TFLM's sum starts at minus the zero point, not at 0.
            start = -(len(inputs) + 1) * inputs[0].zero_point
            numbers = (start, *quantize_multiplier(_real(inputs[0], output)), output.zero_point)
        overlaps = tuple(Overlap(i, 0) for i, t in enumerate(inputs) if not t.is_const)
        params = {"dtype": output.dtype, "elements": output.elements, "numbers": numbers}
        return Kernel("add_n", params, operand_constants(node, graph), overlaps=overlaps)


def _real(source: Tensor, output: Tensor) -> float:
    return 2 * source.scale / ((1 << 20) * output.scale)

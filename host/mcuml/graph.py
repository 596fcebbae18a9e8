"""The graph as a value: frozen Tensor, Node, Kernel and Graph; verify() and a text dump."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from mcuml.errors import ModelError

ABSENT = -1  # an optional input that a node leaves out
OPENERS = ("IF", "WHILE", "CALL_ONCE")  # the marks of control flow that open a block; "IF:else", "IF:end" and so on go on with it


@dataclass(frozen=True, eq=False)
class Quantization:
    """Affine quantization, real = scale * (q - zero_point). `scale` float32 (n,), `zero_point` int64 (n,);
    n is 1 (per tensor) or the size of dimension `axis` (per channel)."""

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        return len(self.scale) == 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `dtype` is numpy's name; `data` holds a constant's values (in `shape`), None for an activation. A
    `variable` keeps its bytes from one invocation to the next; operators read it as an input and may write it in place.
    model_init sets every byte of it to its zero point's low byte, as TFLite Micro does. `kept`: which channels (last
    dimension) of the file's tensor are left, where a pass dropped some."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    quant: Quantization | None = None
    data: np.ndarray | None = None
    variable: bool = False
    kept: np.ndarray | None = None

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * np.dtype(self.dtype).itemsize

    @property
    def is_const(self) -> bool:
        return self.data is not None

    @property
    def scale(self) -> float:
        """The per-tensor scale. Raises ModelError when the tensor is not quantized per tensor."""
        return float(self._per_tensor().scale[0])

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point. Raises ModelError when the tensor is not quantized per tensor."""
        return int(self._per_tensor().zero_point[0])

    def _per_tensor(self) -> Quantization:
        if self.quant is None or not self.quant.per_tensor:
            raise ModelError(
                f"Tensor '{self.name}' ({self.dtype}) needs one scale and one zero point.",
                "It has none." if self.quant is None else f"It has {len(self.quant.scale)} scales.",
                "Convert the model again with full integer quantization.",
            )
        return self.quant


@dataclass(frozen=True, eq=False)
class Constant:
    """Bytes a kernel keeps in flash: `role` names it inside its layer ("weights", "bias"), `data` in C order."""

    role: str
    data: np.ndarray


@dataclass(frozen=True, eq=False)
class Overlap:
    """Permission for an output to share memory with an input that dies at the node: safe when
    offset(input) - offset(output) >= distance (bytes), or, if `exact`, only when it equals distance.
    Positions count in Node.inputs and Node.outputs."""

    input: int
    output: int
    distance: int = 0
    exact: bool = False


@dataclass(frozen=True, eq=False)
class Kernel:
    """How a node is computed: the template in templates/kernels, its compile-time parameters, its constants, the
    scratch bytes it borrows from the arena while it runs, and where its output may overlap a dying input.
    `cycles` is its author's estimate for a Cortex-M4 with zero-wait memory, 0 where there is none. `packed` says that its weights
    lie in flash in a smaller form than it computes with, `view` that the output is the input's bytes: no code, one buffer."""

    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[Constant, ...] = ()
    scratch: int = 0
    overlaps: tuple[Overlap, ...] = ()
    macs: int = 0
    cycles: int = 0
    packed: bool = False
    view: bool = False

    @property
    def constant_bytes(self) -> int:
        return sum(constant.data.nbytes for constant in self.constants)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: `code` is TFLite's builtin name, `attrs` the typed attributes from ops/, `index` its place in the
    file, `candidates` the kernels that ops.lower() found and `kernel` one of them (none before). `first`: the node whose state
    it shares, where not its own."""

    code: str
    attrs: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    index: int
    kernel: Kernel | None = None
    candidates: tuple[Kernel, ...] = ()
    first: int | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """Tensors, nodes in an executable order, and which tensors come in and go out. `sha256`, `file_bytes` and `scheme`
    (int8, int16x8, float32, float16 or dynamic) are the model file's; `dropped_macs` those of its multiply-accumulates that
    a pass found needless."""

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sha256: str = ""
    file_bytes: int = 0
    scheme: str = ""
    dropped_macs: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference as the model file has it."""
        return self.dropped_macs + sum(node.kernel.macs for node in self.nodes if node.kernel)


def is_mark(code: str) -> bool:
    """Whether a node of that code is a mark of control flow, such as "IF" and "IF:else"."""
    return code.partition(":")[0] in OPENERS


def read_once(graph: Graph) -> set[int]:
    """The tensors that one operand of one node reads, and that are no output of the graph."""
    readers = Counter(t for node in graph.nodes for t in node.inputs)
    return {t for t, count in readers.items() if count == 1} - set(graph.outputs)


def shown(node: Node) -> int:
    """The tensor that stands for a node in lists: its first output; for a node that only has an effect, its first input."""
    return (node.outputs or node.inputs)[0]


def describe(node: Node, graph: Graph) -> str:
    """ "CONV_2D (operator 3, output 'conv/Relu')": how messages name a node."""
    outputs = ", ".join(f"'{graph.tensors[t].name}'" for t in node.outputs)
    return f"{node.code} (operator {node.index}, output {outputs})"


def verify(graph: Graph, after: str) -> Graph:
    """Check the rules that every stage relies on and return the graph. `after` names the stage that made it.

    Rules: indices in range; shapes positive; constants agree with their shape and dtype; each tensor written once and
    before it is read; inputs are not written; outputs are available. Raises ModelError naming rule, node and stage."""

    def fail(rule: str) -> None:
        raise ModelError(
            f"The graph is not legal after {after}: {rule}", "", "The model file is damaged, or this is a bug in that stage."
        )

    count = len(graph.tensors)
    for number, tensor in enumerate(graph.tensors):
        if any(d < 1 for d in tensor.shape):
            fail(f"tensor {number} '{tensor.name}' has shape {list(tensor.shape)}; every dimension must be at least 1.")
        if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype != np.dtype(tensor.dtype)):
            fail(
                f"constant '{tensor.name}' holds {tensor.data.dtype}{list(tensor.data.shape)}, "
                f"not {tensor.dtype}{list(tensor.shape)}."
            )
    if not graph.inputs or not graph.outputs:
        fail("it has no input or no output.")
    for t in graph.inputs + graph.outputs:
        if not 0 <= t < count:
            fail(f"an input or output names tensor {t} of {count}.")
        if graph.tensors[t].variable:
            fail(f"'{graph.tensors[t].name}' is a variable and an input or output of the model.")
    ready = {i for i, t in enumerate(graph.tensors) if t.is_const or t.variable} | set(graph.inputs)
    for node in graph.nodes:
        if any(not 0 <= t < count for t in node.outputs) or any(not ABSENT <= t < count for t in node.inputs):
            fail(f"{node.code} (operator {node.index}) names a tensor outside 0..{count - 1}.")
        for t in node.inputs:
            if t != ABSENT and t not in ready:
                fail(
                    f"{describe(node, graph)} reads '{graph.tensors[t].name}' before anything wrote it "
                    "(a cycle, or a wrong order)."
                )
        for t in node.outputs:
            if t in ready:
                fail(
                    f"{describe(node, graph)} writes '{graph.tensors[t].name}', "
                    "which is a constant, an input, a variable or already written."
                )
            ready.add(t)
    for t in graph.outputs:
        if t not in ready:
            fail(f"output '{graph.tensors[t].name}' is never written.")
    return graph


def dump(graph: Graph) -> str:
    """One line per node: index, operator, inputs and outputs with dtype and shape."""

    def tensor(t: int) -> str:
        return "-" if t == ABSENT else f"{graph.tensors[t].name}:{graph.tensors[t].dtype}{list(graph.tensors[t].shape)}"

    return "\n".join(
        f"{n.index:3d} {n.code} ({', '.join(map(tensor, n.inputs))}) -> {', '.join(map(tensor, n.outputs))}" for n in graph.nodes
    )

"""What TFLite Micro's custom operators for signals (signal/micro/kernels) have in common: options in a flexbuffer, and
operands of fixed types and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcuml import flexbuf
from mcuml.graph import ABSENT, Graph, Node, Tensor
from mcuml.ops import Operator, require

Operand = tuple[str | tuple[str, ...], int | None]  # (its type, or one of them; its rank, None for any from 1)


@dataclass(frozen=True)
class Signal(Operator):
    """`options`: whole numbers by name. A derived class says which ones there must be, and the operands."""

    options: Mapping[str, int]

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    INPUTS: ClassVar[tuple[Operand, ...]] = ()
    OUTPUTS: ClassVar[tuple[Operand, ...]] = ()

    @classmethod
    def parse(cls, code: str, options: Mapping[str, Any]) -> Signal:
        found = flexbuf.read(options["custom_options"])
        return cls({name: int(value) for name, value in found.items() if isinstance(value, int)})

    def check(self, node: Node, graph: Graph) -> None:
        # TFLite Micro reads its options by their place among the sorted names, so another name would shift them.
        given = tuple(sorted(self.options))
        require(not self.OPTIONS or given == self.OPTIONS, node, graph, f"its options are {given}, not {self.OPTIONS}.")
        small = all(-(1 << 31) <= value < 1 << 31 for value in self.options.values())
        require(small, node, graph, "an option has more than 32 bits.")
        for tensors, operands, what in ((node.inputs, self.INPUTS, "input"), (node.outputs, self.OUTPUTS, "output")):
            right = len(tensors) == len(operands) and ABSENT not in tensors
            require(right, node, graph, f"it needs {len(operands)} {what}s.")
            for t, (types, rank) in zip(tensors, operands, strict=True):
                held = graph.tensors[t]
                fits = held.dtype in ((types,) if isinstance(types, str) else types)
                fits = fits and (len(held.shape) >= 1 if rank is None else len(held.shape) == rank)
                need = f"{types if isinstance(types, str) else ' or '.join(types)}"
                need += f" of rank {'1 or more' if rank is None else rank}"
                require(fits, node, graph, f"its {what} '{held.name}' must be {need}.")
        self.rules(node, graph, [graph.tensors[t] for t in node.inputs], [graph.tensors[t] for t in node.outputs])

    def rules(self, node: Node, graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """What must hold besides, with require()."""
        raise NotImplementedError(type(self).__name__)

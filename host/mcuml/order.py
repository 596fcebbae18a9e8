"""The order of the nodes: where branches allow several, one that keeps fewer bytes alive at once.

After Ahn et al., "Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired Neural Networks for Edge Devices", 2020: orders
that have run the same nodes are one state, of which the best is kept; here in a beam rather than all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from mcuml.graph import ABSENT, Graph, Node, is_mark
from mcuml.plan import Plan, plan

BEAM = 64  # partial orders kept per step; the networks measured need fewer than ten
WORK = 100_000  # steps tried in all, about half a second: very wide graphs get a narrower beam


@dataclass(frozen=True)
class _Partial:
    """An order so far: `done` as bits, the most and the present bytes alive, the nodes in turn."""

    peak: int
    alive: int
    done: int
    nodes: tuple[int, ...]


def planned(graph: Graph) -> Plan:
    """The plan of `graph` in the file's order, or in a better one if that needs a smaller arena."""
    asked, other = plan(graph), reordered(graph)
    return asked if other is graph else min(asked, plan(other), key=lambda p: p.arena_bytes)


def reordered(graph: Graph) -> Graph:
    """`graph` with its nodes in the order of least peak among those that a beam search finds, by what the tensors, the
    scratch and the in-place permissions of each node say; the same graph where the file's is as good. A graph with state or
    with control flow, whose nodes act on more than their tensors, is left alone."""
    if any(not n.outputs or is_mark(n.code) for n in graph.nodes) or any(t.variable for t in graph.tensors):
        return graph
    search = _Search(graph)
    order = search.run()
    return graph if order is None else replace(graph, nodes=tuple(graph.nodes[n] for n in order))


class _Search:
    def __init__(self, graph: Graph):
        self.nodes = graph.nodes
        self.root = self._roots(graph)
        self.writer = {self.root[t]: ABSENT for t in graph.inputs}
        self.needs = [0] * len(graph.nodes)  # the nodes that must run before, as bits
        written = {t: n for n, node in enumerate(graph.nodes) for t in node.outputs}
        self.readers = dict.fromkeys(self.root.values(), 0)
        for n, node in enumerate(graph.nodes):
            for t in node.outputs:
                self.writer.setdefault(self.root[t], n)
            for t in self._read(node):
                self.readers[self.root[t]] |= 1 << n
                if t in written:
                    self.needs[n] |= 1 << written[t]
        self.size = dict.fromkeys(self.root.values(), 0)
        for t, root in self.root.items():
            self.size[root] = max(self.size[root], graph.tensors[t].bytes)
        self.stays = {self.root[t] for t in graph.outputs if t in self.root}
        self.first = sum(self.size[root] for root in {self.root[t] for t in graph.inputs})

    def run(self) -> list[int] | None:
        """The best order, or None when the file's is as good."""
        beam = [self._start()]
        left = WORK
        for n in range(len(self.nodes)):
            beam = beam[: max(1, left // max(1, (len(self.nodes) - n) * len(list(self._ready(beam[0].done)))))]
            found: dict[int, _Partial] = {}
            for partial in beam:
                for ready in self._ready(partial.done):
                    left -= 1
                    new = self._step(partial, ready)
                    known = found.get(new.done)
                    if known is None or (new.peak, new.nodes) < (known.peak, known.nodes):
                        found[new.done] = new
            beam = sorted(found.values(), key=lambda p: (p.peak, p.alive, p.nodes))[:BEAM]
        return list(beam[0].nodes) if beam[0].peak < self.peak() else None

    def peak(self) -> int:
        """The most bytes alive at once in the file's order."""
        return reduce(self._step, range(len(self.nodes)), self._start()).peak

    def _start(self) -> _Partial:
        return _Partial(self.first, self.first, 0, ())

    def _ready(self, done: int) -> Iterable[int]:
        return (n for n, needs in enumerate(self.needs) if not done >> n & 1 and needs & done == needs)

    def _step(self, partial: _Partial, n: int) -> _Partial:
        node, done = self.nodes[n], partial.done | 1 << n
        made = sum(self.size[r] for r in {self.root[t] for t in node.outputs} if self.writer[r] == n)
        dying = {self.root[t] for t in (*self._read(node), *node.outputs)} - self.stays
        dying = {r for r in dying if self.readers[r] & done == self.readers[r]}
        most = partial.alive + made + (node.kernel.scratch if node.kernel else 0) - self._shared(node, dying)
        alive = partial.alive + made - sum(self.size[r] for r in dying)
        return _Partial(max(partial.peak, most), alive, done, (*partial.nodes, n))

    def _shared(self, node: Node, dying: set[int]) -> int:
        """Bytes that the node's output and a dying input can have in common."""
        shared = 0
        for overlap in node.kernel.overlaps if node.kernel else ():
            source, target = self.root.get(node.inputs[overlap.input]), self.root[node.outputs[overlap.output]]
            if source in dying and source != target:
                apart = self.size[source] + self.size[target]
                shared = max(shared, apart - max(self.size[source] + max(overlap.distance, 0), self.size[target]))
        return shared

    def _read(self, node: Node) -> list[int]:
        return [t for t in node.inputs if t != ABSENT and t in self.root]

    @staticmethod
    def _roots(graph: Graph) -> dict[int, int]:
        """Activation -> the tensor whose bytes it has: itself, but for views."""
        root = {t: t for t in (*graph.inputs, *(t for node in graph.nodes for t in node.outputs))}
        for node in graph.nodes:
            if node.kernel and node.kernel.view:
                root[node.outputs[0]] = root[node.inputs[0]]
        return root

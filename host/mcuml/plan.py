"""Graph with kernels -> Plan: lifetimes and arena offsets, in bytes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mcuml.graph import ABSENT, Graph, Overlap

ARENA_ALIGN = 16
ALIGN = 4  # kernels read and write words; int64 tensors are aligned to 8
SEARCH_ROUNDS = 400  # improvements after the greedy orders; a few hundred reach the bound on the models measured
INPUT = -1  # the position at which the caller has written the inputs


@dataclass(frozen=True)
class Buffer:
    """Memory for one tensor, for tensors that are views of each other, or for one node's scratch.

    Alive at every position from `birth` to `death`, both included; the graph's outputs stay alive to the end, variables
    always are."""

    size: int
    birth: int
    death: int
    tensors: tuple[int, ...] = ()
    scratch_of: int = ABSENT
    align: int = ALIGN


@dataclass(frozen=True)
class Plan:
    """Where everything lies in the arena. `offsets[t]` is tensor t's byte offset (None for constants), `scratch[n]` the
    offset of node n's scratch (None where it has none), `live_bytes[n]` the bytes alive while node n runs. `objective`: what
    the kernels were chosen by (see schedule.py)."""

    graph: Graph
    offsets: tuple[int | None, ...]
    scratch: tuple[int | None, ...]
    arena_bytes: int
    live_bytes: tuple[int, ...]
    bound_bytes: int
    objective: str = ""

    @property
    def peak_node(self) -> int:
        """Position of the node at which most bytes are alive."""
        return max(range(len(self.live_bytes)), key=self.live_bytes.__getitem__, default=0)


def plan(graph: Graph) -> Plan:
    """Place every activation and scratch buffer of a lowered graph; deterministic.

    First-fit under pairwise constraints, tried in several greedy orders and then in seeded random neighbours of the
    best one, until the lower bound is met or SEARCH_ROUNDS is used up."""
    buffers = _buffers(graph)
    allowed = _overlaps(graph, buffers)
    conflicts = _conflicts(buffers, allowed)
    bound = max(_bounds(graph, buffers, allowed))
    best, placed = _search(buffers, conflicts, bound)
    offsets: list[int | None] = [None] * len(graph.tensors)
    scratch: list[int | None] = [None] * len(graph.nodes)
    for buffer, offset in zip(buffers, placed, strict=True):
        for t in buffer.tensors:
            offsets[t] = offset
        if buffer.scratch_of != ABSENT:
            scratch[buffer.scratch_of] = offset
    live = tuple(
        _occupied((o, o + b.size) for b, o in zip(buffers, placed, strict=True) if b.birth <= n <= b.death)
        for n in range(len(graph.nodes))
    )
    return Plan(graph, tuple(offsets), tuple(scratch), _round_up(best, ARENA_ALIGN), live, bound)


def _occupied(spans: Iterable[tuple[int, int]]) -> int:
    """Bytes that at least one of `spans` (first, end) covers."""
    total = reached = 0
    for first, end in sorted(spans):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _buffers(graph: Graph) -> list[Buffer]:
    """One buffer per group of tensors that share their bytes, with its lifetime, and one per scratch."""
    group = list(range(len(graph.tensors)))

    def find(t: int) -> int:
        while group[t] != t:
            t = group[t]
        return t

    birth = dict.fromkeys(graph.inputs, INPUT)
    death = dict.fromkeys(graph.inputs, INPUT)
    for n, node in enumerate(graph.nodes):
        for t in node.inputs:
            if t != ABSENT and not graph.tensors[t].is_const:
                death[t] = n
        for t in node.outputs:
            birth[t] = death[t] = n
        if node.kernel and node.kernel.view:
            group[find(node.outputs[0])] = find(node.inputs[0])
    for t in death:
        if graph.tensors[t].variable:
            birth[t] = INPUT
    for t in {*graph.outputs, *(t for t in death if graph.tensors[t].variable)}:
        if not graph.tensors[t].is_const:
            death[t] = len(graph.nodes)
    members: dict[int, list[int]] = {}
    for t in birth:
        members.setdefault(find(t), []).append(t)
    buffers = []
    for ts in members.values():
        held = [graph.tensors[t] for t in ts]
        align = max(ALIGN, *(np.dtype(t.dtype).itemsize for t in held))
        ends = min(birth[t] for t in ts), max(death[t] for t in ts)
        buffers.append(Buffer(max(t.bytes for t in held), *ends, tuple(ts), align=align))
    for n, node in enumerate(graph.nodes):
        if node.kernel and node.kernel.scratch:
            buffers.append(Buffer(node.kernel.scratch, n, n, scratch_of=n))
    return buffers


Allowed = dict[tuple[int, int], Overlap]


def _overlaps(graph: Graph, buffers: list[Buffer]) -> Allowed:
    """(input buffer, output buffer) -> the permission, where a kernel gives one and the input dies there. An input that
    the node also reads through another operand without permission stays apart."""
    of = {t: i for i, b in enumerate(buffers) for t in b.tensors}
    allowed: Allowed = {}
    for n, node in enumerate(graph.nodes):
        permitted: dict[tuple[int, int], list[Overlap]] = {}
        for overlap in node.kernel.overlaps if node.kernel else ():
            source, target = node.inputs[overlap.input], of[node.outputs[overlap.output]]
            if source in of and buffers[of[source]].death == n and buffers[target].birth == n:
                permitted.setdefault((of[source], target), []).append(overlap)
        for (source, target), given in permitted.items():
            exact = {o.distance for o in given if o.exact}
            most = max(o.distance for o in given)
            if len(given) == sum(of.get(t) == source for t in node.inputs) and exact <= {most}:
                allowed[source, target] = Overlap(0, 0, most, bool(exact))
    return allowed


def _conflicts(buffers: list[Buffer], allowed: Allowed) -> list[list[tuple[int, int, int]]]:
    """For each buffer b, (a, low, high): offset(b) - offset(a) must not lie strictly between low and high."""
    out: list[list[tuple[int, int, int]]] = [[] for _ in buffers]
    for i, b in enumerate(buffers):
        for j, a in enumerate(buffers):
            if i == j or b.birth > a.death or a.birth > b.death:
                continue
            low, high = -b.size, a.size
            if overlap := allowed.get((j, i)):  # a is the dying input, b the output
                if overlap.exact and low < -overlap.distance < high:
                    out[i].append((j, low, -overlap.distance))
                low = max(low, -overlap.distance)
            if overlap := allowed.get((i, j)):
                if overlap.exact and low < overlap.distance < high:
                    out[i].append((j, overlap.distance, high))
                high = min(high, overlap.distance)
            if low < high:
                out[i].append((j, low, high))
    return out


def _place(order: Iterable[int], buffers: list[Buffer], conflicts: list[list[tuple[int, int, int]]]) -> tuple[int, list[int]]:
    """First fit in the given order: (bytes used, offset of each buffer)."""
    offsets = [-1] * len(buffers)
    top = 0
    for i in order:
        spans = sorted((offsets[j] + low, offsets[j] + high) for j, low, high in conflicts[i] if offsets[j] >= 0)
        at = 0
        for low, high in spans:
            if low < at < high:
                at = _round_up(high, buffers[i].align)
        # A span may open below `at` only after a later one moved it; sweep until nothing moves.
        while moved := next((high for low, high in spans if low < at < high), None):
            at = _round_up(moved, buffers[i].align)
        offsets[i] = at
        top = max(top, at + buffers[i].size)
    return top, offsets


def node_bounds(graph: Graph) -> list[int]:
    """For each node of a lowered graph, bytes below which no placement can serve it; they depend on no other node's kernel."""
    buffers = _buffers(graph)
    return _bounds(graph, buffers, _overlaps(graph, buffers))[:-2]


def _bounds(graph: Graph, buffers: list[Buffer], allowed: Allowed) -> list[int]:
    """No placement can use fewer bytes: at each node, after the last (-2) and at INPUT (-1), what is alive less the most that
    permitted overlaps can share."""
    totals = [0] * (len(graph.nodes) + 2)
    for b in buffers:
        for n in range(b.birth, b.death + 1):
            totals[n] += b.size
    for (source, target), overlap in allowed.items():
        apart = buffers[source].size + buffers[target].size
        shared = apart - max(buffers[source].size + max(overlap.distance, 0), buffers[target].size)
        totals[buffers[target].birth] -= max(0, shared)
    return totals


def _search(buffers: list[Buffer], conflicts: list[list[tuple[int, int, int]]], bound: int) -> tuple[int, list[int]]:
    orders = [
        sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, buffers[i].birth)),
        sorted(range(len(buffers)), key=lambda i: (buffers[i].birth, -buffers[i].size)),
        sorted(range(len(buffers)), key=lambda i: (-buffers[i].death, -buffers[i].size)),
        sorted(range(len(buffers)), key=lambda i: -(buffers[i].death - buffers[i].birth + 1) * buffers[i].size),
    ]
    order = min(orders, key=lambda o: _place(o, buffers, conflicts)[0])
    best, placed = _place(order, buffers, conflicts)
    rng = random.Random(len(buffers))
    for _ in range(SEARCH_ROUNDS if len(buffers) > 2 else 0):
        if best <= bound:
            break
        trial = order.copy()
        trial.insert(rng.randrange(len(trial)), trial.pop(rng.randrange(len(trial))))
        if rng.random() < 0.5:
            trial.insert(rng.randrange(len(trial)), trial.pop(rng.randrange(len(trial))))
        top, offsets = _place(trial, buffers, conflicts)
        if top <= best:
            order, best, placed = trial, top, offsets
    return best, placed

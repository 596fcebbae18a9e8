"""The planner, judged by code that does not trust it: lifetimes and permissions are recomputed here from the graph."""

import random

import numpy as np
import pytest

from mcuml.graph import ABSENT, Graph, Kernel, Node, Overlap, Tensor, verify
from mcuml.plan import ALIGN, ARENA_ALIGN, Plan, plan


def random_graph(seed: int) -> Graph:
    """A random DAG with constants, absent inputs, views, scratch, and overlap permissions of all kinds."""
    rng = random.Random(seed)
    tensors = [Tensor(f"in{i}", "int8", (rng.randint(1, 400),)) for i in range(rng.randint(1, 3))]
    inputs = tuple(range(len(tensors)))
    nodes = []
    for n in range(rng.randint(1, 14)):
        sources = [rng.randrange(len(tensors)) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            tensors.append(Tensor(f"c{n}", "int8", (4,), data=np.zeros(4, np.int8)))
            sources.append(len(tensors) - 1)
        if rng.random() < 0.2:
            sources.append(ABSENT)
        view = not tensors[sources[0]].is_const and rng.random() < 0.2
        size = tensors[sources[0]].bytes if view else rng.randint(1, 400)
        wide = not view and rng.random() < 0.2
        tensors.append(Tensor(f"t{n}", "int64", (size // 8 + 1,)) if wide else Tensor(f"t{n}", "int8", (size,)))
        overlaps = []
        for position, t in enumerate(sources):
            if t != ABSENT and not tensors[t].is_const and not view and rng.random() < 0.6:
                overlaps.append(Overlap(position, 0, rng.choice([0, 0, 16, 64, 500]), rng.random() < 0.3))
        scratch = rng.choice([0, 0, 12, 100]) if not view else 0
        kernel = Kernel("k", scratch=scratch, overlaps=tuple(overlaps), view=view)
        nodes.append(Node("OP", None, tuple(sources), (len(tensors) - 1,), n, kernel))
    activations = [i for i, t in enumerate(tensors) if not t.is_const]
    outputs = {len(tensors) - 1} | {rng.choice(activations) for _ in range(rng.randint(0, 2))}
    return Graph("random", tuple(tensors), tuple(nodes), inputs, tuple(sorted(outputs)))


def storage(graph: Graph) -> list[int]:
    """Tensor -> the tensor whose bytes it shares through views."""
    root = list(range(len(graph.tensors)))
    for node in graph.nodes:
        if node.kernel.view:
            old, new = root[node.outputs[0]], root[node.inputs[0]]
            root = [new if r == old else r for r in root]
    return root


def alive(graph: Graph, t: int) -> set[int]:
    """Positions at which tensor t's bytes matter: -1 is before the first node, len(nodes) after the last."""
    written = -1 if t in graph.inputs else next(n for n, node in enumerate(graph.nodes) if t in node.outputs)
    last = max([n for n, node in enumerate(graph.nodes) if t in node.inputs], default=written)
    return set(range(written, (len(graph.nodes) if t in graph.outputs else last) + 1))


def assert_sound(result: Plan) -> None:
    graph, root = result.graph, storage(result.graph)
    used = [t for t in range(len(graph.tensors)) if not graph.tensors[t].is_const]
    regions = [(root[t], alive(graph, t), result.offsets[t], graph.tensors[t].bytes, t) for t in used]
    for n, node in enumerate(graph.nodes):
        if node.kernel.scratch:
            regions.append((f"scratch{n}", {n}, result.scratch[n], node.kernel.scratch, None))
    life = {}
    for owner, when, *_ in regions:
        life[owner] = life.get(owner, set()) | when
    for owner, _, offset, size, t in regions:
        align = ALIGN if t is None else max(ALIGN, np.dtype(graph.tensors[t].dtype).itemsize)
        assert offset is not None and offset % align == 0 and offset >= 0 and offset + size <= result.arena_bytes, owner
    for i, (owner, _, at, size, t) in enumerate(regions):
        for other, _, other_at, other_size, u in regions[:i]:
            if owner == other:
                assert at == other_at
                continue
            shared = life[owner] & life[other]
            if not shared or at + size <= other_at or other_at + other_size <= at:
                continue
            assert len(shared) == 1 and t is not None and u is not None, f"{owner} and {other} overlap at {sorted(shared)}"
            node = graph.nodes[shared.pop()]
            target, source = (t, u) if root[t] in {root[o] for o in node.outputs} else (u, t)
            reads = [p for p, i in enumerate(node.inputs) if i != ABSENT and root[i] == root[source]]
            given = {o.input: o for o in node.kernel.overlaps}
            assert reads and all(p in given for p in reads), f"{owner} and {other} overlap without permission"
            gap = result.offsets[source] - result.offsets[target]
            for p in reads:
                assert gap == given[p].distance if given[p].exact else gap >= given[p].distance


@pytest.mark.parametrize("seed", range(300))
def test_random_graphs_are_placed_soundly(seed):
    result = plan(random_graph(seed))
    assert_sound(result)
    assert result.arena_bytes % ARENA_ALIGN == 0
    assert result.bound_bytes <= result.arena_bytes


def greedy_by_size(graph: Graph) -> int:
    """Arena bytes of a planner like TFLite Micro's: largest first, first gap, no overlaps, 16-byte buffers."""
    root = storage(graph)
    blocks = {}
    for t in range(len(graph.tensors)):
        if not graph.tensors[t].is_const:
            size, when = blocks.get(root[t], (0, set()))
            blocks[root[t]] = (max(size, -(-graph.tensors[t].bytes // 16) * 16), when | alive(graph, t))
    for n, node in enumerate(graph.nodes):
        if node.kernel.scratch:
            blocks[f"s{n}"] = (-(-node.kernel.scratch // 16) * 16, {n})
    placed = []
    for size, when in sorted(blocks.values(), key=lambda b: -b[0]):
        at = 0
        for start, length, life in sorted(placed, key=lambda p: p[0]):
            if life & when and start < at + size and at < start + length:
                at = start + length
        placed.append((at, size, when))
    return max(at + size for at, size, _ in placed)


@pytest.mark.parametrize("seed", range(300))
def test_never_worse_than_greedy_by_size(seed):
    graph = random_graph(seed)
    assert plan(graph).arena_bytes <= -(-greedy_by_size(graph) // ARENA_ALIGN) * ARENA_ALIGN


def test_same_graph_same_plan():
    assert plan(random_graph(7)).offsets == plan(random_graph(7)).offsets


def test_live_bytes_are_those_of_tensors_alive():
    graph = random_graph(3)
    result = plan(graph)
    for n, live in enumerate(result.live_bytes):
        covered = set()
        for t in range(len(graph.tensors)):
            if not graph.tensors[t].is_const and n in alive(graph, t):
                covered |= set(range(result.offsets[t], result.offsets[t] + graph.tensors[t].bytes))
        scratch, kernel = result.scratch[n], graph.nodes[n].kernel
        covered |= set(range(scratch, scratch + kernel.scratch)) if kernel.scratch else set()
        assert live == len(covered)


def test_variables_share_their_bytes_with_nothing():
    """A variable that is read once in the middle of a chain keeps its place from before the first to after the last node."""
    tensors = [Tensor(f"t{i}", "int8", (100,)) for i in range(6)] + [Tensor("state", "int8", (40,), variable=True)]
    free = (Overlap(0, 0, 0),)
    nodes = tuple(
        Node("ADD", None, (i, 6) if i == 2 else (i,), (i + 1,), i, Kernel("add", overlaps=free, scratch=32)) for i in range(5)
    )
    result = plan(verify(Graph("g", tuple(tensors), nodes, (0,), (5,)), "test"))
    state = range(result.offsets[6], result.offsets[6] + 40)
    taken = [(result.offsets[t], 100) for t in range(6)] + [(s, 32) for s in result.scratch]
    assert not [span for span in taken if span[0] < state.stop and state.start < span[0] + span[1]]

"""Orders: legal, never worse than the file's, and better where branches allow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcuml import order
from mcuml.graph import Graph, Kernel, Node, Overlap, Tensor, verify
from mcuml.order import planned, reordered
from mcuml.plan import plan
from test_plan import assert_sound, random_graph


def graph(sizes: dict[str, int], nodes: list[tuple[str, str]], outputs: str, **kernels: Kernel) -> Graph:
    """`nodes` are ("read tensors", "written tensor"), by names of one letter; x is the input."""
    number = {name: n for n, name in enumerate(sizes)}
    tensors = tuple(Tensor(name, "int8", (size,)) for name, size in sizes.items())
    made = tuple(
        Node("OP", None, tuple(number[t] for t in read), (number[t],), n, kernels.get(t, Kernel("k")))
        for n, (read, t) in enumerate(nodes)
    )
    return verify(Graph("g", tensors, made, (number["x"],), tuple(number[t] for t in outputs)), "the test")


# Two branches, each wide for a moment; the file computes both wide maps first.
WIDE = {"x": 16, "a": 1000, "b": 1000, "c": 16, "d": 16, "y": 16}
BRANCHES = [("x", "a"), ("x", "b"), ("a", "c"), ("b", "d"), ("cd", "y")]


def test_one_branch_after_the_other() -> None:
    model = graph(WIDE, BRANCHES, "y")
    assert plan(model).arena_bytes == 2016
    best = planned(model)
    assert best.arena_bytes == 1056 - 16 and best.bound_bytes <= best.arena_bytes
    assert [n.index for n in best.graph.nodes] in ([0, 2, 1, 3, 4], [1, 3, 0, 2, 4])


CHAIN = [("x", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "y")]


@pytest.mark.parametrize("nodes", [CHAIN, [("x", "a"), ("a", "c"), ("x", "b"), ("b", "d"), ("cd", "y")]])
def test_an_order_as_good_as_any_stays(nodes: list[tuple[str, str]]) -> None:
    model = graph(WIDE, nodes, "y")
    assert reordered(model) is model


def test_scratch_counts() -> None:
    model = graph(WIDE | {"a": 16, "b": 400}, BRANCHES, "y", c=Kernel("k", scratch=1000))
    assert (plan(model).arena_bytes, planned(model).arena_bytes) == (
        1440,
        1056,
    )  # b is not there while a's reader has its scratch


def test_permission_to_work_in_place_counts() -> None:
    """c's writer needs a and c at once, unless it works in place: then what is alive beside b decides."""
    model = graph({"x": 16, "a": 500, "b": 600, "c": 500, "d": 16, "y": 16}, BRANCHES, "y")
    inplace = graph(
        {"x": 16, "a": 500, "b": 600, "c": 500, "d": 16, "y": 16}, BRANCHES, "y", c=Kernel("k", overlaps=(Overlap(0, 0),))
    )
    assert (planned(model).arena_bytes, planned(inplace).arena_bytes) == (1024, 640)
    assert order._Search(inplace).peak() == plan(inplace).bound_bytes


@pytest.mark.parametrize("kind", ["variable", "effect", "mark"])
def test_state_and_control_flow_keep_the_order(kind: str) -> None:
    model = graph(WIDE, BRANCHES, "y")
    assert reordered(model) is not model
    if kind == "variable":
        model = replace(model, tensors=(*model.tensors, Tensor("v", "int8", (4,), variable=True)))
    else:
        changed = {"outputs": ()} if kind == "effect" else {"code": "IF:end"}
        model = replace(model, nodes=(*model.nodes, replace(model.nodes[0], **changed)))
    assert reordered(model) is model


def test_custom_operators_move() -> None:
    model = graph(WIDE, BRANCHES, "y")
    own = replace(model, nodes=tuple(replace(n, code="CUSTOM:Mine") for n in model.nodes))
    assert [n.index for n in reordered(own).nodes] == [n.index for n in reordered(model).nodes] != [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(150))
def test_random_graphs(seed: int) -> None:
    """Each node once, in a legal order, in a sound plan that is no larger."""
    model = random_graph(seed)
    other = verify(reordered(model), "reordering")
    assert sorted(n.index for n in other.nodes) == [n.index for n in model.nodes]
    best = planned(model)
    assert_sound(best)
    assert best.arena_bytes <= plan(model).arena_bytes


@pytest.mark.parametrize("seed", range(60))
def test_the_peak_is_what_the_planner_cannot_go_below(seed: int) -> None:
    model = random_graph(seed)
    plain = replace(model, nodes=tuple(replace(n, kernel=replace(n.kernel, overlaps=())) for n in model.nodes))
    dead = sum(
        model.tensors[t].bytes for t in model.inputs if not any(t in n.inputs for n in model.nodes) and t not in model.outputs
    )
    assert dead or order._Search(plain).peak() == plan(plain).bound_bytes


def test_it_helps_random_graphs() -> None:
    gains = [plan(g).arena_bytes - planned(g).arena_bytes for g in map(random_graph, range(40))]
    assert sum(gain > 0 for gain in gains) >= 5


def test_three_hundred_branches_take_no_time() -> None:
    count = 300
    tensors = tuple(Tensor(f"t{n}", "int8", (n % 7 * 40 + 8,)) for n in range(count + 2))
    nodes = [Node("OP", None, (0,), (n,), n, Kernel("k")) for n in range(1, count + 1)]
    nodes.append(Node("OP", None, tuple(range(1, count + 1)), (count + 1,), count + 1, Kernel("k")))
    assert len(reordered(Graph("g", tensors, tuple(nodes), (0,), (count + 1,))).nodes) == count + 1

"""The choice among kernels, judged by trying every combination on small random graphs, and --optimize on each verb."""

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commandline import DIGITS, mcuml
from mcuml.errors import RequestError
from mcuml.graph import Constant, Graph, Kernel, Node, Overlap, Tensor
from mcuml.pipeline import prepare
from mcuml.plan import Plan, plan
from mcuml.schedule import ARENA_GROWTH, CODE, FLASH_GROWTH, OBJECTIVES, chosen, names, schedule, signature

TEMPLATES = ("plain", "quick", "wide")


def kernel(rng: random.Random, template: str) -> Kernel:
    weights = Constant("weights", np.frombuffer(rng.randbytes(rng.choice([40, 400, 4000])), np.int8))
    overlaps = (Overlap(0, 0, rng.choice([0, 50])),) if rng.random() < 0.5 else ()
    cycles, scratch = rng.randint(1000, 100_000), rng.choice([0, 8, 200])
    return Kernel(template, {}, (weights,), scratch, overlaps, macs=100, cycles=cycles)


def chain(seed: int) -> Graph:
    """Two to five nodes in a row, each with one to three candidates."""
    rng = random.Random(seed)
    tensors, nodes = [Tensor("in", "int8", (rng.randint(10, 300),))], []
    for n in range(rng.randint(2, 5)):
        tensors.append(Tensor(f"t{n}", "int8", (rng.randint(10, 300),)))
        offered = tuple(kernel(rng, t) for t in rng.sample(TEMPLATES, rng.randint(1, 3)))
        nodes.append(Node("OP", None, (n,), (n + 1,), n, offered[0], offered))
    return Graph("chain", tuple(tensors), tuple(nodes), (0,), (len(nodes),))


def cycles(made: Plan) -> int:
    return sum(n.kernel.cycles for n in made.graph.nodes if n.kernel)


def flash(made: Plan) -> int:
    return sum(n.kernel.constant_bytes for n in made.graph.nodes if n.kernel)


def every(graph: Graph) -> list[Plan]:
    return [plan(chosen(graph, c)) for c in itertools.product(*(range(len(n.candidates)) for n in graph.nodes))]


@pytest.mark.parametrize("seed", range(20))
def test_each_objective_is_met_best_by_its_own_choice(seed: int) -> None:
    graph = chain(seed)
    made, tried = {goal: schedule(graph, goal) for goal in OBJECTIVES}, every(graph)
    assert cycles(made["speed"]) == min(map(cycles, tried))
    assert made["ram"].arena_bytes == min(p.arena_bytes for p in tried)
    assert cycles(made["ram"]) <= min(cycles(p) for p in tried if p.bound_bytes <= min(q.bound_bytes for q in tried))
    assert flash(made["size"]) == min(map(flash, tried))
    balanced = made["balanced"]
    lean = [p for p in tried if p.bound_bytes <= ARENA_GROWTH * min(q.bound_bytes for q in tried)]
    assert balanced.bound_bytes <= max(p.bound_bytes for p in lean)
    assert CODE + flash(balanced) <= FLASH_GROWTH * (CODE + min(map(flash, lean)))
    assert all(p.objective == goal for goal, p in made.items())


def one(*offered: Kernel, before: int = 100, after: int = 100) -> Graph:
    """A model of one node."""
    tensors = (Tensor("in", "int8", (before,)), Tensor("out", "int8", (after,)))
    return Graph("one", tensors, (Node("OP", None, (0,), (1,), 0, offered[0], offered),), (0,), (1,))


def offer(template: str, weights: int, cycles: int, scratch: int = 0) -> Kernel:
    return Kernel(template, {}, (Constant("weights", np.zeros(weights, np.int8)),), scratch, macs=1000, cycles=cycles)


def taken(graph: Graph, objective: str = "balanced", **more: object) -> str:
    held = schedule(graph, objective, **more).graph.nodes[0].kernel  # type: ignore[arg-type]
    assert held
    return held.template


@pytest.mark.parametrize(
    ("case", "growth", "saved", "scratch", "wanted"),
    [
        ("a percent and a half of flash for a percent of time", 150, 1000, 0, "quick"),
        ("four percent of flash for a percent of time", 400, 1000, 0, "plain"),
        ("half the time for a third of the flash", 3400, 50_000, 0, "plain"),
        ("half the time for a fifth of the flash", 2000, 50_000, 0, "quick"),
        ("half the time for a tenth of the arena", 0, 50_000, 21, "plain"),
        ("half the time for a fiftieth of the arena", 0, 50_000, 4, "quick"),
    ],
)
def test_balanced_weighs_time_against_memory(case: str, growth: int, saved: int, scratch: int, wanted: str) -> None:
    base = 10_000 - CODE
    plain, quick = offer("plain", base, 100_000), offer("quick", base + growth, 100_000 - saved, scratch)
    assert taken(one(plain, quick)) == wanted, case
    assert taken(one(quick, plain)) == wanted, f"{case}, listed the other way round"


@pytest.mark.parametrize(
    ("case", "flash", "cycles", "wanted"),
    [
        ("a fifth of the flash for a twentieth of time", 20_000, 105_000, "packed"),
        ("half the flash and quicker", 50_000, 90_000, "packed"),
        ("most of the flash for an eighth of time", 80_000, 112_500, "usual"),
        ("a twentieth of the flash for a twentieth of time", 5_000, 105_000, "usual"),
    ],
)
def test_balanced_takes_packed_weights_that_win_clearly(case: str, flash: int, cycles: int, wanted: str) -> None:
    base = 100_000 - CODE
    usual, packed = offer("usual", base, 100_000), replace(offer("packed", base - flash, cycles), packed=True)
    assert taken(one(usual, packed)) == wanted, case
    assert taken(one(usual, packed), "speed") == ("packed" if cycles < 100_000 else "usual")
    assert taken(one(usual, packed), "size") == "packed"


def test_what_packed_weights_save_does_not_forbid_dense_ones() -> None:
    usual, packed = offer("usual", 60_000, 100_000), replace(offer("packed", 10_000, 150_000), packed=True)
    assert taken(one(usual, packed)) == "usual"


def residual(seed: int) -> tuple[Graph, Graph]:
    """Layers of which every third adds what the first read, with packed weights offered and without."""
    rng = random.Random(seed)
    tensors = [Tensor("in", "int8", (rng.randint(300, 1000),))]
    nodes: list[Node] = []
    for n in range(9):
        reads = (n, n - 2) if n % 3 == 2 else (n,)
        tensors.append(Tensor(f"t{n}", "int8", (rng.randint(300, 1000),)))
        usual = offer("usual", 40_000, 100_000)
        packed = replace(offer("packed", 8000, 100_100, rng.randint(200, 1200)), packed=True)
        nodes.append(Node("OP", None, reads, (n + 1,), n, usual, (usual, packed)))
    plain = tuple(replace(node, candidates=node.candidates[:1]) for node in nodes)
    first = Graph("residual", tuple(tensors), tuple(nodes), (0,), (9,))
    return first, replace(first, nodes=plain)


@pytest.mark.parametrize("seed", [1, 2, 59])
def test_packed_weights_leave_the_arena_as_it_was(seed: int) -> None:
    """Each layer's scratch alone would fit; all together they do not pack so."""
    offered, plain = residual(seed)
    made = schedule(offered)
    assert made.arena_bytes <= ARENA_GROWTH * schedule(plain).arena_bytes
    assert any(node.kernel and node.kernel.packed for node in made.graph.nodes)


def test_scratch_away_from_the_peak_costs_nothing() -> None:
    quick, plain = offer("quick", 40, 10, scratch=500), offer("plain", 40, 1000)
    tensors = tuple(Tensor(f"t{n}", "int8", (size,)) for n, size in enumerate((2000, 2000, 100, 100)))
    last = Node("OP", None, (2,), (3,), 2, plain, (plain, quick))
    nodes = (Node("OP", None, (0,), (1,), 0, plain, (plain,)), Node("OP", None, (1,), (2,), 1, plain, (plain,)), last)
    made = schedule(Graph("peak", tensors, nodes, (0,), (3,)), "ram")
    assert made.graph.nodes[2].kernel is quick


def test_without_every_estimate_the_author_s_first_is_taken() -> None:
    known, unknown = offer("known", 40, 1000), offer("unknown", 40, 0)
    assert taken(one(unknown, known), "speed") == "unknown" and taken(one(known, unknown), "speed") == "known"


def test_measured_cycles_overrule_the_estimates() -> None:
    graph = one(offer("plain", 40, 1000), offer("quick", 40, 900))
    said = {signature(graph.nodes[0], graph): {"plain": 500, "quick": 800}}
    assert taken(graph, "speed") == "quick" and taken(graph, "speed", measured=said) == "plain"
    said[signature(graph.nodes[0], graph)].pop("quick")
    assert taken(graph, "speed", measured=said) == "quick", "what was not measured as a whole does not count"


def test_names_tell_candidates_apart() -> None:
    node = one(offer("a", 1, 1), offer("b", 1, 1), offer("a", 2, 1)).nodes[0]
    assert names(node) == ("a#1", "b", "a#2")
    walks = [replace(offer("walk", size, 1), packed=True) for size in (40, 44)]
    assert names(one(*walks).nodes[0]) == ("walk 40", "walk 44"), "other weights, other cycles"


@pytest.mark.parametrize("goal", OBJECTIVES)
def test_the_compiled_model_tells_its_objective(goal: str, tmp_path: Path) -> None:
    done = mcuml("compile", DIGITS, "-o", tmp_path, "--optimize", goal)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["optimize"] == goal
    assert ("--optimize" in (tmp_path / "model.c").read_text(encoding="utf-8")) == (goal != "balanced")


@pytest.mark.parametrize("verb", ["compile", "build", "bench", "simulate", "inspect", "verify"])
def test_an_unknown_objective_is_a_wrong_request(verb: str, tmp_path: Path) -> None:
    done = mcuml(verb, DIGITS, *(["-o", tmp_path / "c"] if verb == "compile" else []), "--optimize", "fast")
    assert done.returncode == 2 and "balanced, speed, size, ram" in done.stderr, done.stderr


def test_an_unknown_objective_is_refused_before_the_file_is_read() -> None:
    with pytest.raises(RequestError, match="optimize"):
        prepare(Path("no such file"), "smallest")

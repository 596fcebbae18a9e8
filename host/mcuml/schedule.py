"""Which kernel serves each node, where its operator offers several: by time, by flash, by arena, or balanced.

A kernel's price is its author's estimate of cycles (or what `mcuml tune` measured), the bytes of its constants, and the
arena that its node needs with it. The whole model is priced: its cycles and flash are sums, its arena the node's that
needs most, so a layer away from the peak may take scratch for nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log
from typing import Literal, get_args

from mcuml.errors import RequestError
from mcuml.graph import ABSENT, Graph, Kernel, Node
from mcuml.order import planned
from mcuml.plan import Plan, node_bounds

Objective = Literal["balanced", "speed", "size", "ram"]
OBJECTIVES = get_args(Objective)
BALANCED: Objective = "balanced"
PER_MAC = 2  # cycles assumed where no estimate is: the integer kernels' mean; only the proportion between layers counts
CODE = 8192  # bytes of code beside the constants: the kernels of the shared models take 4 to 12 KB
# Balanced: flash may grow by two percent where that saves one percent of the time, and by a quarter in all. Time counts twice
# because flash mostly has room to spare. For ResNet-8: Winograd for its two 16-channel layers (11 % of the flash, 10 % of the
# cycles) is taken, for the 64-channel one (80 % of the flash, 6 % of the cycles) it is not.
TIME_WEIGHT = 2
FLASH_GROWTH = 1.25
# RAM has no such room: whether a model fits is decided at its peak. A thirty-second over the least hardly moves that.
ARENA_GROWTH = 1 + 1 / 32
# The same rate takes packed weights, which trade the other way, but never for more than a tenth of the model's time: who asks for
# no objective expects about the fastest. And what they could save does not tighten the limit above: dense weights stay allowed.
SLOWER = 1.1
NEVER = 1 << 60  # the price of a kernel that is not to be taken

Measured = Mapping[str, Mapping[str, int]]  # signature -> kernel's name -> cycles
Choice = list[int]  # per node, which of its candidates
Score = tuple[float, ...]


@dataclass(frozen=True)
class _Price:
    """What one kernel costs: cycles, bytes of constants, and bytes of arena that the node needs. Its code is not counted: those
    that compete for ResNet-8's layers differ by 2.7 KB at most, all layers together, and its size is least with the least
    constants. `packed` as the kernel says."""

    cycles: int
    constants: int
    arena: int
    packed: bool = False


def check_objective(name: str) -> str:
    """`name`. Raises RequestError unless it is one of OBJECTIVES."""
    if name not in OBJECTIVES:
        raise RequestError(f"--optimize is '{name}'.", f"It is one of {', '.join(OBJECTIVES)}.", "Choose one of these.")
    return name


def schedule(graph: Graph, objective: str = BALANCED, measured: Measured | None = None) -> Plan:
    """The plan of `graph`, each of its nodes with the candidate that serves `objective` best. Deterministic.

    `measured` cycles take the place of the kernels' estimates. Raises RequestError for an unknown objective."""
    check_objective(objective)
    first = planned(graph)
    if all(len(node.candidates) < 2 for node in graph.nodes):
        return replace(first, objective=objective)
    graph = first.graph  # in its better order
    prices = _prices(graph, measured or {})
    if objective == BALANCED:
        return replace(_balanced(graph, prices), objective=objective)
    best = _best(prices, {"speed": _speed, "size": _size, "ram": _ram}[objective])
    plans = [planned(chosen(graph, best))]
    if objective == "ram" and plans[0].arena_bytes > plans[0].bound_bytes:
        # The bound is not always met: what needs least at each node may pack better.
        plans.append(planned(chosen(graph, [_least(offered, _arena) for offered in prices])))
    return replace(min(plans, key=lambda p: p.arena_bytes), objective=objective)


def chosen(graph: Graph, choice: Sequence[int]) -> Graph:
    """`graph`, each node with the candidate of that number."""
    nodes = [n if len(n.candidates) < 2 else replace(n, kernel=n.candidates[c]) for n, c in zip(graph.nodes, choice, strict=True)]
    return replace(graph, nodes=tuple(nodes))


def with_candidate(graph: Graph, k: int) -> Graph:
    """`graph`, each node with its candidate `k`, or its last where it has fewer."""
    return chosen(graph, [min(k, max(0, len(node.candidates) - 1)) for node in graph.nodes])


def names(node: Node) -> tuple[str, ...]:
    """What the node's candidates are called: their templates, numbered where two share one. Those with packed weights have the
    bytes too, for their cycles depend on the weights' values."""
    templates = [f"{k.template} {k.constant_bytes}" if k.packed else k.template for k in node.candidates]
    return tuple(t if templates.count(t) == 1 else f"{t}#{templates[: i + 1].count(t)}" for i, t in enumerate(templates))


def signature(node: Node, graph: Graph) -> str:
    """What decides a layer's cycles but for the values of its weights: operator, types, shapes and attributes."""

    def text(t: int) -> str:
        tensor = graph.tensors[t]
        return f"{tensor.dtype}[{','.join(map(str, tensor.shape))}]{' constant' if tensor.is_const else ''}"

    inputs = ", ".join("absent" if t == ABSENT else text(t) for t in node.inputs)
    return f"{node.code} {inputs} -> {', '.join(map(text, node.outputs))} {node.attrs}"


# prices


def _prices(graph: Graph, measured: Measured) -> list[list[_Price]]:
    """What each candidate of each node costs. What a node needs of the arena follows from its own kernel alone."""
    most = max(len(node.candidates) for node in graph.nodes)
    needs = [node_bounds(with_candidate(graph, k)) for k in range(most)]
    prices = []
    for n, node in enumerate(graph.nodes):
        offered = node.candidates or ((node.kernel,) if node.kernel else ())
        cycles = _cycles(node, offered, measured.get(signature(node, graph), {}) if len(offered) > 1 else {})
        rows = zip(offered, cycles, needs, strict=False)  # `needs` has as many as the node with most candidates
        prices.append([_Price(spent, kernel.constant_bytes, need[n], kernel.packed) for kernel, spent, need in rows])
    return prices


def _cycles(node: Node, offered: Sequence[Kernel], measured: Mapping[str, int]) -> list[int]:
    """Cycles of each kernel: measured ones, or the estimates, or, where one of them lacks its estimate, one guess for all."""
    for known in ([measured.get(name, 0) for name in names(node)] if measured else [], [k.cycles for k in offered]):
        if known and all(known):
            return known
    return [PER_MAC * max((kernel.macs for kernel in offered), default=0)] * len(offered)


def _lean_enough(prices: list[list[_Price]]) -> list[list[_Price]]:
    """`prices` with those kernels made impossible that lift the arena out of ARENA_GROWTH."""
    limit = ARENA_GROWTH * max((min(p.arena for p in offered) for offered in prices if offered), default=0)
    return _only(prices, lambda p, offered: p.arena <= max(limit, min(q.arena for q in offered)))


def _only(prices: list[list[_Price]], allowed: Callable[[_Price, list[_Price]], bool]) -> list[list[_Price]]:
    """`prices` with those kernels made impossible that are not `allowed` among their node's."""
    return [[p if allowed(p, offered) else _Price(NEVER, NEVER, NEVER, p.packed) for p in offered] for offered in prices]


def _total(prices: list[list[_Price]], choice: Choice) -> tuple[int, int, int]:
    """(cycles, flash, arena) of the model."""
    taken = [offered[c] for offered, c in zip(prices, choice, strict=True) if offered]
    arena = max((p.arena for p in taken), default=0)
    return sum(p.cycles for p in taken), sum(p.constants for p in taken), arena


# objectives: of the model's cycles, flash and arena, the least is best


def _speed(cycles: int, flash: int, arena: int) -> Score:
    return cycles, arena, flash


def _size(cycles: int, flash: int, arena: int) -> Score:
    return flash, arena, cycles


def _ram(cycles: int, flash: int, arena: int) -> Score:
    return arena, cycles, flash


def _balanced(graph: Graph, prices: list[list[_Price]]) -> Plan:
    """The plan without packed weights, or, where that has a better score and about the same arena, with some."""
    prices = _lean_enough(prices)
    usual = _only(prices, lambda p, _: not p.packed)
    _, smallest, _ = _total(usual, [_least(offered, _flash) for offered in usual])
    limit = FLASH_GROWTH * (CODE + smallest)

    def rule(cycles: int, flash: int, arena: int, latest: float = inf) -> Score:
        possible = CODE + flash <= limit and cycles <= latest
        return (TIME_WEIGHT * log(max(1, cycles)) + log(CODE + flash) if possible else inf), arena, cycles

    dense = _best(usual, rule)
    made = planned(chosen(graph, dense))
    cycles, _, _ = _total(usual, dense)
    choice = list(dense) if usual == prices else _best(prices, partial(rule, latest=SLOWER * cycles))
    while taken := [n for n, offered in enumerate(prices) if offered and offered[choice[n]].packed]:
        tried = planned(chosen(graph, choice))
        if tried.arena_bytes <= ARENA_GROWTH * made.arena_bytes:
            return tried
        # Scratch of many layers may not pack as it would for each alone: the largest goes.
        largest = max(taken, key=lambda n: graph.nodes[n].candidates[choice[n]].scratch)
        choice[largest] = dense[largest]
    return made


def _best(prices: list[list[_Price]], rule: Callable[[int, int, int], Score]) -> Choice:
    """The best by `rule` that is found from four starts."""
    starts = [[_least(offered, of) for offered in prices] for of in (_default, _time, _flash, _arena)]
    return min((_descend(prices, start, rule) for start in starts), key=lambda c: rule(*_total(prices, c)))


def _descend(prices: list[list[_Price]], start: Choice, rule: Callable[[int, int, int], Score]) -> Choice:
    """`start`, changed at one node after another as long as that is better by `rule`."""
    choice, best = list(start), rule(*_total(prices, start))
    improved = True
    while improved:
        improved = False
        for n, offered in enumerate(prices):
            for c in range(len(offered) if len(offered) > 1 else 0):
                trial = [*choice[:n], c, *choice[n + 1 :]]
                if (score := rule(*_total(prices, trial))) < best:
                    choice, best, improved = trial, score, True
    return choice


# one node's kernels: its author's first choice, the quickest, the smallest, the leanest


def _least(offered: list[_Price], of: Callable[[_Price], Score]) -> int:
    return min(range(len(offered)), key=lambda c: of(offered[c]), default=0)


def _default(_: _Price) -> Score:
    return ()


def _time(p: _Price) -> Score:
    return p.cycles, p.arena, p.constants


def _flash(p: _Price) -> Score:
    return p.constants, p.arena, p.cycles


def _arena(p: _Price) -> Score:
    return p.arena, p.cycles, p.constants

"""The procedure of `mcuml tune`: each layer's kernels are built, run on the virtual board, and counted.

All layers take their first kernel in one build, their second in the next, and so on: what a layer costs does not depend on its
neighbours' kernels, so there are as many builds as the layer with most candidates has of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mcuml import build, dataset, pipeline
from mcuml.bench import firmware_files
from mcuml.board import Board
from mcuml.errors import RequestError
from mcuml.fit import check_fit
from mcuml.graph import Graph, shown
from mcuml.link.cycles import MODELS
from mcuml.link.virtual import check_simulated, counts_cycles
from mcuml.plan import Plan, node_bounds, plan
from mcuml.run.device import layer_cycles
from mcuml.schedule import names, schedule, signature, with_candidate
from mcuml.tuned import SCHEMA, Tuned

Progress = Callable[..., None]  # progress(stage, done=None, total=None)


@dataclass(frozen=True)
class Tried:
    """One kernel of one layer: measured cycles, bytes of constants, bytes of arena that the layer needs with it."""

    operator: int
    code: str
    shape: tuple[int, ...]
    kernel: str
    cycles: int
    constants: int
    arena: int
    taken: bool


@dataclass(frozen=True)
class Outcome:
    """What was measured, kernel by kernel, for layers that have several; and the plan that follows from it."""

    tried: tuple[Tried, ...]
    tuned: Tuned
    plan: Plan


def tune(model: Path, board: Board, objective: str, progress: Progress) -> Outcome:
    """Measure the kernels of the layers that have several. Raises RequestError for a board without a cycle model, FitError
    where a kernel does not fit it, BuildError, LinkError."""
    check_simulated(board)
    if not counts_cycles(board):
        raise RequestError(
            f"There is no cycle model of a {board.core}, {board.name}'s core.",
            f"There is one of {', '.join(MODELS)}.",
            "Tune for a board with such a core.",
        )
    graph = pipeline.lowered(model)
    several = [n for n, node in enumerate(graph.nodes) if len(node.candidates) > 1]
    spent, compiler = measure(graph, board, progress) if several else ([], "")
    cycles = {
        signature(graph.nodes[n], graph): dict(zip(names(graph.nodes[n]), [c[n] for c in spent], strict=False)) for n in several
    }
    made = schedule(graph, objective, cycles)
    taken = {id(node.kernel) for node in made.graph.nodes}
    needs = [node_bounds(with_candidate(graph, k)) for k in range(len(spent))]
    tried = [
        Tried(
            node.index, node.code, graph.tensors[shown(node)].shape, name, spent[k][n],
            constants=node.candidates[k].constant_bytes, arena=needs[k][n],
            taken=id(node.candidates[k]) in taken,
        )
        for n in several for node in [graph.nodes[n]] for k, name in enumerate(names(node))
    ]  # fmt: skip
    return Outcome(tuple(tried), Tuned(schema=SCHEMA, core=board.core, compiler=compiler, cycles=cycles), made)


def measure(graph: Graph, board: Board, progress: Progress) -> tuple[list[list[int]], str]:
    """(for each k the cycles of every node of the lowered `graph` when it takes its candidate k, or its last; the compiler).
    Nodes without code take 0."""
    found, compiler = [], ""
    total = max(len(node.candidates) for node in graph.nodes)
    for k in range(total):
        progress("build and count each kernel", k, total)
        made = plan(with_candidate(graph, k))
        check_fit(made, board)
        image = build.build_firmware(firmware_files(made, board), board, profile=True)
        compiler = f"{image.toolchain['name']} {image.toolchain['version']}"
        data = dataset.random([graph.tensors[t] for t in graph.inputs], 1)
        counted = iter(layer_cycles(image, graph.sha256, data.raw(0)))
        found.append([0 if node.kernel is None or node.kernel.view else next(counted) for node in made.graph.nodes])
    return found, compiler

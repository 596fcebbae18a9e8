"""Does a plan fit a board? Answered in bytes, before any compiler runs or from a linked image, with what would make it fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcuml import code_size, trial_link
from mcuml.board import Board, load_all
from mcuml.build import STACK_BYTES
from mcuml.errors import FitError
from mcuml.graph import ABSENT, Node
from mcuml.plan import Plan

MOST_NAMED = 4  # tensors or operators in an advice


@dataclass(frozen=True)
class Fit:
    """What a plan needs on a board and what the board has, in bytes. Flash: code and weights; RAM: the arena, the firmware's
    copy of the inputs, its own variables, and the least stack that the linker accepts. Both
    are exact where the image was linked; else RAM is (to 8 bytes where a C library brings variables), and flash an estimate."""

    board: Board
    estimate: code_size.Estimate

    @property
    def flash_needed(self) -> int:
        return self.estimate.code + self.estimate.weights

    @property
    def ram_needed(self) -> int:
        return self.estimate.ram + STACK_BYTES

    @property
    def flash_over(self) -> int:
        return max(0, self.flash_needed - self.board.flash_available)

    @property
    def ram_over(self) -> int:
        return max(0, self.ram_needed - self.board.ram_available)

    @property
    def fits(self) -> bool:
        return not self.flash_over and not self.ram_over

    @property
    def close(self) -> bool:
        """Whether the flash is so nearly full, or so little too small, that only the linker can tell."""
        return abs(self.flash_needed - self.board.flash_available) < self.estimate.margin


@dataclass(frozen=True)
class Peak:
    """Where the arena is fullest: the node, and what is alive there: (role and shape, bytes of its own),
    largest first; an output in the place of its input has none."""

    node: Node
    held: tuple[tuple[str, int], ...]


def fit(plan: Plan, board: Board) -> Fit:
    """The bytes that `plan` needs on `board`, before any compiler has run."""
    return Fit(board, code_size.estimate(code_size.demand(plan), board.cpu, board.name))


def fit_linked(files: Mapping[str, str], board: Board) -> Fit:
    """The bytes that a build of `files`, as for build_firmware(), needs on `board`: those of the image, linked here and now.

    Raises BuildError (no compiler for that core, or it fails) and RequestError (the cache cannot be written)."""
    return Fit(board, code_size.from_link(trial_link.linked(files, board)))


def peak(plan: Plan) -> Peak:
    """The node at which the arena is fullest."""
    graph, at = plan.graph, plan.peak_node
    node = graph.nodes[at]
    born = dict.fromkeys(graph.inputs, -1) | {t: n for n, other in enumerate(graph.nodes) for t in other.outputs}
    dies = {t: n for n, other in enumerate(graph.nodes) for t in other.inputs if t != ABSENT}
    dies.update(dict.fromkeys(graph.outputs, len(graph.nodes)))

    def role(t: int) -> str:
        shape = "x".join(map(str, graph.tensors[t].shape)) or "scalar"
        if t in node.outputs or t in node.inputs:
            return f"{'output' if t in node.outputs else 'input'} {shape}"
        reader = dies.get(t, len(graph.nodes))
        kept = f"operator {graph.nodes[reader].index}" if reader < len(graph.nodes) else "the end"
        return f"{shape} kept for {kept}"

    spans = []
    for t, n in born.items():
        offset = plan.offsets[t]
        if offset is not None and n <= at <= max(n, dies.get(t, n)):
            spans.append((t in node.outputs, offset, offset + graph.tensors[t].bytes, role(t)))
    scratch = plan.scratch[at]
    if node.kernel and node.kernel.scratch and scratch is not None:
        spans.append((False, scratch, scratch + node.kernel.scratch, "scratch"))
    covered: list[tuple[int, int]] = []
    held = []
    for _, first, end, what in sorted(spans):
        own = (end - first) - _shared(first, end, covered)
        if own:
            held.append((what if own == end - first else f"{what}, but for what it shares", own))
        covered.append((first, end))
    return Peak(node, tuple(sorted(held, key=lambda item: -item[1])))


def _shared(first: int, end: int, covered: list[tuple[int, int]]) -> int:
    """Bytes of first..end that lie in `covered`."""
    total, reached = 0, first
    for low, high in sorted(covered):
        low, high = max(low, reached), min(high, end)
        total += max(0, high - low)
        reached = max(reached, high)
    return total


def advice(plan: Plan, needs: Fit) -> list[str]:
    """What would make it fit, in sentences; empty where it does."""
    graph, told = plan.graph, []
    if needs.ram_over:
        top = peak(plan)
        parts = " + ".join(f"{what}: {size:,}" for what, size in top.held[:MOST_NAMED])
        told.append(
            f"The arena is {plan.arena_bytes:,} bytes and peaks at operator {top.node.index} ({top.node.code}): {parts}. "
            f"It must shrink by {needs.ram_over:,} bytes: smaller tensors there."
        )
    if needs.flash_over:
        sizes = {n.index: (n, n.kernel.constant_bytes) for n in graph.nodes if n.kernel}
        most = sorted(sizes.values(), key=lambda item: -item[1])[:MOST_NAMED]
        named = ", ".join(f"operator {n.index} ({n.code}) {size:,}" for n, size in most if size)
        told.append(f"The constants alone are {needs.estimate.weights:,} bytes; most are of {named}.")
    if told and graph.scheme in ("float32", "float16", "dynamic"):
        told.append(
            f"The model is {graph.scheme}; with full int8 quantization tensors and weights take about a quarter of float32's."
        )
    return told


def check_fit(plan: Plan, board: Board) -> Fit:
    """Like fit(), but raises FitError with the overshoot and the boards that have room. What is close is left to the linker."""
    needs = fit(plan, board)
    require_fit(plan, needs)
    return needs


def require_fit(plan: Plan, needs: Fit) -> None:
    """Raise the FitError of check_fit() unless it fits by `needs`, or may do so."""
    board = needs.board
    if needs.fits or (needs.close and not needs.ram_over):
        return
    parts = [
        f"{kind} {need:,} of {have:,} bytes ({over:,} too many)"
        for kind, need, have, over in (
            ("flash", needs.flash_needed, board.flash_available, needs.flash_over),
            ("RAM", needs.ram_needed, board.ram_available, needs.ram_over),
        )
        if over
    ]
    roomy = [other.name for other in load_all() if fit(plan, other).fits]
    raise FitError(
        f"{plan.graph.name} does not fit {board.name}: it needs " + " and ".join(parts) + ".",
        "\n".join(advice(plan, needs)),
        f"It fits: {', '.join(roomy)}." if roomy else "It fits none of the boards that mcuml knows; make the model smaller.",
    )

"""Does a plan fit a board? Answered in bytes before any compiler runs."""

from __future__ import annotations

from dataclasses import dataclass

from mcuml.board import Board, load_all
from mcuml.errors import FitError
from mcuml.plan import Plan


@dataclass(frozen=True)
class Fit:
    """What a plan needs on a board and what the board has, in bytes. Flash counts the constants and an allowance for
    code; RAM counts the arena, the firmware's copy of the inputs and an allowance for its stack and buffers."""

    board: Board
    flash_needed: int
    ram_needed: int

    @property
    def flash_over(self) -> int:
        return max(0, self.flash_needed - self.board.flash_available)

    @property
    def ram_over(self) -> int:
        return max(0, self.ram_needed - self.board.ram_available)

    @property
    def fits(self) -> bool:
        return not self.flash_over and not self.ram_over


CODE_ALLOWANCE = 16 * 1024  # kernels and firmware; the four MLPerf Tiny models link at 12 to 20 KB
RAM_ALLOWANCE = 4 * 1024  # the firmware's stack and line buffers


def fit(plan: Plan, board: Board) -> Fit:
    """The bytes that `plan` needs on `board`, before any compiler has run (an estimate; the linker has the last word)."""
    weights = sum({c.data.tobytes(): c.data.nbytes for n in plan.graph.nodes if n.kernel for c in n.kernel.constants}.values())
    inputs = sum(plan.graph.tensors[t].bytes for t in plan.graph.inputs)
    return Fit(board, weights + CODE_ALLOWANCE, plan.arena_bytes + inputs + RAM_ALLOWANCE)


def check_fit(plan: Plan, board: Board) -> Fit:
    """Like fit(), but raises FitError with the overshoot and the boards that have room."""
    needs = fit(plan, board)
    if needs.fits:
        return needs
    parts = [
        f"{kind} {need:,} of {have:,} bytes ({over:,} too many)"
        for kind, need, have, over in (
            ("flash", needs.flash_needed, board.flash_available, needs.flash_over),
            ("RAM", needs.ram_needed, board.ram_available, needs.ram_over),
        )
        if over
    ]
    node = plan.graph.nodes[plan.peak_node]
    roomy = [other.name for other in load_all() if fit(plan, other).fits]
    raise FitError(
        f"{plan.graph.name} does not fit {board.name}: it needs " + " and ".join(parts) + ".",
        f"The arena is {plan.arena_bytes:,} bytes and peaks at operator {node.index} ({node.code})."
        if needs.ram_over
        else f"The constants alone are {needs.flash_needed - CODE_ALLOWANCE:,} bytes.",
        f"It fits: {', '.join(roomy)}." if roomy else "It fits none of the boards that mcuml knows; make the model smaller.",
    )

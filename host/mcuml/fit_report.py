"""What a plan needs on one board, byte by byte, for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import escape

from mcuml.build import STACK_BYTES
from mcuml.fit import MOST_NAMED, Fit, advice, peak
from mcuml.plan import Plan
from mcuml.tables import Rows, pairs


def needs(plan: Plan, held: Fit) -> RenderableType:
    """Flash and RAM in parts, the layer at which RAM peaks, the verdict, and what would make it fit."""
    board, told, top = held.board, held.estimate, peak(plan)
    inputs = sum(plan.graph.tensors[t].bytes for t in plan.graph.inputs)
    parts = " + ".join(f"{escape(what)}: {size:,}" for what, size in top.held[:MOST_NAMED])
    parts += f" and {len(top.held) - MOST_NAMED} more" if len(top.held) > MOST_NAMED else ""
    own = told.ram - plan.arena_bytes - inputs
    rows: Rows = [
        ("board", f"{escape(board.name)}  {board.core}"),
        ("flash", f"{held.flash_needed:,} of {board.flash_available:,} bytes: code {told.code:,}, weights {told.weights:,}"),
        ("", f"[dim]{escape(_source(held))}[/]"),
        ("RAM", f"{held.ram_needed:,} of {board.ram_available:,} bytes: arena {plan.arena_bytes:,}, "
                f"copy of the inputs {inputs:,}, firmware {own:,}, stack {STACK_BYTES:,}"),
        ("RAM peak", f"operator {top.node.index} ({top.node.code}): {parts}"),
    ]  # fmt: skip
    if told.guessed:
        names = ", ".join(told.guessed[:MOST_NAMED]) + (" ..." if len(told.guessed) > MOST_NAMED else "")
        rows.append(("", f"[dim]not measured just so: {escape(names)}[/]"))
    if held.fits:
        rows.append(("", "[green]fits[/]" + (", but so closely that only the linker can tell" if held.close else "")))
    else:
        rows.append(("", "[red]does not fit[/]" + (" by so little that only the linker can tell" if held.close else "")))
    rows += [("to fit" if n == 0 else "", escape(line)) for n, line in enumerate(advice(plan, held))]
    return pairs(rows)


def _source(held: Fit) -> str:
    """Where the bytes of the code come from."""
    told = held.estimate
    if told.linked:
        return f"as linked with {told.basis}"
    return f"code estimated from figures of {told.basis}, to {100 * told.margin / held.flash_needed:.0f} %"

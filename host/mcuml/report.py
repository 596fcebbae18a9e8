"""Results, plans, boards and checks as rich renderables for a terminal. Builds tables; prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape

from mcuml.board import Board
from mcuml.doctor import Check
from mcuml.fit import Fit
from mcuml.graph import ABSENT, Tensor, shown
from mcuml.plan import Plan
from mcuml.results import Accuracy, Difference, Latency, Memory, Result, Verify
from mcuml.tables import Grid, Rows, bar, pairs

if TYPE_CHECKING:  # it needs the simulator, which most tables do not
    from mcuml.tune import Tried

SHADES = " ░▒▓█"
LINKS = {"virtual": "virtual board", "serial": "real board", "qemu": "QEMU machine", "renode": "Renode machine"}


def shape(dims: Sequence[int]) -> str:
    return "x".join(map(str, dims)) or "scalar"


# results


def result(run: Result) -> RenderableType:
    """Everything a Result knows: the summary, the layers, the distance to others."""
    parts: list[RenderableType] = [pairs(summary(run))]
    if run.layers and any(layer.cycles is not None for layer in run.layers):
        parts.append(layers(run))
    if run.anchors:
        parts.append(anchors(run))
    return Group(*parts)


def summary(run: Result) -> Rows:
    where = _where(run)
    rows = [
        ("model", f"{escape(run.model.name)}  {run.model.scheme}, {run.model.macs:,} MACs, {run.model.bytes:,} bytes"),
        ("board", f"{escape(run.board.name)}  {run.board.core} at {run.board.clock_hz / 1e6:g} MHz ({where})"),
    ]
    if run.runtime == "tflm":
        rows.append(("runtime", f"TensorFlow Lite Micro, {escape(str((run.toolchain or {}).get('library', '')))}"))
    if run.latency:
        rows += _latency(run.latency, run.cycles_per_mac)
    elif run.instructions:
        rows.append(("instructions", f"[bold]{run.instructions.count:,}[/] per inference; no latency: a {where} knows no cycles"))
        rows.append(("", f"[dim]{escape(run.instructions.method)}[/]"))
    elif run.link == "virtual" or (run.device and run.device.simulated):
        rows.append(("latency", f"not estimated: mcuml has no cycle model of a {run.board.core}"))
    if run.memory:
        rows += _memory(run.memory)
    if run.verify:
        rows += [("verify", line) if n == 0 else ("", line) for n, line in enumerate(verdict(run.verify, where))]
    if run.accuracy:
        rows += _accuracy(run.accuracy, where)
    if run.energy:
        rows.append(("energy", f"[bold]{run.energy.uj:,.1f} uJ {run.energy.kind}[/] per inference"))
        rows.append(("", f"[dim]{escape(run.energy.source)}[/]"))
    if run.toolchain and "name" in run.toolchain:
        rows.append(("compiler", f"[dim]{escape(' '.join(str(run.toolchain.get(k, '')) for k in ('name', 'version')))}[/]"))
    rows += [("[bold yellow]warning[/]", escape(words)) for words in run.warnings or []]
    return rows


def _where(run: Result) -> str:
    if run.device and run.device.simulated:
        return f"simulated board behind {run.device.port}"
    return LINKS.get(run.link, run.link)


def _latency(held: Latency, per_mac: float | None) -> Rows:
    rows = [
        (
            "latency",
            f"[bold]{held.ms:,.2f} ms {held.kind}[/]  {held.cycles:,} cycles" + (f", {per_mac:.2f} per MAC" if per_mac else ""),
        )
    ]
    rows.append(("", f"[dim]{escape(held.method)}[/]"))
    if held.p99_cycles is not None and held.spread is not None:
        rows.append(("", f"p99 {held.p99_cycles:,} cycles, spread {100 * held.spread:.2f} % over {len(held.runs)} runs"))
    if held.board_cycles:
        rows.append(("", f"[dim]{held.board_cycles:,} cycles with the flash's waits[/]"))
    if held.error:
        rows.append(("", f"[dim]error of the estimate: {escape(held.error)}; see docs/CYCLES.md[/]"))
    return rows


def _memory(held: Memory) -> Rows:
    apart = "code and weights not told apart"
    if held.code_bytes is not None and held.weights_bytes is not None:
        apart = f"code {held.code_bytes:,}, weights {held.weights_bytes:,}"
    rows = [
        ("flash", f"{held.flash_bytes:,} bytes: {apart}"),
        ("RAM", f"{held.ram_bytes:,} bytes, of which arena {held.arena_bytes:,}"),
    ]
    if held.stack_bytes is not None:
        rows.append(("stack", f"{held.stack_bytes:,} bytes at its high-water mark"))
    return rows


def verdict(held: Verify, where: str) -> list[str]:
    """ "identical to TFLite Micro <version>: 20 of 20", or how many agree and where the outputs first differ."""
    oracle, count = escape(held.oracle), f"{held.matching:,} of {held.samples:,}"
    if held.identical:
        lines = [f"[green]identical to {oracle}: {count}[/]"]
    elif held.passed:
        lines = [f"[green]within {held.tolerance:g} of {oracle}: {count}[/], largest difference {held.max_abs_diff:.3g}"]
    else:
        lines = [f"[bold red]differs from {oracle}: only {count} agree on the {where}[/]"]
    if held.host_samples:
        style = "dim" if held.host_matching == held.host_samples else "bold red"
        lines.append(f"[{style}]and the host build of the same C: {held.host_matching:,} of {held.host_samples:,}[/]")
    if held.first_difference:
        lines.append(difference(held.first_difference))
    return lines


def difference(d: Difference) -> str:
    """Where outputs first differ, as plain text."""
    return f"first difference: sample {d.sample}, output {d.output}, element {d.element}: {d.got:g} instead of {d.expected:g}"


def _accuracy(held: Accuracy, where: str) -> Rows:
    ran = [f"{held.host_samples:,} on a host build of the same C"] if held.host_samples else []
    if held.board_samples:
        ran.append(f"{held.board_samples:,} {'of them also ' if ran else ''}on the {where}")
    rows = [
        ("accuracy", f"{100 * held.value:.2f} % {held.metric} over {held.samples:,} samples of {escape(held.dataset)}"),
        ("", f"[dim]ran {', '.join(ran)}[/]"),
    ]
    if held.oracle_value is not None:
        same = "the same" if held.oracle_value == held.value else f"[red]{100 * held.oracle_value:.2f} %[/]"
        rows.append(("", f"[dim]the oracle's own accuracy on them: {same}[/]"))
    return rows


def layers(run: Result) -> Grid:
    """Per layer: operator, output shape, MACs, cycles, cycles per MAC, share of the whole with a bar."""
    table = Grid(">#", "operator", "output", ">MACs", ">cycles", ">per MAC", ">share", "", drop=("", "per MAC", "output", "MACs"))
    for held in run.layers or []:
        cycles, share = held.cycles, held.share or 0.0
        table.add_row(
            str(held.index if held.operator is None else held.operator),
            held.op,
            shape(held.shape) if held.shape else escape(held.name),
            f"{held.macs:,}" if held.macs else "",
            f"{cycles:,}" if cycles is not None else "",
            f"{cycles / held.macs:.2f}" if cycles and held.macs else "",
            f"{100 * share:.1f} %",
            bar(share, 12),
        )
    return table


def anchors(run: Result) -> Grid:
    """This run beside what others need for the same model on the same kind of core."""
    table = Grid(
        "the same model elsewhere",
        ">cycles",
        ">per MAC",
        ">this run needs",
        ">arena",
        "figures",
        drop=("per MAC", "arena", "cycles"),
    )
    for a in run.anchors or []:
        cycles, arena = f"{a.cycles:,}" if a.cycles else "", f"{a.arena_bytes:,}" if a.arena_bytes else ""
        table.add_row(escape(a.system), cycles, f"{a.cycles_per_mac:.2f}", f"{a.ratio:.2f} of that", arena, a.kind or "")
    return table


# models


def inspection(plan: Plan, fits: Sequence[Fit]) -> RenderableType:
    """A plan for people: the operators, the memory alive while each runs, and the boards it fits."""
    return Group(operators(plan), boards_fit(fits))


def operators(plan: Plan) -> RenderableType:
    """The operators and the memory alive while each runs."""
    graph, peak = plan.graph, plan.graph.nodes[plan.peak_node]

    def tensor(t: int) -> str:
        return f"{graph.tensors[t].dtype} {shape(graph.tensors[t].shape)}"

    left = f" ({graph.macs - graph.dropped_macs:,} without channels that nobody needs)" if graph.dropped_macs else ""
    head: Rows = [
        ("model", f"{escape(graph.name)}  {graph.scheme}, {graph.macs:,} MACs{left}, {graph.file_bytes:,} bytes"),
        ("sha256", graph.sha256),
        *(("input", _signature(graph.tensors[t])) for t in graph.inputs),
        *(("output", _signature(graph.tensors[t])) for t in graph.outputs),
        ("arena", f"{plan.arena_bytes:,} bytes; most is alive at operator {peak.index}, {peak.code}"),
    ]
    table = Grid(
        ">#",
        "operator",
        "input",
        "output",
        ">MACs",
        ">live bytes",
        "memory over time",
        drop=("input", "memory over time", "MACs"),
    )
    for n, node in enumerate(graph.nodes):
        first = next((t for t in node.inputs if t != ABSENT and not graph.tensors[t].is_const), node.inputs[0])
        macs, live = node.kernel.macs if node.kernel else 0, plan.live_bytes[n]
        held = bar(live / max(1, plan.arena_bytes), 20) + (" ◀ peak" if n == plan.peak_node else "")
        table.add_row(
            str(node.index), node.code, tensor(first), tensor(shown(node)), f"{macs:,}" if macs else "", f"{live:,}", held
        )
    return Group(pairs(head), table)


def _signature(tensor: Tensor) -> str:
    told = f"{escape(tensor.name)}  {tensor.dtype} {shape(tensor.shape)}"
    if tensor.quant is not None and tensor.quant.per_tensor and tensor.dtype != "float32":
        told += f", real = {tensor.scale:.6g} * (q - {tensor.zero_point})"
    return told


def boards_fit(fits: Sequence[Fit]) -> Grid:
    """Per board: needed and available bytes, and "fits" or "exceeds by N bytes"."""
    table = Grid("board", ">flash needed", ">of flash", ">RAM needed", ">of RAM", "", drop=("of flash", "of RAM"))
    for held in fits:
        over = [f"{kind} by {n:,} bytes" for kind, n in (("flash", held.flash_over), ("RAM", held.ram_over)) if n]
        needs = (held.flash_needed, held.board.flash_available, held.ram_needed, held.board.ram_available)
        told = f"[red]exceeds {' and '.join(over)}[/]" if over else "[green]fits[/]"
        table.add_row(escape(held.board.name), *(f"{n:,}" for n in needs), told)
    return table


def tried(kernels: Sequence[Tried]) -> Grid:
    """The kernels of each layer that has several; the one taken is marked."""
    table = Grid(">#", "operator", "output", "kernel", ">cycles", ">flash", ">arena", "", drop=("output", "arena"))
    before = None
    for held in kernels:
        first = held.operator != before
        before = held.operator
        told = (str(held.operator), held.code, shape(held.shape)) if first else ("", "", "")
        mark = "[green]◀ taken[/]" if held.taken else ""
        table.add_row(*told, held.kernel, f"{held.cycles:,}", f"{held.constants:,}", f"{held.arena:,}", mark)
    return table


# boards


def boards(known: Sequence[Board], default: str = "") -> Grid:
    """One line per board; memory is what a program may use. The board named `default` is marked."""
    table = Grid(
        "board",
        "title",
        "core",
        ">MHz",
        ">flash KB",
        ">RAM KB",
        "simulators",
        "verified",
        drop=("simulators", "title"),
    )
    for held in known:
        simulators = ", ".join(held.simulators.model_dump(exclude_none=True))
        memory = (f"{held.flash_available // 1024:,}", f"{held.ram_available // 1024:,}")
        table.add_row(
            escape(held.name) + (" *" if held.name == default else ""),
            escape(held.title),
            held.core,
            f"{held.clock_hz / 1e6:g}",
            *memory,
            simulators,
            held.verified,
        )
    return table


def board(held: Board) -> RenderableType:
    """All that the board's file says, section by section."""
    rows: Rows = [(name, escape(_plain(name, value))) for name, value in held.model_dump(exclude_none=True).items() if value]
    rows.append(("for programs", f"flash {held.flash_available:,} bytes, RAM {held.ram_available:,} bytes"))
    return pairs(rows)


def _plain(name: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{k} {_plain(k, v)}" if v is not True else k for k, v in value.items() if v is not False and v not in ("", (), {})
        )
    if isinstance(value, (list, tuple)):
        return "\n".join(_plain(name, v) for v in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"0x{value:x}" if name in ("origin", "vid", "pid") else f"{value:,}"
    return str(value)


def doctor(rows: Sequence[Check]) -> RenderableType:
    """One line per check; for what is missing, the command that brings it."""
    table = Grid("", "what", "found", "used for", drop=("used for",))
    for row in rows:
        mark = "[green]✔[/]" if row.ok else "[red]✘[/]" if row.needed else "[yellow]–[/]"
        table.add_row(mark, row.name, escape(row.found) or ("missing" if row.needed else "not there (optional)"), escape(row.use))
    missing: Rows = [(f"  {row.name}", escape(row.brings)) for row in rows if not row.ok]
    return Group(table, *(["To bring what is missing:", pairs(missing)] if missing else ["Everything is there."]))


# the demo


def picture(image: Sequence[Sequence[int]]) -> list[str]:
    """A grey-level image (rows of 0..255) as lines of text, two characters per pixel so that pixels come out square."""
    return ["".join(SHADES[int(v) * len(SHADES) // 256] * 2 for v in row) for row in image]


def gallery(images: Sequence[Sequence[Sequence[int]]], captions: Sequence[str]) -> list[str]:
    """Pictures side by side, each with its caption underneath."""
    columns = [[*picture(image), caption] for image, caption in zip(images, captions, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip_longest(*columns, fillvalue="")
    ]

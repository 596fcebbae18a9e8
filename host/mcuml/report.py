"""Results, plans and boards as rich renderables for a terminal. Builds tables; prints nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mcuml.board import Board
from mcuml.doctor import Check
from mcuml.fit import Fit
from mcuml.graph import ABSENT
from mcuml.plan import Plan
from mcuml.results import Result, Verify

BAR_CELLS = 24
EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """`share` (0..1) of `cells` as block characters, in steps of an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(cells)


def shape(dims: Sequence[int]) -> str:
    return "x".join(map(str, dims)) or "scalar"


def _pairs(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _grid(*columns: tuple[str, str], title: str | None = None) -> Table:
    """A table with a rule under its head; `columns` are (heading, "left" or "right")."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for heading, side in columns:
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=side == "right")
    return table


# results


def result(run: Result) -> RenderableType:
    """Everything a Result knows: the summary, the layers, the distance to others, the verdict."""
    parts: list[RenderableType] = [_pairs(summary_rows(run))]
    if run.layers and any(layer.cycles is not None for layer in run.layers):
        parts.append(layers(run))
    if run.anchors:
        parts.append(anchors(run))
    return Group(*parts)


def summary_rows(run: Result) -> list[tuple[str, str]]:
    model, board, rows = run.model, run.board, []
    rows.append(("model", f"{escape(model.name)}  {model.scheme}, {model.macs:,} MACs, {model.bytes:,} bytes"))
    where = {"virtual": "virtual board", "serial": "real board"}.get(run.link, run.link)
    rows.append(("board", f"{escape(board.name)}  {board.core} at {board.clock_hz / 1e6:g} MHz ({where})"))
    if run.latency:
        held = run.latency
        per_mac = f", {run.cycles_per_mac:.2f} cycles/MAC" if run.cycles_per_mac else ""
        rows.append(("latency", f"[bold]{held.ms:,.2f} ms {held.kind}[/]  {held.cycles:,} cycles{per_mac}"))
        rows.append(("", f"[dim]{escape(held.method)}[/]"))
        if held.ms_upper is not None and held.cycles_upper is not None:
            rows.append(("", f"[dim]at most {held.ms_upper:,.2f} ms ({held.cycles_upper:,} cycles) if every flash wait state stalls the core[/]"))
    if run.memory:
        m = run.memory
        rows.append(("flash", f"{m.flash_bytes:,} bytes: code {m.code_bytes:,}, weights {m.weights_bytes:,}"))
        rows.append(("RAM", f"{m.ram_bytes:,} bytes static, of which arena {m.arena_bytes:,}"))
        if m.stack_bytes is not None:
            rows.append(("stack", f"{m.stack_bytes:,} bytes at its high-water mark"))
    if run.verify:
        rows.append(("verify", verdict(run.verify)))
    if run.accuracy:
        a = run.accuracy
        ran = f"{a.host_samples:,} on a host build of the same C" if a.host_samples else ""
        board_ran = f"{a.board_samples:,} {'of them ' if a.host_samples else ''}on the {where}" if a.board_samples else ""
        rows.append(("accuracy", f"{100 * a.value:.2f} % {a.metric} over {a.samples:,} samples of {escape(a.dataset)}"))
        rows.append(("", f"[dim]{', '.join(part for part in (ran, board_ran) if part)}[/]"))
        if a.oracle_value is not None:
            same = "the same" if a.oracle_value == a.value else f"[red]{100 * a.oracle_value:.2f} %[/]"
            rows.append(("", f"[dim]the oracle's accuracy on them: {same}[/]"))
    if run.toolchain and run.toolchain.get("name"):
        rows.append(("compiler", escape(f"{run.toolchain['name']} {run.toolchain.get('version', '')} {run.toolchain.get('model_flags', '')}".strip())))
    return rows


def verdict(verify: Verify) -> str:
    """"identical to TFLite Micro 0.1: 20 of 20", or where the outputs first differ."""
    if verify.identical:
        text = f"[green]identical to {escape(verify.oracle)}: {verify.matching} of {verify.samples}[/]"
    elif verify.passed:
        text = f"[green]within {verify.tolerance:g} of {escape(verify.oracle)}: {verify.matching} of {verify.samples}[/], largest difference {verify.max_abs_diff:.3g}"
    else:
        text = f"[bold red]differs from {escape(verify.oracle)}: only {verify.matching} of {verify.samples} agree[/]"
        if verify.first_difference:
            d = verify.first_difference
            text += f"; first at sample {d.sample}, output {d.output}, element {d.element}: {d.got:g} instead of {d.expected:g}"
    if verify.host_samples:
        text += f"; host build: {verify.host_matching:,} of {verify.host_samples:,}"
    return text


def layers(run: Result) -> Table:
    """Per layer: operator, output shape, MACs, cycles, cycles per MAC, share of the whole with a bar."""
    table = _grid(
        ("layer", "right"), ("operator", "left"), ("output", "left"), ("MACs", "right"), ("cycles", "right"), ("cyc/MAC", "right"),
        ("share", "right"), ("", "left"),
    )  # fmt: skip
    for layer in run.layers or []:
        cycles, share = layer.cycles, layer.share or 0.0
        table.add_row(
            str(layer.index), layer.op, shape(layer.shape) if layer.shape else escape(layer.name), f"{layer.macs:,}" if layer.macs else "",
            f"{cycles:,}" if cycles is not None else "", f"{cycles / layer.macs:.2f}" if cycles and layer.macs else "",
            f"{100 * share:.1f} %", bar(share, 12),
        )  # fmt: skip
    return table


def anchors(run: Result) -> Table:
    """This run beside what others need for the same model on the same kind of core."""
    table = _grid(
        ("same model elsewhere", "left"), ("cycles", "right"), ("cyc/MAC", "right"), ("this run needs", "right"), ("arena", "right"), ("figures", "left")
    )
    for a in run.anchors or []:
        table.add_row(
            escape(a.system), f"{a.cycles:,}" if a.cycles else "", f"{a.cycles_per_mac:.2f}", f"{a.ratio:.2f} x its cycles",
            f"{a.arena_bytes:,}" if a.arena_bytes else "", a.kind or "",
        )  # fmt: skip
    return table


# models


def inspection(plan: Plan, fits: Sequence[Fit]) -> RenderableType:
    """A plan for people: the operators, the memory alive while each runs, and the boards it fits."""
    graph = plan.graph

    def tensor(t: int) -> str:
        return f"{graph.tensors[t].dtype} {shape(graph.tensors[t].shape)}"

    head = [
        ("model", f"{escape(graph.name)}  {graph.scheme}, {graph.macs:,} MACs, {graph.file_bytes:,} bytes"),
        ("sha256", graph.sha256),
        *(("input", f"{escape(graph.tensors[t].name)}  {tensor(t)}{_quantization(graph.tensors[t])}") for t in graph.inputs),
        *(("output", f"{escape(graph.tensors[t].name)}  {tensor(t)}{_quantization(graph.tensors[t])}") for t in graph.outputs),
        ("arena", f"{plan.arena_bytes:,} bytes, peak at operator {graph.nodes[plan.peak_node].index} ({graph.nodes[plan.peak_node].code})"),
    ]
    table = _grid(("#", "right"), ("operator", "left"), ("input", "left"), ("output", "left"), ("MACs", "right"), ("live bytes", "right"), ("memory over time", "left"))
    for n, node in enumerate(graph.nodes):
        macs = node.kernel.macs if node.kernel else 0
        first = next((t for t in node.inputs if t != ABSENT and not graph.tensors[t].is_const), node.inputs[0])
        live = plan.live_bytes[n]
        peak = " ◀ peak" if n == plan.peak_node else ""
        table.add_row(
            str(node.index), node.code, tensor(first), tensor(node.outputs[0]), f"{macs:,}" if macs else "", f"{live:,}",
            f"{bar(live / plan.arena_bytes) if plan.arena_bytes else ''}{peak}",
        )  # fmt: skip
    return Group(_pairs(head), table, boards_fit(fits))


def _quantization(tensor: object) -> str:
    quant = getattr(tensor, "quant", None)
    if quant is None or not quant.per_tensor:
        return ""
    return f", real = {float(quant.scale[0]):.6g} * (q - {int(quant.zero_point[0])})"


def boards_fit(fits: Sequence[Fit]) -> Table:
    """Per board: needed and available bytes, and "fits" or "exceeds by N bytes"."""
    table = _grid(("board", "left"), ("flash needed", "right"), ("of", "right"), ("RAM needed", "right"), ("of", "right"), ("", "left"))
    for held in fits:
        over = [f"{kind} by {n:,} bytes" for kind, n in (("flash", held.flash_over), ("RAM", held.ram_over)) if n]
        table.add_row(
            escape(held.board.name), f"{held.flash_needed:,}", f"{held.board.flash_available:,}", f"{held.ram_needed:,}",
            f"{held.board.ram_available:,}", f"[red]exceeds {' and '.join(over)}[/]" if over else "[green]fits[/]",
        )  # fmt: skip
    return table


# boards


def boards(known: Sequence[Board]) -> Table:
    """One line per board."""
    table = _grid(("board", "left"), ("MCU", "left"), ("core", "left"), ("MHz", "right"), ("flash", "right"), ("RAM", "right"), ("verified", "left"))
    for held in known:
        table.add_row(
            escape(held.name), escape(held.mcu), held.core, f"{held.clock_hz / 1e6:g}", f"{held.flash_available // 1024:,} KB",
            f"{held.ram_available // 1024:,} KB", held.verified,
        )  # fmt: skip
    return table


def board(held: Board) -> RenderableType:
    """All that the board's file says, section by section."""
    rows: list[tuple[str, str]] = []
    for name, value in held.model_dump(exclude_none=True).items():
        if isinstance(value, dict):
            rows.append((name, ", ".join(f"{k} {_plain(k, v)}" for k, v in value.items())))
        else:
            rows.append((name, escape(_plain(name, value))))
    rows.append(("for programs", f"flash {held.flash_available:,} bytes, RAM {held.ram_available:,} bytes"))
    return _pairs(rows)


def _plain(name: str, value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} {_plain(k, v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(name, v) for v in value) or "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if name in ("origin", "base") else f"{value:,}"
    return Text(str(value)).plain


def doctor(rows: Sequence[Check]) -> RenderableType:
    """One line per check; for what is missing, the command that brings it."""
    table = _grid(("", "left"), ("what", "left"), ("found", "left"), ("used for", "left"))
    for row in rows:
        mark = "[green]✔[/]" if row.ok else "[red]✘[/]" if row.needed else "[yellow]–[/]"
        table.add_row(mark, row.name, escape(row.found) or ("missing" if row.needed else "not there (optional)"), escape(row.use))
    missing = [(row.name, row.brings) for row in rows if not row.ok]
    if not missing:
        return Group(table, "Everything is there.")
    return Group(table, "To bring what is missing:", _pairs([(f"  {name}", escape(command)) for name, command in missing]))


# the demo


def picture(image: Sequence[Sequence[int]]) -> list[str]:
    """A grey-level image (rows of 0..255) as lines of text, two characters per pixel so that pixels come out square."""
    shades = " ░▒▓█"
    return ["".join(shades[v * len(shades) // 256] * 2 for v in map(int, row)) for row in image]

"""Runs generated C on QEMU's machines, a second opinion beside Unicorn: a bare image that uses files by semihosting."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuml import toolchain
from mcuml.cores import CORES
from mcuml.link.qemu import PROGRAMS, Program
from ops.builds import link
from ops.harness import Case

LIMIT_S = 120


@dataclass(frozen=True)
class Machine:
    """A machine of QEMU. first: where the core starts; code, data: where its memories begin; size: bytes of
    the second."""

    program: Program
    title: str
    options: tuple[str, ...]
    first: int
    code: int
    data: int
    size: int


def _arm(title: str, *options: str, first: int = 0, code: int = 0x1000, data: int = 0x20000000, size: int = 4 << 20) -> Machine:
    return Machine(PROGRAMS["arm"], title, ("-machine", title, *options), first, code, data, size)


# The micro:bit has 256 KB of flash and 16 KB of RAM; the models of a test together need more.
_ROOM = ("-global", "nrf51-soc.flash-size=4194304", "-global", "nrf51-soc.sram-size=1048576")
MACHINES = {
    "cortex-m0plus": _arm("microbit", *_ROOM, size=1 << 20),
    "cortex-m3": _arm("mps2-an385"),
    "cortex-m4f": _arm("mps2-an386"),
    "cortex-m7": _arm("mps2-an500"),
    "cortex-m33": _arm("mps2-an505", first=0x10000000, code=0x10001000, data=0x38000000),
    "cortex-m55": _arm("mps3-an547", code=0x01000000, data=0x21000000, size=2 << 20),
    "rv32imc": Machine(PROGRAMS["riscv"], "virt",
                       ("-machine", "virt", "-bios", "none", "-cpu", "rv32,a=off,f=off,d=off"),
                       0x80000000, 0x80001000, 0x80800000, 4 << 20),
    "aarch64": Machine(PROGRAMS["aarch64"], "user mode", (), 0x400000, 0x401000, 0x800000, 4 << 20),
}  # fmt: skip
SCRIPT = """SECTIONS
{{
    . = {first:#x};
    .vectors : {{ KEEP(*(.vectors)) }}
    . = {code:#x};
    .text : {{ *(.text .text.* .rodata .rodata.* .srodata .srodata.*) }}
    .ARM.exidx : {{ *(.ARM.exidx*) }}
    . = {data:#x};
    .data : {{ *(.data .data.* .sdata .sdata.*) }}
    .bss : {{ *(.bss .bss.* .sbss .sbss.* COMMON) }}
    __stack_top = {top:#x};
}}
"""


def missing(core: str) -> str:
    """A sentence about what QEMU lacks to run `core`; "" when it can."""
    machine = MACHINES.get(core)
    if machine is None:
        return f"QEMU has no machine for {CORES[core].title} here."
    brings = machine.program.missing
    return brings and f"{machine.program.name} is not on PATH. {brings}"


def run(core: str, cases: Sequence[Case], compiler: str = "") -> list[list[list[bytes]]]:
    """Per case and sample the bytes of each output, the samples one after the other. Raises AssertionError with what the
    compiler or QEMU says."""
    machine, tools = MACHINES[core], toolchain.find(CORES[core], compiler)
    with tempfile.TemporaryDirectory(prefix="mcuml-qemu-") as place:
        folder = Path(place)
        top = machine.data + machine.size
        (folder / "script.ld").write_text(SCRIPT.format(first=machine.first, code=machine.code, data=machine.data, top=top))
        (folder / "models.h").write_text(_table(cases))
        shutil.copy(Path(__file__).parent / "semihosting.c", folder)
        (folder / "in.bin").write_bytes(b"".join(v.tobytes() for c in cases for sample in c.inputs for v in sample))
        elf = link(tools, cases, folder, "semihosting.c", "-I.", "-Wl,--entry=core_start")
        done = subprocess.run(_command(machine, elf), cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, f"{machine.program.name} ended with {done.returncode}: {done.stderr[-500:]}"
        return _parted((folder / "out.bin").read_bytes(), cases)


def _command(machine: Machine, elf: Path) -> list[str]:
    if machine.program == PROGRAMS["aarch64"]:
        return [machine.program.name, elf.name]
    quiet = ("-nodefaults", "-nographic", "-monitor", "none", "-serial", "none")
    return [machine.program.name, *machine.options, *quiet, "-semihosting-config", "enable=on,target=native", "-kernel", elf.name]


def _sizes(case: Case) -> tuple[list[int], list[int]]:
    graph = case.planned.graph
    return [graph.tensors[t].bytes for t in graph.inputs], [graph.tensors[t].bytes for t in graph.outputs]


def _table(cases: Sequence[Case]) -> str:
    """The C header that tells semihosting.c which models there are."""
    rows = []
    for case in cases:
        (taken, given), p = _sizes(case), case.prefix
        numbers = ", ".join(map(str, [*taken, *given]))
        rows.append(
            f"    {{{p}_init, {p}_input, {p}_invoke, {p}_output, {len(case.inputs)}, {len(taken)}, {len(given)}, {{{numbers}}}}},"
        )
    widest = max(sum(map(len, _sizes(case))) for case in cases)
    head = [f'#include "{case.prefix}.h"' for case in cases]
    kind = (
        "typedef struct { void (*init)(void *); void *(*input)(void *, int); int (*invoke)(void *);"
        f" const void *(*output)(const void *, int); int runs, inputs, outputs; uint32_t bytes[{widest}]; }} model;"
    )
    largest = max(16, *(case.planned.arena_bytes for case in cases))
    lines = [*head, f"#define LARGEST_ARENA {largest}", kind, "static const model models[] = {", *rows, "};"]
    return "\n".join(lines) + "\n"


def _parted(data: bytes, cases: Sequence[Case]) -> list[list[list[bytes]]]:
    answers, at = [], 0
    for case in cases:
        per_sample = []
        for _ in case.inputs:
            outputs = []
            for size in _sizes(case)[1]:
                outputs.append(data[at : at + size])
                at += size
            per_sample.append(outputs)
        answers.append(per_sample)
    assert at == len(data), f"{len(data)} bytes came out, not {at}"
    return answers

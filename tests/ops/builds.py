"""Where the tests of operators run the generated C: on this computer, and on other cores in Unicorn without firmware around it.

A build takes many models at once. Memory outside the arena is not there (simulated), or must not change (host)."""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile

from mcuml import pio, render, toolchain
from mcuml.cores import CORES
from ops.processors import Processor

UNIT = "models.c"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


class Model(Protocol):
    """What a build needs to know of a case: its prefix, its plan and its C."""

    prefix: str
    planned: Any
    files: Any


# A static function or a type at the top level, with the comment in front of it.
_DEFINITION = re.compile(
    r"(?:^/\*(?:(?!\*/).)*\*/\n)?^(?:static [^;]*?\n\{\n.*?^\}\n|typedef struct[^;{]*\{.*?^\} [^\n]*\n)", re.MULTILINE | re.DOTALL
)


def _unit(models: Sequence[Model]) -> str:
    """The C of all models in one translation unit. A kernel stands once for all of them, as it does for all layers of one
    model; two kernels of one name thus collide here, although no case alone has both."""
    seen: set[str] = set()

    def once(found: re.Match[str]) -> str:
        new = found.group() not in seen
        seen.add(found.group())
        return found.group() if new else ""

    return "".join(_DEFINITION.sub(once, text) for m in models for name, text in m.files.items() if name.endswith(".c"))


def _compile(command: Sequence[str], models: Sequence[Model], folder: Path) -> None:
    """One compiler run for all models; "@" in `command` is their C. Raises AssertionError with what the compiler says."""
    for model in models:
        render.write({name: text for name, text in model.files.items() if name.endswith(".h")}, folder)
    (folder / UNIT).write_text(_unit(models))
    words = [UNIT if word == "@" else word for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=pio.environment())
    assert done.returncode == 0, done.stderr


class Host:
    """All models in one shared library; their arenas lie between canaries."""

    GUARD = 4096

    def __init__(self, models: Sequence[Model], compiler: str = ""):
        tools = toolchain.host(compiler)
        flags = ("-std=c99", "-O1", "-ffp-contract=off", "-shared", "-fPIC", *WARNINGS)
        with tempfile.TemporaryDirectory(prefix="mcuml-ops-", ignore_cleanup_errors=True) as folder:
            _compile([*tools.command, *flags, *tools.compile, "@", "-o", "models.so", "-lm"], models, Path(folder))
            self._library = ctypes.CDLL(str(Path(folder) / "models.so"))

    def run(self, model: Model, inputs: Sequence[np.ndarray], number: int) -> list[bytes]:
        """The bytes of each output. Raises AssertionError when a byte around the arena changed."""
        return self.sequence(model, [inputs], number)[0]

    def sequence(self, model: Model, samples: Sequence[Sequence[np.ndarray]], number: int) -> list[list[bytes]]:
        """As run(), for one sample after the other without clearing the state in between."""
        source, target = (getattr(self._library, f"{model.prefix}_{end}") for end in ("input", "output"))
        source.restype = target.restype = ctypes.c_void_p
        size, graph = model.planned.arena_bytes, model.planned.graph
        canary = np.random.default_rng(number).integers(0, 256, size + 2 * self.GUARD, dtype=np.uint8).tobytes()
        buffer = ctypes.create_string_buffer(len(canary) + render.ARENA_ALIGN)
        start = -(-ctypes.addressof(buffer) // render.ARENA_ALIGN) * render.ARENA_ALIGN
        ctypes.memmove(start, canary, len(canary))
        arena = ctypes.c_void_p(start + self.GUARD)
        getattr(self._library, f"{model.prefix}_init")(arena)
        answers, kept = [], _kept(model)
        for inputs in samples:
            for i, value in enumerate(inputs):
                ctypes.memmove(source(arena, i), value.tobytes(), value.nbytes)
            before = ctypes.string_at(arena, size)
            assert getattr(self._library, f"{model.prefix}_invoke")(arena) == 0, "invoke returned an error"
            answers.append([ctypes.string_at(target(arena, i), graph.tensors[t].bytes) for i, t in enumerate(graph.outputs)])
            _check(kept, before, ctypes.string_at(arena, size))
        after = ctypes.string_at(start, len(canary))
        assert after[: self.GUARD] == canary[: self.GUARD], "bytes in front of the arena changed"
        assert after[self.GUARD + size :] == canary[self.GUARD + size :], "bytes behind the arena changed"
        return answers


PAGE = 0x1000
CODE, DATA, EXIT, ARENA, STACK = 0x10000, 0x10000000, 0x18000000, 0x20000000, 0x30000000  # a core runs nothing from 0x40000000 on
STACK_BYTES = 4 * PAGE
SCRIPT = f"""SECTIONS
{{
    . = {CODE:#x};
    .text : {{ *(.text .text.* .rodata .rodata.* .srodata .srodata.*) }}
    .ARM.exidx : {{ *(.ARM.exidx*) }}
    . = {DATA:#x};
    .data : {{ *(.data .data.* .sdata .sdata.*) }}
    .bss : {{ *(.bss .bss.* .sbss .sbss.* COMMON) }}
}}
"""


def link(tools: toolchain.Toolchain, models: Sequence[Model], folder: Path, *more: str) -> Path:
    """An ELF of all models and the C files `more`, laid out by script.ld, all of it in `folder`."""
    flags = (*tools.machine, *render.COMPILER_FLAGS, *tools.compile, *WARNINGS)
    libraries = [str(path) for place in tools.sources for path in sorted(Path(place).glob("*.c"))]
    # Compiling and linking in one run, zig's clang finds flags of one half unused in the other.
    last = (
        "-Wno-unused-command-line-argument",
        *(flag for flag in tools.link if flag not in flags),  # the files that --specs names must not be read twice
        "-Tscript.ld",
        "-Wl,--no-gc-sections",
        *(f"-l{name}" for name in tools.libs),
    )
    _compile([*tools.command, *flags, "@", *more, *libraries, *last, "-o", "image.elf"], models, folder)
    return folder / "image.elf"


class Simulated:
    """All models in one image for `core`, run function by function. What a model reads or writes outside its code, its
    constants, its arena and 16 KB of stack faults: the arena touches unmapped memory at its front and at its end in turn."""

    def __init__(self, core: str, models: Sequence[Model], compiler: str = ""):
        tools = toolchain.find(CORES[core], compiler)
        with tempfile.TemporaryDirectory(prefix="mcuml-ops-") as folder:
            (Path(folder) / "script.ld").write_text(SCRIPT)
            elf = link(tools, models, Path(folder))
            with elf.open("rb") as file:
                self._load(core, ELFFile(file), {model.prefix for model in models})

    def _load(self, core: str, elf: ELFFile, prefixes: set[str]) -> None:
        self._processor = Processor(CORES[core])
        self._uc = self._processor.uc
        mapped: set[int] = set()
        for segment in elf.iter_segments("PT_LOAD"):
            address, data = segment["p_vaddr"], segment.data().ljust(segment["p_memsz"], b"\0")
            if data:
                rights = unicorn.UC_PROT_ALL if address >= DATA else unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
                for page in set(range(address // PAGE, _pages(address + len(data)) // PAGE)) - mapped:
                    self._uc.mem_map(page * PAGE, PAGE, rights)
                    mapped.add(page)  # segments may share one
                self._uc.mem_write(address, data)
        self._uc.mem_map(STACK, STACK_BYTES)
        self._uc.mem_map(EXIT, PAGE)
        self._symbols, unit = {}, ""
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            kind, name, address = symbol["st_info"]["type"], symbol.name, symbol["st_value"]
            unit = name if kind == "STT_FILE" else unit
            mine = (unit == UNIT and symbol["st_info"]["bind"] == "STB_LOCAL") or name.split("_")[0] in prefixes
            assert not (kind == "STT_OBJECT" and mine and address >= DATA), f"{name} of {unit} is a mutable global"
            self._symbols[name] = address

    def _call(self, function: str, *arguments: int) -> int:
        """What function(*arguments) returns. Raises AssertionError on a fault."""
        try:
            result = self._processor.call(self._symbols[function], arguments, STACK + STACK_BYTES, EXIT)
        except unicorn.UcError as error:
            raise AssertionError(f"{function}: {error} at {self._place()}") from None
        assert self._processor.pc == EXIT, f"{function} stopped at {self._place()}"
        return result

    def _place(self) -> str:
        pc = self._processor.pc
        name = max((a & ~1, n) for n, a in self._symbols.items() if n and not n.startswith("$") and a & ~1 <= pc)[1]
        return f"{pc:#x}, in {name}"

    def run(self, model: Model, inputs: Sequence[np.ndarray], number: int) -> list[bytes]:
        """The bytes of each output; `number` even: the arena's front, odd: its end touches unmapped memory."""
        return self.sequence(model, [inputs], number)[0]

    def sequence(self, model: Model, samples: Sequence[Sequence[np.ndarray]], number: int) -> list[list[bytes]]:
        """As run(), for one sample after the other without clearing the state in between."""
        size, graph = model.planned.arena_bytes, model.planned.graph
        room = _pages(max(1, size))
        arena = ARENA + (room - size if number % 2 else 0)
        canary = np.random.default_rng(number).integers(0, 256, room, dtype=np.uint8).tobytes()
        self._uc.mem_map(ARENA, room, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        try:
            self._uc.mem_write(ARENA, canary)
            self._call(f"{model.prefix}_init", arena)
            answers, kept = [], _kept(model)
            for inputs in samples:
                for i, value in enumerate(inputs):
                    self._uc.mem_write(self._call(f"{model.prefix}_input", arena, i), value.tobytes())
                before = bytes(self._uc.mem_read(arena, size)) if size else b""
                assert self._call(f"{model.prefix}_invoke", arena) == 0
                places = [(self._call(f"{model.prefix}_output", arena, i), t) for i, t in enumerate(graph.outputs)]
                answers.append([bytes(self._uc.mem_read(place, graph.tensors[t].bytes)) for place, t in places])
                _check(kept, before, bytes(self._uc.mem_read(arena, size)) if size else b"")
            after = bytes(self._uc.mem_read(ARENA, room))
            first = arena - ARENA
            end = first + size
            assert after[:first] + after[end:] == canary[:first] + canary[end:], "bytes outside the arena changed"
            return answers
        finally:
            self._uc.mem_unmap(ARENA, room)


def _kept(model: Model) -> np.ndarray:
    """Of each byte of the arena whether an invocation must leave it as it was: it is in no output of an operator, no state and no
    scratch. A kernel that writes one element too many is seen by it, whatever lies behind its output."""
    planned, tensors = model.planned, model.planned.graph.tensors
    kept = np.ones(planned.arena_bytes, bool)
    written = {t for node in planned.graph.nodes for t in node.outputs} | {t for t, held in enumerate(tensors) if held.variable}
    places = [(planned.offsets[t], tensors[t].bytes) for t in written]
    places += [(o, node.kernel.scratch) for o, node in zip(planned.scratch, planned.graph.nodes, strict=True)]
    for offset, size in places:
        if offset is not None:
            kept[offset : offset + size] = False
    return kept


def _check(kept: np.ndarray, before: bytes, after: bytes) -> None:
    changed = np.flatnonzero((np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)) & kept)
    assert changed.size == 0, f"byte {changed[0]} of the arena, which is in no operator's output or scratch, changed"


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def build(kind: str, models: Sequence[Model], compiler: str = "") -> Host | Simulated:
    """`models` for "host", or for the core of that name; with the compiler of that kind ("" = the usual one)."""
    return Host(models, compiler) if kind == "host" else Simulated(kind, models, compiler)

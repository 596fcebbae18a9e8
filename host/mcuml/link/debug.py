"""What the ELF knows about itself: segments, vector table, functions, and source lines from DWARF."""

from __future__ import annotations

import bisect
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from mcuml.errors import LinkError


class Program:
    """An ELF, read once. segments: (load address, bytes); vectors: address of the vector table;
    symbols, sizes: address and bytes of each name."""

    def __init__(self, path: Path):
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                elf = ELFFile(file)
                self.segments = tuple(
                    (s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]
                )
                table: Any = elf.get_section_by_name(".symtab")
                symbols = list(table.iter_symbols()) if table else []
        except (OSError, ELFError) as error:
            raise LinkError(
                f"Cannot read the firmware {self.path}.", f"{type(error).__name__}: {error}", "Build it again: mcuml build"
            ) from error
        if not self.segments:
            raise LinkError(f"The firmware {self.path} has nothing to load.", "", "Build it again: mcuml build")
        self._functions = sorted(
            (s["st_value"] & ~1, s["st_size"], s.name) for s in symbols if s["st_info"]["type"] == "STT_FUNC"
        )
        self.symbols = {s.name: s["st_value"] for s in symbols if s.name}
        self.sizes = {s.name: s["st_size"] for s in symbols if s.name}
        self.vectors: int = self.symbols.get("__vectors", min(address for address, _ in self.segments))

    def function(self, address: int) -> str:
        """Name of the function at `address`; "" when there is none."""
        i = bisect.bisect_right(self._functions, (address, 1 << 62, "")) - 1
        if i < 0:
            return ""
        start, size, name = self._functions[i]
        return name if address < start + max(size, 2) else ""

    def span(self, function: str) -> tuple[int, int] | None:
        """First and last byte of `function`; None where there is none."""
        return next(((start, start + size - 1) for start, size, name in self._functions if name == function and size), None)

    def where(self, address: int) -> str:
        """ "0x000012a4 in conv_3 (model.c:210)", as far as the ELF tells."""
        function = self.function(address)
        i = bisect.bisect_right(self._lines, (address, "~", 0)) - 1
        line = self._lines[i] if i >= 0 and function else None
        text = f"{address:#010x}" + (f" in {function}" if function else ", where there is no function")
        return text + (f" ({line[1]}:{line[2]})" if line and line[2] else "")

    @cached_property
    def _lines(self) -> list[tuple[int, str, int]]:
        """(address, file, line) in order of address; (end, "", 0) closes a sequence."""
        rows: list[tuple[int, str, int]] = []
        with self.path.open("rb") as file:
            elf = ELFFile(file)
            if not elf.has_dwarf_info():
                return rows
            dwarf = elf.get_dwarf_info()
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                if program is None:
                    continue
                files = program.header["file_entry"]
                first = 0 if program.header["version"] >= 5 else 1
                for entry in program.get_entries():
                    state = entry.state
                    if state is None:
                        continue
                    if state.end_sequence:
                        rows.append((state.address, "", 0))
                    elif 0 <= state.file - first < len(files):
                        rows.append(
                            (state.address, Path(files[state.file - first].name.decode("utf-8", "replace")).name, state.line)
                        )
        return sorted(rows)

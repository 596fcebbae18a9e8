"""What a linked ELF takes: flash, weights and static RAM, from its section table and its symbols."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


@dataclass(frozen=True)
class Sizes:
    """Bytes. flash: all that is stored (code, constants, initial values); weights: the model's constants, within flash, 0 where
    nothing tells them apart; ram: .data, .bss and what else a linker script keeps writable (initial values count in flash and
    in RAM)."""

    flash: int
    weights: int
    ram: int


def sizes(elf: Path, constants: Collection[str] = ()) -> Sizes:
    """Sizes of the ELF file at that path. The weights are its section .weights; a vendor's linker script has none, and there they
    are the objects named `constants`."""
    flash = weights = ram = named = 0
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, SymbolTableSection) and section.name == ".symtab":
                named = sum(symbol["st_size"] for symbol in section.iter_symbols() if symbol.name in constants)
            flags, size = section["sh_flags"], section["sh_size"]
            if not flags & SH_FLAGS.SHF_ALLOC:
                continue
            flash += 0 if section["sh_type"] == "SHT_NOBITS" else size
            weights += size if section.name == ".weights" else 0
            ram += size if flags & SH_FLAGS.SHF_WRITE else 0
    return Sizes(flash, weights or named, ram)

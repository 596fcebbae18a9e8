"""What a linked ELF takes: flash, weights and static RAM, from its section table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile


@dataclass(frozen=True)
class Sizes:
    """Bytes. flash: all that is stored (code, constants, initial values); weights: the section .weights, the model's
    constants, within flash; ram: .data and .bss (initial values count in flash and in RAM)."""

    flash: int
    weights: int
    ram: int


def sizes(elf: Path) -> Sizes:
    """Sizes of the ELF file at that path."""
    flash = weights = ram = 0
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags, size = section["sh_flags"], section["sh_size"]
            if not flags & SH_FLAGS.SHF_ALLOC:
                continue
            flash += 0 if section["sh_type"] == "SHT_NOBITS" else size
            weights += size if section.name == ".weights" else 0
            ram += size if flags & SH_FLAGS.SHF_WRITE else 0
    return Sizes(flash, weights, ram)

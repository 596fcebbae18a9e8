"""What an object and the image that it was linked into tell of a model's functions: bytes, library symbols, equal code."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mcuml.code_size import Function

OWN = ("model_init", "model_input", "model_output", "model_invoke")
CODE, FLASH = ".text", (".text", ".rodata", ".srodata", ".data", ".sdata")


@dataclass(frozen=True)
class Row:
    """One function: the bytes of its code as linked and of the constants that only it has; the library's symbols that it
    names; a hash of its code and of what that names."""

    function: Function
    size: int
    needs: tuple[str, ...]
    code: str


def functions_in(path: Path, image: Path | None, functions: tuple[Function, ...]) -> list[Row]:
    """A row for each of `functions` that the object at `path` holds, or that is never inlined. Without an `image` their code is
    taken as long as it is in the object."""
    held, named = _sections(path, _symbols(image) if image else {}), _references(path)
    contents = _contents(path, named)
    described = {n for n, (name, _) in held.items() if describes(name)}
    known = {f"{CODE}.{name}" for name in (*OWN, *(f.name for f in functions))}

    def owner(name: str) -> str:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name.removeprefix(f"{CODE}.")

    bodies: dict[str, set[int]] = {}
    for n, (name, _) in held.items():
        if name.startswith(CODE):
            bodies.setdefault(owner(name), set()).add(n)
    used, rows = set(described), []
    for function in functions:
        code = bodies.get(function.name, set())
        mine = code | {s for n in code for s in named.get(n, ((), ()))[0] if s in held and not held[s][0].startswith(CODE)}
        mine -= described
        if mine or function.stands:
            needs = {symbol for n in mine for symbol in named.get(n, ((), ()))[1] if not symbol.startswith("model_")}
            body = hashlib.sha256(b"".join(contents.get(n, b"") for n in sorted(mine))).hexdigest()[:8]
            rows.append(Row(function, sum(held[n][1] for n in mine - used), tuple(sorted(needs)), body))
        used |= mine
    return rows


def describes(section: str) -> bool:
    """Whether a section holds descriptions of the model's inputs and outputs: their table, or strings."""
    return re.search(r"^\.s?rodata\.(.*\.)?(str\d|model_(in|out)put_info$)", section) is not None


def flash_of(path: Path, image: Path) -> int:
    """Bytes that the object at `path` brings into the flash of `image`."""
    return sum(size for _, size in _sections(path, _symbols(image)).values())


def pieces(elf: Path) -> dict[str, int]:
    """What lies in an image's flash: first symbol at an address -> bytes to the next one."""
    with elf.open("rb") as file:
        held = ELFFile(file)
        kept = [s for s in held.iter_sections() if s.name in (".text", ".rodata", ".data")]
        spans = [(s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in kept]
        places: dict[int, list[str]] = {}
        for s in held.get_section_by_name(".symtab").iter_symbols():
            if s.name and not s.name.startswith(("$", ".L")):
                places.setdefault(s["st_value"] & ~1, []).append(s.name)
        found = {}
        for first, end in spans:
            inside = sorted(a for a in places if first <= a < end)
            for a, b in zip(inside, [*inside, end][1:], strict=True):
                found[min(places[a])] = b - a
        return found


def _symbols(image: Path) -> dict[str, int]:
    """Function -> its bytes in an image, after the linker has shortened calls and addresses, as RISC-V's do."""
    with image.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return {s.name: s["st_size"] for s in symbols if s["st_info"]["type"] == "STT_FUNC"}


def _sections(path: Path, linked: dict[str, int]) -> dict[int, tuple[str, int]]:
    """Number -> (name, bytes) of what an object brings into flash; of code the bytes that are linked, if they are known."""
    found, code = {}, {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        for s in elf.get_section_by_name(".symtab").iter_symbols():
            if s["st_info"]["type"] == "STT_FUNC" and s.name in linked:
                code[s["st_shndx"]] = code.get(s["st_shndx"], 0) + linked[s.name]
        for n, s in enumerate(elf.iter_sections()):
            if s["sh_flags"] & 2 and s["sh_size"] and s["sh_type"] != "SHT_NOBITS" and s.name.startswith(FLASH):
                unit = max(1, s["sh_addralign"])
                found[n] = (s.name, -(-code.get(n, s["sh_size"]) // unit) * unit)
    return found


def _references(path: Path) -> dict[int, tuple[set[int], set[str]]]:
    """Section number -> (sections, undefined symbols) that its code names."""
    found: dict[int, tuple[set[int], set[str]]] = {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        for section in elf.iter_sections():
            if section["sh_type"] in ("SHT_REL", "SHT_RELA"):
                there = found.setdefault(section["sh_info"], (set(), set()))
                for r in section.iter_relocations():
                    symbol = symbols[r["r_info_sym"]]
                    if symbol["st_shndx"] == "SHN_UNDEF":
                        there[1].update({symbol.name} - {""})
                    elif isinstance(symbol["st_shndx"], int):
                        there[0].add(symbol["st_shndx"])
    return found


def _contents(path: Path, named: dict[int, tuple[set[int], set[str]]]) -> dict[int, bytes]:
    """Section number -> its bytes and what it names: functions that are alike in both are one to gcc's -fipa-icf."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        titles = [s.name for s in elf.iter_sections()]

        def others(n: int) -> tuple[list[str], list[str]]:
            sections, symbols = named.get(n, (set(), set()))
            return sorted(titles[m] for m in sections - {n}), sorted(symbols)  # RISC-V's branches name their own section

        return {
            n: s.data() + repr(others(n)).encode() for n, s in enumerate(elf.iter_sections()) if s.name.startswith(f"{CODE}.")
        }

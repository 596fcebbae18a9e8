"""A processor's last words: the line that firmware/fault.c prints, as a cause in words with function and source line."""

from __future__ import annotations

import re
from pathlib import Path

from mcuml.errors import LinkError
from mcuml.link.debug import Program

MARK = "e-[Fault "
# Bits of the CFSR (Armv7-M Architecture Reference Manual, B3.2.15), the most telling first. {a}: the address, where it is known.
_CFSR = {
    25: "divide by zero",
    24: "unaligned access",
    20: "stack overflow: the stack's limit register stopped it",
    19: "an instruction of a coprocessor or FPU that is off or not there",
    18: "return from an exception to where it cannot",
    17: "jump to an address without the Thumb bit",
    16: "undefined instruction",
    9: "read or write of an address where nothing is",
    8: "jump to an address where nothing is",
    10: "write to an address where nothing is, somewhat before the place told",
    1: "read or write of address {a}, which is not allowed",
    0: "jump to memory that holds no code",
    12: "the stack lies where nothing is",
    4: "the stack lies where no access is allowed",
}
# Numbers of mcause (RISC-V Privileged Architecture, 3.1.15).
_MCAUSE = {
    0: "jump to the odd address {a}",
    1: "jump to address {a}, where no code is",
    2: "undefined instruction",
    3: "breakpoint",
    4: "unaligned read of address {a}",
    5: "read of address {a}, where nothing is",
    6: "unaligned write of address {a}",
    7: "write to address {a}, where nothing is",
    8: "system call",
    11: "system call",
}


def told(line: str, device: str, elf: Path | None) -> LinkError:
    """The error for a fault line of the `device` whose firmware should be the one in `elf` (None: not known)."""
    build = re.search(r"\bbuild=(\w+)", line)
    fields = {name: int(value, 16) for name, value in re.findall(r"\b(\w+)=([0-9a-f]{8})\b", line)}
    program = Program(elf) if elf else None
    what = f"The firmware on the {device} device faulted: {cause(fields, program)}"
    if program is None or build is None:
        return LinkError(f"{what}.", line, "Look the address pc up in the firmware's ELF, with addr2line.")
    if (here := _build(program)) != build[1]:
        other = f"The ELF here is of build {here or 'unknown'}, the firmware on the device of build {build[1]}"
        return LinkError(
            f"{what}.", f"{line}\n{other}: its lines would be the wrong ones.", "Flash again, and repeat what you did."
        )
    pc, caller = fields.get("pc", 0), (fields.get("lr", fields.get("ra", 0)) & ~1) - 2
    at = f", at {program.where(pc)}" if "pc" in fields else ""
    known = program.function(caller) not in ("", program.function(pc))  # else it is of a call that has come back
    called = f"\nCalled from {program.where(caller)}." if known else ""
    return LinkError(f"{what}{at}.", line + called, f"Look at that line; the ELF is {program.path}")


def cause(fields: dict[str, int], program: Program | None) -> str:
    """Why, from the registers of a fault line: cfsr, mmfar, bfar and hfsr of a Cortex-M, mcause and mtval of a RISC-V; sp below
    the stack of `program` tells more than either."""
    bottom = program.symbols.get("__stack_bottom") if program else None
    sp = fields.get("sp")
    if bottom is not None and sp is not None and sp < bottom:
        return f"stack overflow: sp {sp:#010x} is {bottom - sp:,} bytes below the stack's end"
    if "mcause" in fields:
        return _MCAUSE.get(fields["mcause"], f"mcause {fields['mcause']}").format(a=f"{fields.get('mtval', 0):#010x}")
    if "cfsr" not in fields:
        return "the core does not tell why"
    cfsr = fields["cfsr"]
    if cfsr >> 15 & 1 and cfsr >> 9 & 1:
        return f"read or write of address {fields.get('bfar', 0):#010x}, where nothing is"
    bit = next((b for b in _CFSR if cfsr >> b & 1), None)
    if bit is None:
        return "the vector table cannot be read" if fields.get("hfsr", 0) >> 1 & 1 else "the core does not tell why"
    known = cfsr >> 7 & 1
    return _CFSR[bit].format(a=f"{fields.get('mmfar', 0):#010x}" if known else "that was not kept")


def _build(program: Program) -> str:
    """The build that the ELF says it is; "" where it says none."""
    at = program.symbols.get("firmware_build")
    for base, data in program.segments:
        if at is not None and base <= at < base + len(data):
            return data[at - base :].split(b"\0", 1)[0].decode("ascii", "replace")
    return ""

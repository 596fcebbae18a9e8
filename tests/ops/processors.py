"""The processors of Unicorn as the tests call functions on them: registers, rights, and where a function returns to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import unicorn
from unicorn import arm64_const, arm_const, riscv_const, x86_const

from mcuml.cores import Core


@dataclass(frozen=True)
class Convention:
    """How code of one architecture is entered: registers of the first arguments, of the result, of the stack, of the return
    address ("" = it lies on the stack); thumb: the lowest bit of a code address."""

    arch: int
    mode: int
    names: Any
    prefix: str
    arguments: tuple[str, str]
    result: str
    stack: str
    link: str
    pc: str = "PC"
    thumb: int = 0

    def register(self, name: str) -> int:
        return getattr(self.names, f"{self.prefix}_REG_{name}")


CONVENTIONS = {
    "arm": Convention(
        unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS, arm_const, "UC_ARM",
        ("R0", "R1"), "R0", "SP", "LR", thumb=1,
    ),
    "riscv": Convention(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32, riscv_const, "UC_RISCV", ("A0", "A1"), "A0", "SP", "RA"),
    "aarch64": Convention(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM, arm64_const, "UC_ARM64", ("X0", "X1"), "X0", "SP", "X30"),
    "x86": Convention(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64, x86_const, "UC_X86", ("RDI", "RSI"), "RAX", "RSP", "", "RIP"),
}  # fmt: skip
_MODELS = {"arm": "UC_CPU_ARM_", "riscv": "UC_CPU_RISCV32_", "aarch64": "UC_CPU_ARM64_", "x86": "UC_CPU_X86_"}


class Processor:
    """A processor without memory. call() is a function call."""

    def __init__(self, core: Core):
        assert core.unicorn, f"Unicorn has no {core.title}; QEMU has: make cores"
        self._as = convention = CONVENTIONS[core.arch]
        self.uc = unicorn.Uc(convention.arch, convention.mode)
        self.uc.ctl_set_cpu_model(getattr(convention.names, _MODELS[core.arch] + core.unicorn))

    def call(self, address: int, arguments: tuple[int, ...], stack: int, back: int) -> int:
        """What the function at `address` returns to `back`; its stack ends at `stack`. Raises UcError, and AssertionError
        where it stops elsewhere."""
        how, uc = self._as, self.uc
        for name, value in zip(how.arguments, arguments, strict=False):
            uc.reg_write(how.register(name), value)
        if how.link:
            uc.reg_write(how.register(how.link), back | how.thumb)
        else:
            stack -= 8
            uc.mem_write(stack, back.to_bytes(8, "little"))
        uc.reg_write(how.register(how.stack), stack)
        uc.emu_start(address | how.thumb, back)
        return uc.reg_read(how.register(how.result))

    @property
    def pc(self) -> int:
        return self.uc.reg_read(self._as.register(self._as.pc))

"""The processor cores that mcuml compiles for: compiler flags, features, and what the cycle model must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Core:
    """One core. gcc: names of a GNU compiler that makes code for it, best first, and gcc_flags its machine flags;
    zig_target and zig_cpu: the same for `zig cc` ("" = it cannot); dsp: SMLAD and friends; fpu: its floating-point
    unit; arch: the family of its startup code."""

    name: str
    title: str
    arch: Literal["arm", "riscv", "xtensa", "host"]
    gcc: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    zig_target: str = ""
    zig_cpu: str = ""
    dsp: bool = False
    mve: bool = False
    fpu: Literal["none", "single", "double"] = "none"

    @property
    def zig_flags(self) -> tuple[str, ...]:
        """Machine flags for `zig cc`."""
        return ("-target", self.zig_target, f"-mcpu={self.zig_cpu}") if self.zig_target else ()


_ARM = ("arm-none-eabi-gcc",)
_SOFT, _HARD = "thumb-freestanding-eabi", "thumb-freestanding-eabihf"


def _arm(name: str, title: str, cpu: str, *flags: str, zig: str, fpu: Literal["none", "single", "double"] = "none",
         dsp: bool = False, mve: bool = False) -> Core:  # fmt: skip
    abi = ("-mfloat-abi=hard", *flags) if fpu != "none" else ("-mfloat-abi=soft", *flags)
    return Core(
        name, title, "arm", _ARM, ("-mthumb", f"-mcpu={cpu}", *abi), _HARD if fpu != "none" else _SOFT, zig, dsp, mve, fpu
    )


# The M7's flags leave double precision to software, so that one image runs on parts with either unit.
CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _arm("cortex-m0plus", "Arm Cortex-M0+", "cortex-m0plus", zig="cortex_m0plus"),
        _arm("cortex-m3", "Arm Cortex-M3", "cortex-m3", zig="cortex_m3"),
        _arm("cortex-m4f", "Arm Cortex-M4F", "cortex-m4", "-mfpu=fpv4-sp-d16", zig="cortex_m4", fpu="single", dsp=True),
        _arm("cortex-m7", "Arm Cortex-M7", "cortex-m7", "-mfpu=fpv5-sp-d16", zig="cortex_m7-fp64", fpu="single", dsp=True),
        _arm("cortex-m33", "Arm Cortex-M33", "cortex-m33", "-mfpu=fpv5-sp-d16", zig="cortex_m33", fpu="single", dsp=True),
        _arm("cortex-m55", "Arm Cortex-M55", "cortex-m55", zig="cortex_m55", fpu="double", dsp=True, mve=True),
        Core("rv32imc", "RISC-V RV32IMC", "riscv", zig_target="riscv32-freestanding-none", zig_cpu="generic_rv32+m+c"),
        Core("xtensa-lx6", "Cadence Xtensa LX6", "xtensa", fpu="single"),
        Core("xtensa-lx7", "Cadence Xtensa LX7", "xtensa", fpu="single"),
        Core("host", "this computer", "host"),
    )
}

"""The cores that mcuml compiles for: compiler flags, features, and which of the simulator's processors runs their code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Core:
    """One core. gcc: names of a GNU compiler that makes code for it, best first; gcc_flags: its machine flags; gcc_specs: the
    flags that choose its C library; zig_target and zig_cpu: the same for `zig cc` ("" = it cannot); dsp: SMLAD and friends;
    mve: Helium; fpu: its floating-point unit; arch: the family of its startup code; unicorn: the processor that runs its
    code in Unicorn ("" = none does)."""

    name: str
    title: str
    arch: Literal["arm", "riscv", "xtensa", "aarch64", "x86", "host"]
    gcc: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    gcc_specs: tuple[str, ...] = ()
    zig_target: str = ""
    zig_cpu: str = ""
    dsp: bool = False
    mve: bool = False
    fpu: Literal["none", "single", "double"] = "none"
    unicorn: str = ""

    @property
    def zig_flags(self) -> tuple[str, ...]:
        """Machine flags for `zig cc`."""
        return ("-target", self.zig_target, f"-mcpu={self.zig_cpu}") if self.zig_target else ()


_SOFT, _HARD = "thumb-freestanding-eabi", "thumb-freestanding-eabihf"


def _arm(name: str, title: str, cpu: str, *flags: str, zig: str, unicorn: str = "",
         fpu: Literal["none", "single", "double"] = "none", dsp: bool = False, mve: bool = False) -> Core:  # fmt: skip
    """A Cortex-M. The float ABI follows from `fpu`."""
    hard = fpu != "none"
    return Core(
        name, title, "arm", ("arm-none-eabi-gcc",),
        ("-mthumb", f"-mcpu={cpu}", "-mfloat-abi=hard" if hard else "-mfloat-abi=soft", *flags),
        ("--specs=nano.specs", "--specs=nosys.specs"), _HARD if hard else _SOFT, zig, dsp, mve, fpu, unicorn,
    )  # fmt: skip


# The M7's flags leave double precision to software, so that one image runs on parts with either unit.
# zig's names of Arm cores leave out what a vendor may leave out: the floating-point unit and the M33's DSP extension.
# Unicorn knows nothing of Armv8.1-M, which the M55 is: QEMU runs its code.
CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _arm("cortex-m0plus", "Arm Cortex-M0+", "cortex-m0plus", zig="cortex_m0plus", unicorn="CORTEX_M0"),
        _arm("cortex-m3", "Arm Cortex-M3", "cortex-m3", zig="cortex_m3", unicorn="CORTEX_M3"),
        _arm("cortex-m4f", "Arm Cortex-M4F", "cortex-m4", "-mfpu=fpv4-sp-d16", zig="cortex_m4+vfp4d16sp", unicorn="CORTEX_M4",
             fpu="single", dsp=True),
        _arm("cortex-m7", "Arm Cortex-M7", "cortex-m7", "-mfpu=fpv5-sp-d16", zig="cortex_m7+fp_armv8d16sp", unicorn="CORTEX_M7",
             fpu="single", dsp=True),
        _arm("cortex-m33", "Arm Cortex-M33", "cortex-m33", "-mfpu=fpv5-sp-d16", zig="cortex_m33+dsp+fp_armv8d16sp",
             unicorn="CORTEX_M33", fpu="single", dsp=True),
        _arm("cortex-m55", "Arm Cortex-M55", "cortex-m55", zig="cortex_m55+mve_fp+fp_armv8d16+fp64",
             fpu="double", dsp=True, mve=True),
        Core("rv32imc", "RISC-V RV32IMC", "riscv", ("riscv64-unknown-elf-gcc",), ("-march=rv32imc", "-mabi=ilp32"),
             ("--specs=picolibc.specs",), "riscv32-freestanding-none", "generic_rv32+m+c", unicorn="SIFIVE_E31"),
        Core("xtensa-lx6", "Cadence Xtensa LX6", "xtensa", gcc_flags=("-mlongcalls",), fpu="single"),
        Core("xtensa-lx7", "Cadence Xtensa LX7", "xtensa", gcc_flags=("-mlongcalls",), fpu="single"),
        Core("aarch64", "64-bit Arm (AArch64)", "aarch64", gcc_flags=("-march=armv8-a",), fpu="double", unicorn="A53",
             zig_target="aarch64-freestanding-none", zig_cpu="generic"),
        Core("x86-64", "64-bit x86", "x86", gcc_flags=("-march=x86-64",), fpu="double", unicorn="HASWELL",
             zig_target="x86_64-freestanding-none", zig_cpu="x86_64"),
        Core("host", "this computer", "host"),
    )
}  # fmt: skip

"""Finds a compiler for a core: a GNU one on PATH, else the one in the ziglang wheel; with its flags and its version."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mcuml import assets
from mcuml.cores import Core
from mcuml.errors import BuildError

FORCE = "MCUML_TOOLCHAIN"  # gcc or zig, whatever else is there
DEBIAN = {  # the packages with the GNU compiler and its C library
    "arm": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "riscv": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
}


CPLUSPLUS = {"arm": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib"}  # the packages with the C++ library


@dataclass(frozen=True)
class Toolchain:
    """A C compiler for one core. kind: "gcc" or "zig"; command: its first words; machine: flags that choose the core;
    compile, link: further flags; sources: folders of C files that stand in for a C library."""

    kind: str
    name: str
    version: str
    command: tuple[str, ...]
    machine: tuple[str, ...] = ()
    compile: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    libs: tuple[str, ...] = ()


# No unwinding tables, no canaries, no instrumentation: bare metal has nobody to read them.
_PLAIN = ("-fno-stack-protector", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")


def find(core: Core, kind: str = "") -> Toolchain:
    """The compiler to use for `core`; `kind`, "gcc" or "zig", asks for that one. Raises BuildError with the command that
    brings one."""
    forced = (kind or os.environ.get(FORCE, "")).lower()
    if forced not in ("", "gcc", "zig"):
        raise BuildError(f"{FORCE} is '{forced}', which is no toolchain.", "It may be gcc or zig.", f"Unset {FORCE}.")
    if not core.gcc and not core.zig_target:
        raise BuildError(
            f"mcuml has no bare-metal compiler for {core.title}.",
            "Boards with this core need their vendor's toolchain, which PlatformIO's registry has.",
            "Write the C alone with: mcuml compile MODEL -o DIR",
        )
    found = (_gcc(core) if forced != "zig" else None) or (_zig(core) if forced != "gcc" else None)
    if found:
        return found
    raise BuildError(
        f"There is no C compiler for {core.title}.",
        _looked_for(core, forced),
        "Install one: pip install ziglang==0.17.0"
        + (f" (or, on Debian: apt install {DEBIAN[core.arch]})" if core.arch in DEBIAN else ""),
    )


def cplusplus(tools: Toolchain, core: Core) -> tuple[str, ...]:
    """The first words of the C++ compiler that goes with `tools`. Raises BuildError, with the command that brings it, where there
    is none or its library's headers are missing."""
    words = (tools.command[0], "c++") if tools.kind == "zig" else (tools.command[0].removesuffix("gcc") + "g++",)
    if shutil.which(words[0]) and _has_headers(words, (*tools.machine, *tools.compile)):
        return words
    brings = CPLUSPLUS.get(core.arch)
    raise BuildError(
        f"There is no C++ compiler with its library for {core.title}, which TensorFlow Lite Micro needs.",
        f"{' '.join(words)} {'is there, without the headers of the C++ library' if shutil.which(words[0]) else 'is not there'}.",
        f"On Debian: apt install {brings}" if brings else "Build with mcuml's own C: --runtime aot",
    )


def archiver(tools: Toolchain) -> tuple[str, ...]:
    """The first words of the archiver that goes with `tools`."""
    return (tools.command[0], "ar") if tools.kind == "zig" else (tools.command[0].removesuffix("gcc") + "ar",)


@cache
def _has_headers(words: tuple[str, ...], flags: tuple[str, ...]) -> bool:
    """Whether the C++ compiler finds its standard library's headers."""
    command = [*words, *flags, "-E", "-x", "c++", "-include", "type_traits", "-include", "limits", os.devnull]
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def preferred(core: Core) -> str:
    """The kind that find() would take, "gcc" or "zig", without running an Arm compiler; "" where it would raise."""
    forced = os.environ.get(FORCE, "").lower()
    if forced != "zig" and (any(map(shutil.which, core.gcc)) if core.arch == "arm" else core.gcc and _gcc(core)):
        return "gcc"
    return "zig" if forced != "gcc" and core.zig_target and zig_executable() else ""


def host(kind: str = "") -> Toolchain:
    """A C compiler for this computer: the ziglang wheel's (the same on every system), else cc, gcc or clang on PATH; `kind`
    as for find(). Raises BuildError when there is none."""
    forced = (kind or os.environ.get(FORCE, "")).lower()
    zig = zig_executable()
    if zig and forced != "gcc":
        # A baseline processor, so that a cached library serves every machine that shares the cache. clang 22 drops additions
        # when it packs scalar ones into AVX2 registers (found in AVERAGE_POOL_2D): without SLP it does not.
        safe = ("-fno-sanitize=all", "-mcpu=baseline", "-fno-slp-vectorize")
        return Toolchain("zig", "zig cc", zig[1], (zig[0], "cc"), compile=safe)
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path:
            return Toolchain("gcc", name, _version(path, "-dumpversion"), (path,))
    raise BuildError(
        "There is no C compiler for this computer.",
        "Looked for the ziglang package and for cc, gcc and clang on PATH.",
        "Install one: pip install ziglang==0.17.0",
    )


def zig_executable() -> tuple[str, str] | None:
    """(path, version) of the zig that the ziglang wheel brought, or None."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin).parent / ("zig.exe" if sys.platform == "win32" else "zig")
    return (str(path), importlib.metadata.version("ziglang")) if path.is_file() else None


def _gcc(core: Core) -> Toolchain | None:
    for name in core.gcc:
        path = shutil.which(name)
        # --nmagic: else the ELF's own header is loaded in front of the code, where a board's bootloader is.
        if path and _has_library(path, *core.gcc_flags, *core.gcc_specs):
            return Toolchain(
                "gcc", name.removesuffix("-gcc") + " gcc", _version(path, "-dumpfullversion"), (path,), core.gcc_flags,
                (*core.gcc_specs, *_PLAIN), ("-nostartfiles", *core.gcc_specs, "-Wl,--no-warn-rwx-segments", "-Wl,--nmagic"),
                libs=("m",),
            )  # fmt: skip
    return None


def _zig(core: Core) -> Toolchain | None:
    zig = zig_executable()
    if zig is None or not core.zig_target:
        return None
    libc = str(assets.folder("firmware") / "freestanding")
    return Toolchain(
        "zig", "zig cc", zig[1], (zig[0], "cc"), core.zig_flags, (*_PLAIN, "-fno-sanitize=all", "-isystem", libc),
        # compiler_rt has memcpy, expf and soft floats; -nostdlib would leave it out as well.
        ("-nostartfiles", "-nodefaultlibs"), (libc,),
    )  # fmt: skip


@cache
def _has_library(path: str, *flags: str) -> bool:
    """Whether the compiler's C library is there: distributions have it in a package of its own."""
    command = [path, *flags, "-E", "-x", "c", "-include", "math.h", os.devnull]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return True  # a compiler that does not run is told by _version()


@cache
def _version(path: str, option: str) -> str:
    try:
        return subprocess.run([path, option], capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"The compiler {path} does not run.", str(error), f"Choose the other one: {FORCE}=zig") from error


def _looked_for(core: Core, forced: str) -> str:
    places = []
    if forced != "zig" and core.gcc:
        places.append(f"{' or '.join(core.gcc)} on PATH")
    if forced != "gcc" and core.zig_target:
        places.append("the Python package ziglang")
    return f"Looked for {' and for '.join(places) or 'nothing'}" + (f", because {FORCE} is {forced}." if forced else ".")

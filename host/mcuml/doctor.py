"""What mcuml needs and may use on this machine: what is there, what is missing, and the command that brings it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mcuml.board import load_all
from mcuml.cores import CORES
from mcuml.errors import BuildError, LinkError
from mcuml.link import qemu, renode
from mcuml.toolchain import CPLUSPLUS, cplusplus, find

MEGABYTE = 1 << 20
FREE_WANTED = 512 * MEGABYTE  # a cold build of the largest model, its objects and the compiler's own cache


@dataclass(frozen=True)
class Check:
    """One thing looked for. `found`: its version or place, empty when missing. `needed`: without it `mcuml bench` cannot
    run. `brings`: the command that installs it."""

    name: str
    found: str
    use: str
    brings: str
    needed: bool = False

    @property
    def ok(self) -> bool:
        return bool(self.found)


def check(cache: Path) -> list[Check]:
    """All checks, in the order of the way of the data. `cache` is the folder in which builds would be made."""
    rows = [Check("Python", platform.python_version(), "everything", "install Python 3.10 or newer", needed=True)]
    for name, use in (
        ("numpy", "import, planning"), ("Jinja2", "C code from templates"), ("platformio", "builds"), ("SCons", "builds"),
        ("unicorn", "virtual board"), ("capstone", "cycle model"), ("pyelftools", "sizes, fault reports"),
    ):  # fmt: skip
        rows.append(Check(name, _package(name), use, "pip install --force-reinstall mcuml", needed=True))
    gcc, zig = _program("arm-none-eabi-gcc", "-dumpversion"), _package("ziglang")
    rows.append(
        Check(
            "arm-none-eabi-gcc", gcc, "compiler for Arm boards (used first)", _system("gcc-arm-none-eabi libnewlib-arm-none-eabi")
        )
    )
    rows.append(Check("ziglang", zig, "compiler for any board where there is no other", "pip install ziglang", needed=not gcc))
    rows.append(
        Check(
            "arm-none-eabi-g++", _cplusplus(), "C++ for TensorFlow Lite Micro on Arm boards (--runtime tflm)",
            _system(CPLUSPLUS["arm"]),
        )
    )  # fmt: skip
    rows.append(
        Check(
            "tflite-micro", _package("tflite-micro"), "the oracle that outputs are compared with", "pip install 'mcuml[verify]'"
        )
    )
    for arch in ("arm", "riscv"):
        program = qemu.PROGRAMS[arch]
        boards = ", ".join(b.name for b in load_all() if b.simulators.qemu and b.cpu.arch == arch)
        found = _program(program.name, "--version")
        rows.append(Check(program.name, found, f"--link qemu: {boards}", _system(program.package)))
    rows.append(Check("renode", _renode(), "--link renode: mcuml boards tells which boards", renode.GET))
    rows.append(
        Check("build folder", _writable(cache), f"builds, kept in {cache}", "set MCUML_CACHE to a folder with space", needed=True)
    )
    return rows


def _renode() -> str:
    """Where Renode is. It is not started: .NET takes seconds to tell its version."""
    try:
        return renode.program()
    except LinkError:
        return ""


def _cplusplus() -> str:
    """The version of the C++ compiler for Arm boards, empty where it or its library's headers are missing."""
    core = CORES["cortex-m4f"]
    try:
        words = cplusplus(find(core, "gcc"), core)
    except BuildError:
        return ""
    return _program(words[0], "-dumpversion")


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _program(name: str, option: str) -> str:
    path = shutil.which(name)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = (done.stdout or done.stderr).split()
    return next((word.strip("(),") for word in words if word[:1].isdigit()), path) if done.returncode == 0 else ""


def _writable(folder: Path) -> str:
    """The free space where `folder` is or would be; empty when nothing can be written there or it is nearly full."""
    place = next(p for p in (folder, *folder.parents) if p.exists())
    probe = place / ".mcuml-doctor"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
        free = shutil.disk_usage(place).free
    except OSError:
        return ""
    return f"{free // MEGABYTE:,} MB free" if free >= FREE_WANTED else ""


def _system(packages: str) -> str:
    """The command of this system's package manager for Debian's `packages`."""
    if sys.platform == "darwin":
        return "brew install " + ("qemu" if "qemu" in packages else "--cask gcc-arm-embedded")
    if sys.platform == "win32":
        return "winget install " + ("SoftwareFreedomConservancy.QEMU" if "qemu" in packages else "Arm.GnuArmEmbeddedToolchain")
    return f"apt install {packages}"

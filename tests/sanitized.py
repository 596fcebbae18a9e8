"""The compilers of this computer with the sanitizers and the warnings that the generated C is held to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# Held for the model, the weights and the firmware. Not held: -Wconversion and -Wsign-conversion, which want a cast at each
# narrowing that the kernels mean; comparisons with the oracle see those that lose something.
WARNINGS = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wundef",
    "-Wpointer-arith", "-Wcast-qual", "-Wvla", "-Werror",
)  # fmt: skip
ZIG = (sys.executable, "-m", "ziglang", "cc")


@cache
def compilers() -> dict[str, tuple[str, ...]]:
    """Name -> command: zig's clang, which the tests install, and gcc where it is on PATH."""
    found = {"clang": ZIG}
    if shutil.which("gcc"):
        found["gcc"] = ("gcc",)
    return found


@cache
def sanitizing() -> tuple[str, ...]:
    """A command that compiles with the sanitizers: both where cc brings their libraries, else zig's clang, which has only
    the undefined behaviour sanitizer."""
    flags = ("-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all")
    for name in ("gcc", "clang", "cc"):
        command = (name, "-fsanitize=address,undefined", *flags)
        if shutil.which(name) and _works(command):
            return command
    return (*ZIG, "-fsanitize=undefined", "-fno-sanitize-trap=undefined", *flags)


def _works(command: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "t.c", Path(folder) / "t"
        source.write_text("int main(void) { return 0; }\n")
        built = subprocess.run([*command, str(source), "-o", str(program)], capture_output=True)
        return built.returncode == 0 and subprocess.run([str(program)], capture_output=True).returncode == 0

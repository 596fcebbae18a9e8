"""The generated C as a shared library for this computer: the same kernels, run over thousands of samples through ctypes."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from mcuml import pio, toolchain
from mcuml.assets import cache_folder
from mcuml.compiler_output import first_error
from mcuml.errors import BuildError, RequestError

# Contraction would change float results; -O2 compiles the big unrolled kernels in half of -O3's time.
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-shared")
LOCK_SECONDS = 300


def host_library(files: Mapping[str, str]) -> Path:
    """Path of a shared library built from the generated `files` (every .c of them), cached by content.

    Raises BuildError (no compiler, or it fails) and RequestError (the cache cannot be written)."""
    tools = toolchain.host()
    sources = {name: text for name, text in sorted(files.items()) if name.endswith((".c", ".h"))}
    key = hashlib.sha256(repr((sources, tools, FLAGS)).encode()).hexdigest()[:16]
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    folder = cache_folder() / "host"
    library = folder / f"model-{key}{suffix}"
    if _intact(library):
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{key}.lock", timeout=LOCK_SECONDS), tempfile.TemporaryDirectory(dir=folder) as temporary:
            if not _intact(library):
                _compile(sources, tools, Path(temporary), library)
    except Timeout as error:
        raise BuildError(
            f"Another build of {library} has not ended for {LOCK_SECONDS} seconds.", try_next="Wait, or stop it."
        ) from error
    except OSError as error:
        raise RequestError(
            f"Cannot build in {folder}.", str(error.strerror or error), "Free some space, or set MCUML_CACHE."
        ) from error
    return library


def _compile(sources: Mapping[str, str], tools: toolchain.Toolchain, folder: Path, library: Path) -> None:
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    position = () if sys.platform == "win32" else ("-fPIC",)
    math = () if sys.platform == "win32" else ("-lm",)
    built = folder / library.name
    command = [
        *tools.command,
        *FLAGS,
        *position,
        *tools.compile,
        "-o",
        built.name,
        *(n for n in sources if n.endswith(".c")),
        *math,
    ]
    status, output = pio.call(command, folder, pio.environment())
    if status or not built.is_file():
        raise BuildError(
            f"{tools.name} cannot compile the model for this computer.",
            first_error(output),
            "This is a defect of mcuml: report it.",
        )
    library.with_suffix(".sha256").write_text(_sha256(built), encoding="ascii")
    built.replace(library)


def _intact(library: Path) -> bool:
    """Whether it is there and is what the compiler wrote: a damaged library would take this process down with it."""
    try:
        return library.with_suffix(".sha256").read_text(encoding="ascii") == _sha256(library)
    except (OSError, ValueError):
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

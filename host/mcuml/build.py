"""Generated files and a board -> Image: a linked ELF with its sizes, through PlatformIO, cached by content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from mcuml import __version__, assets, pio, toolchain
from mcuml.assets import cache_folder
from mcuml.board import Board
from mcuml.compiler_output import explain
from mcuml.elf_sizes import Sizes, sizes
from mcuml.errors import BuildError, RequestError
from mcuml.hostbuild import host_library
from mcuml.render import COMPILER_FLAGS, render_file

STACK_BYTES = 2048  # the linker refuses an image that leaves less
LOCK_SECONDS = 300
LIBRARY_SECONDS = 3600  # to wait for another build with the same library: its first one compiles hundreds of files
__all__ = ["Image", "build_firmware", "cache_folder", "host_library"]
COMMON_FLAGS = ("-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections", "-fomit-frame-pointer", "-g")
FIRMWARE_FLAGS = ("-std=c99", "-Os", "-ffp-contract=off")
_RECORD = "image.json"
BUILD_HEADER = "include/mcuml_build.h"


@dataclass(frozen=True)
class CppLibrary:
    """A C++ library that a model's code calls. spec: how PlatformIO knows it; folder: where it finds, in a folder below this one,
    the manifest for bare metal; cxx, ar: the first words of the C++ compiler and of the archiver; flags, unflags: the model's
    code is compiled with and without these; about: for Image.toolchain; defines: for all code where a framework builds it."""

    spec: str
    folder: Path
    cxx: tuple[str, ...]
    ar: tuple[str, ...]
    flags: tuple[str, ...]
    unflags: tuple[str, ...]
    about: Mapping[str, object]
    defines: tuple[str, ...] = ()

    @property
    def objects(self) -> Path:
        """Where its compiled files are kept for all models."""
        return cache_folder() / "objects"


class Sources(dict[str, str]):
    """Generated files, path -> text, of a model whose code calls `library`; `doubts`: sentences about what that computes."""

    def __init__(self, files: Mapping[str, str], library: CppLibrary, doubts: tuple[str, ...] = ()):
        super().__init__(files)
        self.library, self.doubts = library, doubts


def library_of(files: Mapping[str, str]) -> CppLibrary | None:
    """What the code in `files` calls, beside the C library."""
    return files.library if isinstance(files, Sources) else None


def doubts_of(files: Mapping[str, str]) -> tuple[str, ...]:
    """Why the figures of the firmware made of `files` may be wrong."""
    return files.doubts if isinstance(files, Sources) else ()


@dataclass(frozen=True)
class Image:
    """A linked firmware. Sizes in bytes, from the ELF: flash = code + weights (0: not told apart); ram is static (arena
    included, stack not). cached: nothing had to be compiled. folder: its PlatformIO project. build: what the firmware calls
    itself in `mcuml id`, a hash of all that it was made of; port: the folder of firmware/ports in it."""

    elf: Path
    board: Board
    flash_bytes: int
    code_bytes: int
    weights_bytes: int
    ram_bytes: int
    toolchain: Mapping[str, object]
    cached: bool
    folder: Path
    build: str = ""
    port: str = "virtual"


def build_firmware(
    files: Mapping[str, str], board: Board, folder: Path | None = None, profile: bool = False, port: str = "virtual"
) -> Image:
    """Link the generated `files` (model.h, model.c, model_weights.c, mcuml_config.h) with the firmware for `board`.

    folder: where to build; by default one in mcuml's cache. profile: compile with -DMODEL_PROFILE. An unchanged build
    starts no process. Raises BuildError (no compiler, compiler errors, full disk), FitError (the linker ran out of flash or
    RAM), RequestError (the folder cannot be written)."""
    tools, library = toolchain.find(board.cpu), library_of(files)
    project = project_files(files, board, tools, ("-DMODEL_PROFILE",) if profile else (), port)
    key = project_key(project, tools)
    project[BUILD_HEADER] = build_header(port, key[:16])
    place = (folder or cache_folder() / "builds" / f"{board.name}-{key[:16]}").resolve()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock", timeout=LOCK_SECONDS):
            record = _recorded(place, key)
            if record is None:
                for name, text in project.items():
                    pio.write_if_changed(place / name, text)
                drop_strangers(place, project)
                elf = _run(place, board, library)
                record = {"key": key, "elf": elf.relative_to(place).as_posix(), "sha256": _sha256(elf)}
                cached = False
                pio.write_if_changed(place / _RECORD, json.dumps(record))
            else:
                cached = True
            elf = place / str(record["elf"])
            made = image(elf, board, tools, cached, place, library)
            return replace(made, build=key[:16], port=port)
    except Timeout as error:
        raise BuildError(
            f"Another build in {place} has not ended for {LOCK_SECONDS} seconds.", try_next="Wait for it, or stop it."
        ) from error
    except OSError as error:
        raise RequestError(f"Cannot build in {place}.", f"{error.strerror or error}: {error.filename or place}",
                           "Free some space, or choose another folder: set MCUML_CACHE.") from error  # fmt: skip


def project_files(
    files: Mapping[str, str], board: Board, tools: toolchain.Toolchain, defines: tuple[str, ...] = (), port: str = "virtual"
) -> dict[str, str]:
    """All files of the PlatformIO project: relative path -> text."""
    library = library_of(files)
    defines = (*defines, *(f"-D{word}" for word in board.ports.get(port, ())))
    model = {f"lib/model/{name}": text for name, text in files.items() if name.startswith("model")}
    other = {f"include/{name}": text for name, text in files.items() if not name.startswith("model")}
    return {
        **model,
        **other,
        "lib/model/library.json": library_json(*((library.unflags, library.flags) if library else (("-Os",),))),
        "linker.ld": render_file(
            "linker.ld.j2", board=board, version=__version__, stack_bytes=STACK_BYTES, constructors=library is not None
        ),
        "platformio.ini": render_file(
            "platformio.ini.j2", board=board, version=__version__, toolchain=tools, defines=defines, model="model",
            library=library, platform=(assets.folder("firmware") / "platforms" / "bare").as_posix(),
            compile_flags=(*FIRMWARE_FLAGS, *COMMON_FLAGS, *tools.compile),
        ),
        BUILD_HEADER: build_header(port, "0" * 16),  # build_firmware puts the hash of all these files there
        **firmware_sources(port),
    }  # fmt: skip


def build_header(port: str, build: str) -> str:
    """Text of mcuml_build.h: what the firmware says of itself in `mcuml id`."""
    return render_file("mcuml_build.h.j2", version=__version__, port=port, build=build)


def library_json(unflags: tuple[str, ...], flags: tuple[str, ...] = COMPILER_FLAGS) -> str:
    """What tells PlatformIO how to compile the model: by `flags`, and without `unflags` of the framework's."""
    build = {"flags": list(flags), "unflags": list(unflags), "libArchive": False}
    return json.dumps({"name": "model", "version": __version__, "build": build}, indent=1)


def firmware_sources(port: str) -> dict[str, str]:
    """The firmware with that port, in C or C++: src/... -> text."""
    root = assets.folder("firmware")
    wanted = sorted({p for pattern in ("*.c", "*.h", f"ports/{port}/*.[ch]*") for p in root.glob(pattern)})
    return {f"src/{p.relative_to(root).as_posix()}": p.read_text(encoding="utf-8") for p in wanted}


def project_key(project: Mapping[str, str], tools: toolchain.Toolchain) -> str:
    """Hash of all that decides what the image is: project, platform, library stand-ins, compiler."""
    digest = hashlib.sha256(repr((__version__, tools)).encode())
    root = assets.folder("firmware")
    more = {str(p.relative_to(root)): p.read_text(encoding="utf-8") for top in ("platforms", "freestanding")
            for p in sorted((root / top).rglob("*")) if p.suffix in (".c", ".h", ".py", ".json")}  # fmt: skip
    for name, text in sorted({**project, **more}.items()):
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


def _recorded(place: Path, key: str) -> dict[str, object] | None:
    """The record of a finished build of exactly this in `place`, or None. What SCons keeps of a build whose ELF is no longer
    the one recorded is thrown away: it would not look at the ELF again."""
    if not (place / _RECORD).exists():
        return None
    try:
        record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
        if record["sha256"] == _sha256(place / record["elf"]):
            return record if record["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(place / ".pio", ignore_errors=True)
    return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def drop_strangers(place: Path, project: Mapping[str, str]) -> None:
    """Remove sources of an earlier project from the folders that PlatformIO compiles whole."""
    for top in ("src", "lib", "include"):
        for path in (place / top).rglob("*"):
            if path.is_file() and path.relative_to(place).as_posix() not in project:
                path.unlink()


def _run(place: Path, board: Board, library: CppLibrary | None) -> Path:
    (place / _RECORD).unlink(missing_ok=True)
    words = ["run", "-e", board.name, "-j", str(os.cpu_count() or 1)]
    if library is None:
        status, output = pio.run(words, place)
    else:
        library.objects.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(library.objects / ".lock", timeout=LIBRARY_SECONDS):  # two builds would mix up their records of it
                status, output = pio.run(words, place)
        except Timeout as error:
            raise BuildError(
                f"Another build with {library.about.get('library', 'the library')} has not ended for {LIBRARY_SECONDS} seconds.",
                try_next="Wait for it, or stop it.",
            ) from error
    elf = place / ".pio" / "build" / board.name / "firmware.elf"
    if status or not elf.is_file():
        raise explain(output, board, place)
    return elf


def image(
    elf: Path, board: Board, tools: toolchain.Toolchain, cached: bool, place: Path, library: CppLibrary | None = None
) -> Image:
    """What is told of the firmware linked at `elf` by the compiler `tools`, in the folder `place`."""
    held: Sizes = sizes(elf)
    flags = [*tools.machine, *(library.flags if library else COMPILER_FLAGS)]
    about = {"name": tools.name, "version": tools.version, "flags": flags, **(library.about if library else {})}
    return Image(elf, board, held.flash, held.flash - held.weights, held.weights, held.ram, about, cached, place)

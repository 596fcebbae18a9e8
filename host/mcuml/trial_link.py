"""Images without PlatformIO, by the compiler and flags of a build: what one takes, for a board without limits, or one to run.

A model that fits nowhere links too, so that its overshoot is known to the byte. What a firmware's objects do not share with
other models is compiled in a temporary folder; the others and the sizes are kept in mcuml's cache, by content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mcuml import assets, build, pio, toolchain
from mcuml.assets import cache_folder
from mcuml.board import Board
from mcuml.compiler_output import explain, first_error
from mcuml.elf_sizes import Sizes, sizes
from mcuml.errors import BuildError, FitError, RequestError
from mcuml.render import COMPILER_FLAGS

ENDLESS = 1 << 26  # bytes of flash and of RAM: no board has them, and no two regions of one overlap for a real model
FOLDERS = ("include", "src", "lib/model")
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Linked:
    """Sizes of the image, and the compiler that made it."""

    sizes: Sizes
    compiler: str


def linked(files: Mapping[str, str], board: Board) -> Linked:
    """The sizes that build_firmware(files, board) would find. What was linked before starts no compiler.

    Raises BuildError (no compiler, compiler errors) and RequestError (the cache cannot be written)."""
    tools = toolchain.find(board.cpu)
    project = build.project_files(files, board, tools)
    kept = cache_folder() / "sizes" / f"{build.project_key(project, tools)[:16]}.json"
    with _writing():
        found = _kept(kept)
        if found is None:
            with workshop(board, tools) as work:
                found = sizes(work.link(work.compile(project), "image.elf"))
            pio.write_if_changed(kept, json.dumps(asdict(found)))
    return Linked(found, f"{tools.name} {tools.version}")


@contextmanager
def image(files: Mapping[str, str], board: Board) -> Iterator[build.Image]:
    """The image that build_firmware(files, board) would link, in a third of its time: for many models that run but once. It
    vanishes after the block. Raises as linked(), and FitError where the linker finds no room."""
    tools = toolchain.find(board.cpu)
    project = build.project_files(files, board, tools)
    with _writing(), workshop(board, tools) as work:
        elf = work.link(work.compile(project, endless=False), "image.elf")
        yield build.image(elf, board, tools, False, work.folder)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"Cannot link in {cache_folder() / 'sizes'}.",
            str(error.strerror or error),
            "Free some space, or set MCUML_CACHE.",
        ) from error


def _kept(path: Path) -> Sizes | None:
    try:
        return Sizes(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def workshop(board: Board, tools: toolchain.Toolchain) -> Iterator[Workshop]:
    """A Workshop in a folder that vanishes afterwards; in the cache, so that objects can be moved there."""
    place = cache_folder() / "sizes"
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        yield Workshop(board, tools, Path(temporary))


class Workshop:
    """A folder in which the compiler of one board works. `project` is always that of build.project_files()."""

    def __init__(self, board: Board, tools: toolchain.Toolchain, folder: Path):
        self.board, self.tools, self.folder = board, tools, folder

    def compile(self, project: Mapping[str, str], more: Sequence[str] = (), endless: bool = True) -> list[str]:
        """Compile all of `project` and the platform's own sources, the model's with the flags `more` too; return the objects
        in the order in which a build links them. `endless`: what is then linked has a board without limits."""
        script = project["linker.ld"]
        startup = assets.folder("firmware") / "platforms" / "bare" / "startup" / f"{self.board.cpu.arch}.c"
        own = [startup, *(p for place in self.tools.sources for p in sorted(Path(place).glob("*.c")))]
        platform = {f"platform/{p.name}": p.read_text(encoding="utf-8") for p in own}
        if endless:
            script = re.sub(r"LENGTH = \d+", f"LENGTH = {ENDLESS}", script)
        everything = {**project, **platform, "linker.ld": script}
        for name, text in everything.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8", newline="\n")
        order = [*platform, *(n for top in ("lib/", "src/") for n in sorted(project) if n.startswith(top) and n.endswith(".c"))]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(lambda name: self.object(name, everything, more), order))

    def link(self, objects: Iterable[str], name: str, more: Sequence[str] = ()) -> Path:
        """Link objects to an ELF file of that name in the folder."""
        self._call(*self.tools.link, "-Wl,--gc-sections", "-T", "linker.ld", *objects, *more,
                   *(f"-l{lib}" for lib in self.tools.libs), "-o", name)  # fmt: skip
        return self.folder / name

    def object(self, name: str, project: Mapping[str, str], more: Sequence[str]) -> str:
        """Compile one file of the project; the object of one that reads nothing of the model's is kept for all models."""
        flags, seen = self._flags(name, more), _included(project[name], project)
        target = name.replace("/", "_")[:-1] + "o"
        if name.startswith("lib/") or seen & {"mcuml_config.h", "model.h"}:
            self._call(*flags, "-c", name, "-o", target)
            return target
        headers = sorted(project[n] for n in project if n.rpartition("/")[2] in seen)
        known = hashlib.sha256(repr((project[name], headers, flags, self.tools)).encode()).hexdigest()[:16]
        place = cache_folder() / "sizes" / f"{known}.o"
        if not place.exists():
            self._call(*flags, "-c", name, "-o", target)
            (self.folder / target).replace(place)
        return str(place)

    def _flags(self, name: str, more: Sequence[str] = ()) -> tuple[str, ...]:
        particular = (*COMPILER_FLAGS, *more) if name.startswith("lib/") else build.FIRMWARE_FLAGS
        return (*particular, *build.COMMON_FLAGS, *self.tools.compile, *(f"-I{folder}" for folder in FOLDERS))

    def _call(self, *words: str) -> None:
        status, output = pio.call([*self.tools.command, *self.tools.machine, *words], self.folder, pio.environment())
        if status:
            told = explain(output, self.board, self.folder)
            if isinstance(told, FitError):
                raise told
            raise BuildError(f"{self.tools.name} cannot make an image for {self.board.name}.", first_error(output),
                             "This is a defect of mcuml: report it.")  # fmt: skip


def _included(text: str, project: Mapping[str, str]) -> set[str]:
    """Names, without folders, of all headers that `text` includes, directly or not."""
    by_name = {name.rpartition("/")[2]: held for name, held in project.items() if name.endswith(".h")}
    found: set[str] = set()
    todo = [text]
    while todo:
        for name in _INCLUDE.findall(todo.pop()):
            plain = name.rpartition("/")[2]
            if plain not in found:
                found.add(plain)
                todo.append(by_name.get(plain, ""))
    return found

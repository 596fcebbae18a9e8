"""Which TensorFlow Lite Micro: the one that MCUML_TFLM names, else the published one; a folder, or anything that PlatformIO's
package manager can bring."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from mcuml import pio
from mcuml.assets import cache_folder
from mcuml.defaults import default
from mcuml.errors import BuildError
from mcuml.tflm import operators

SETTING = "MCUML_TFLM"  # a folder, or a PlatformIO library spec (registry name, git address, archive)
LOCAL = f"Name a copy on this machine: {SETTING}=/path/to/the/library (docs/TFLM.md)."
INSTALL_SECONDS = 300  # to bring a library over the network
_MARK = Path("tensorflow/lite/micro/micro_interpreter.h")
_SOURCES = (".c", ".cc", ".cpp", ".h", ".hpp", ".inc")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)
_FRAMEWORK = re.compile(r"(?:^|/)Arduino\.h$")


@dataclass(frozen=True)
class Library:
    """TensorFlow Lite Micro in a folder. spec: what was asked for; root: the folder that `tensorflow/` is in; title: its name
    and version, as its manifest tells them."""

    spec: str
    root: Path
    title: str

    @cached_property
    def sources(self) -> dict[str, str]:
        """All that a compiler may read: path below root -> text."""
        found = (p for p in sorted(self.root.rglob("*")) if p.suffix in _SOURCES and p.is_file())
        kept = ((p.relative_to(self.root).as_posix(), p) for p in found)
        return {name: p.read_text(encoding="utf-8", errors="replace") for name, p in kept if not name.startswith("examples/")}

    @cached_property
    def sha256(self) -> str:
        """Of names and texts of all sources."""
        digest = hashlib.sha256()
        for name, text in self.sources.items():
            digest.update(f"{name}\0{len(text)}\0{text}".encode())
        return digest.hexdigest()

    @cached_property
    def of_framework(self) -> tuple[str, ...]:
        """The sources that need Arduino's core, directly or through headers of the library: serial ports, cameras, clocks. Bare
        metal builds leave them out; the firmware has what TFLite Micro itself needs of them."""
        needing: set[str] = set()
        included = {name: self._included(name, text) for name, text in self.sources.items()}
        while more := {n for n, (own, strange) in included.items() if n not in needing and (strange or own & needing)}:
            needing |= more
        return tuple(sorted(name for name in needing if not name.endswith((".h", ".hpp", ".inc"))))

    def _included(self, name: str, text: str) -> tuple[set[str], bool]:
        """(headers of the library that `name` includes, whether it includes Arduino.h itself)."""
        words = _INCLUDE.findall(text)
        beside = Path(name).parent
        own = {p for word in words for p in (word, os.path.normpath(beside / word).replace(os.sep, "/")) if p in self.sources}
        return own, any(_FRAMEWORK.search(word) for word in words)

    @cached_property
    def calls(self) -> dict[str, str]:
        """operators.offered() of its resolver."""
        return operators.offered(self.sources.get(operators.HEADER, ""))

    @property
    def about(self) -> dict[str, str]:
        """What a Result tells of it, never where it lies on this computer; of the default's sources their address too."""
        told = {"library": self.title, "library_sha256": self.sha256}
        return {**told, "library_source": default("tflm")} if self.sha256 == default("tflm_sha256") else told

    def offers(self, path: str, word: str) -> bool:
        """Whether the file `path` of the library has `word`: versions differ in their interfaces."""
        return word in self.sources.get(path, "")


def find() -> Library:
    """The library to use. Raises BuildError: there is none at the place named, PlatformIO cannot bring it (no registry, no
    network), or what is there is no TensorFlow Lite Micro, or one that is too old."""
    spec = os.environ.get(SETTING, "").strip() or default("tflm")
    local = _local(spec)
    place = _installed(spec) if local is None else _installed(_archive(local)) if local.is_file() else local
    if not place.is_dir():
        raise BuildError(f"There is no folder {place}, which {SETTING} names as TensorFlow Lite Micro.", "", LOCAL)
    headers = sorted(place.rglob(_MARK.as_posix()), key=lambda p: len(p.parts))
    if not headers:
        raise BuildError(
            f"{place} is not TensorFlow Lite Micro.", f"There is no {_MARK} in it or below it.",
            f"{SETTING} names a library as PlatformIO takes it, such as a copy of {default('tflm').partition('#')[0]}.",
        )  # fmt: skip
    library = Library(spec, headers[0].parents[3], _title(place))
    if library.offers(_MARK.as_posix(), "ErrorReporter* error_reporter"):
        raise BuildError(
            f"{library.title} in {place} is older than mcuml can use.",
            "Its interpreter still takes an ErrorReporter, which newer ones have given up.",
            f"Name a newer one in {SETTING}; the default is {default('tflm')}.",
        )
    if not library.calls:
        found = "has none" if operators.HEADER in library.sources else "is missing"
        raise BuildError(
            f"{library.title} in {place} has no operators.",
            f"mcuml looks for them in {operators.HEADER}, which {found}.",
            f"{SETTING} names the whole library; the default is {default('tflm')}.",
        )
    return library


def _local(spec: str) -> Path | None:
    """The folder or file that `spec` names, there or not; None where it is for PlatformIO's package manager."""
    plain = re.sub(r"^(file|symlink)://", "", spec)
    if plain == spec and re.match(r"[A-Za-z+]+://|git@", spec):
        return None
    path = Path(plain).expanduser()
    named = plain != spec or path.is_absolute() or spec.startswith((".", "~")) or path.is_dir()
    return path.resolve() if named else None


def _archive(path: Path) -> str:
    """The file `path` as PlatformIO takes it. Raises BuildError: it is no archive."""
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return f"file://{path.as_posix()}"
    raise BuildError(f"{path} is neither a folder nor an archive.", f"{SETTING} names it as TensorFlow Lite Micro.", LOCAL)


def _installed(spec: str) -> Path:
    """The folder of the library that PlatformIO brings for `spec`: once, then it is in the cache."""
    place = cache_folder() / "tflm" / hashlib.sha256(spec.encode()).hexdigest()[:16]
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock", timeout=INSTALL_SECONDS):
            library = place / "library"
            if not library.is_dir():
                with tempfile.TemporaryDirectory(dir=place) as temporary:
                    _install(spec, Path(temporary), library)
            return library
    except Timeout as error:
        raise BuildError(
            f"Another download of {spec} has not ended for {INSTALL_SECONDS} seconds.", "", "Wait for it, or stop it."
        ) from error
    except OSError as error:
        raise BuildError(f"Cannot keep {spec} in {place}.", str(error), "Free some space, or set MCUML_CACHE.") from error


def _install(spec: str, work: Path, library: Path) -> None:
    """Have PlatformIO bring `spec` into `work`, then move it to `library`. What it depends on is for other firmware than ours."""
    storage = work / "storage"
    storage.mkdir()
    words = ["pkg", "install", "--storage-dir", str(storage), "--skip-dependencies", "--library", spec]
    try:
        status, output = pio.run(words, work, INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        status, output = 1, f"It took more than {INSTALL_SECONDS} seconds."
    brought = [p for p in storage.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))]
    if status or len(brought) != 1:
        raise BuildError(f"PlatformIO cannot bring TensorFlow Lite Micro: {spec}.", _reason(output), LOCAL)
    shutil.move(brought[0], library)


def _reason(output: str) -> str:
    """The lines of what PlatformIO printed that tell why it failed."""
    lines = [line.strip() for line in output.splitlines() if re.search(r"error|fatal|could not", line, re.IGNORECASE)]
    return "\n".join(line for line in dict.fromkeys(lines) if not line.startswith(("File ", "raise ")))[-600:] or output[-600:]


def _title(folder: Path) -> str:
    """Name and version, from the manifest that there is: PlatformIO's own record, its manifest, Arduino's, Espressif's."""
    fields: dict[str, str] = {}
    for name in (".piopm", "library.json"):
        try:
            held = json.loads((folder / name).read_text(encoding="utf-8"))
            fields = {**{k: str(held[k]) for k in ("name", "version") if held.get(k)}, **fields}
        except (OSError, ValueError, AttributeError):
            continue
    for name, pattern in (("library.properties", r"^(name|version)=(.+)$"), ("idf_component.yml", r"^(version): *(.+)$")):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for key, value in re.findall(pattern, text, re.MULTILINE):
            fields.setdefault(key, value.strip().strip("\"'"))
    return f"{fields.get('name', folder.name)} {fields.get('version', '')}".strip()

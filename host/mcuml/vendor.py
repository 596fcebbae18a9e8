"""Generated files and a board -> a PlatformIO project with the vendor's own framework, which `pio run -t upload` flashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcuml import __version__, pio
from mcuml.assets import cache_folder
from mcuml.board import Board
from mcuml.build import BUILD_HEADER, build_header, drop_strangers, firmware_sources, library_json, library_of
from mcuml.compiler_output import explain
from mcuml.defaults import default
from mcuml.errors import BuildError, RequestError, UserError
from mcuml.render import COMPILER_FLAGS, render_file

WITH_LIBRARY = ("arduino", "espidf")  # the frameworks for which TensorFlow Lite Micro is published
CPP_FLAGS = ("-O3", "-ffp-contract=off")  # of a model in C++
# The framework owns the standard of its own sources, so -std stays away; contraction would change what put_fixed3 prints.
SOURCE_FLAGS = ("-ffp-contract=off", "-Wall", "-Wextra")
_LINES = 6
_NO_REGISTRY = ("HTTPClientError", "Could not find the package", "UnknownPackageError", "ConnectionError", "Could not install")


@dataclass(frozen=True)
class Project:
    """A PlatformIO project with a vendor's framework. framework: also the name of the firmware's port; build: what the firmware
    will call itself in `mcuml id`, a hash of all that the project holds; environment: the one in its platformio.ini."""

    folder: Path
    board: Board
    framework: str
    build: str

    @property
    def environment(self) -> str:
        return self.board.name

    @property
    def elf(self) -> Path:
        """Where `pio run` leaves the image."""
        return self.folder / ".pio" / "build" / self.environment / "firmware.elf"


def vendor_project(files: Mapping[str, str], board: Board, folder: Path | None = None, framework: str = "") -> Project:
    """Write to `folder` (None: one of its own in mcuml's cache) the PlatformIO project of `files`, those of
    bench.firmware_files, for the real `board`.

    framework: one of board.platformio.frameworks ("" = the first, which the board's file recommends). The project has one
    environment, named as the board: `pio run` there builds .pio/build/<board>/firmware.elf, `pio run -t upload
    --upload-port PORT` flashes it with the board's upload protocol, `pio device monitor` opens it at the board's
    speed. PlatformIO brings the vendor's platform and compiler (hundreds of megabytes, once): run it with
    pio.run_vendor(["run", "-t", "upload"], folder), which keeps them for all projects. Nothing is started here, no
    network is needed, and an unchanged file keeps its time stamp.

    Raises RequestError: the board or its file knows no such framework, or the folder cannot be written."""
    framework = framework_of(board, framework)
    project = vendor_files(files, board, framework)
    build = hashlib.sha256(repr(sorted(project.items())).encode()).hexdigest()[:16]
    project[BUILD_HEADER] = build_header(framework, build)
    folder = (folder or cache_folder() / "builds" / f"{board.name}-{framework}-{build}").resolve()
    try:
        for name, text in project.items():
            pio.write_if_changed(folder / name, text)
        drop_strangers(folder, project)
    except OSError as error:
        raise RequestError(f"Cannot write the project to {folder}.", f"{error.strerror or error}: {error.filename or folder}",
                           "Free some space, or choose another folder.") from error  # fmt: skip
    return Project(folder, board, framework, build)


def framework_of(board: Board, framework: str = "", library: bool = False) -> str:
    """`framework`, or the one that the board's file names first; with `library`, for code that calls TensorFlow Lite Micro, the
    first that takes its libraries, if there is one. Raises RequestError: the file names no such one."""
    known = board.platformio.frameworks
    if not known:
        raise RequestError(
            f"{board.name} has no vendor's framework: no firmware can be made for the real board.",
            f"Its file names no framework under [platformio]. {board.notes}".strip(),
            "Leave --hardware out to build for its simulator, or choose another board: mcuml boards",
        )
    if framework and framework not in known:
        raise RequestError(f"{board.name} has no firmware with the framework '{framework}'.",
                           f"Its file names {' and '.join(known)}.")  # fmt: skip
    return framework or next((name for name in known if library and name in WITH_LIBRARY), known[0])


def vendor_files(files: Mapping[str, str], board: Board, framework: str = "") -> dict[str, str]:
    """All files of the project that vendor_project() writes: relative path -> text. Its build is not told yet."""
    framework, called = framework_of(board, framework), library_of(files)
    library = called.spec if called else ""
    if library:
        check_library(board, framework, library)
    own = called.defines if called and framework != "espidf" else ()  # Espressif's component has its own for all that calls it
    defines = ("MCUML_HOSTED", f"MCUML_WAIT_STATES={board.flash.wait_states}", *board.ports.get(framework, ()), *own)
    more = {}
    if framework == "espidf":
        more["sdkconfig.defaults"] = render_file("sdkconfig.defaults.j2", board=board, version=__version__)
        if library:
            more["src/idf_component.yml"] = render_file(
                "idf_component.yml.j2", component=_component(library), version=__version__
            )
    return {
        **{f"lib/model/{name}": text for name, text in files.items() if name.startswith("model")},
        **{f"include/{name}": text for name, text in files.items() if not name.startswith("model")},
        "lib/model/library.json": library_json(("-Os", "-O2", "-Og"), CPP_FLAGS if library else COMPILER_FLAGS),
        "platformio.ini": render_file(
            "platformio.vendor.ini.j2", board=board, version=__version__, framework=framework,
            flags=[*(f"-D {word}" for word in defines), *board.platformio.flags], source_flags=SOURCE_FLAGS,
            library=_dependency(library) if library and framework != "espidf" else "",
        ),
        BUILD_HEADER: build_header(framework, "0" * 16),
        **firmware_sources(framework),
        **more,
    }  # fmt: skip


def check_library(board: Board, framework: str, library: str) -> None:
    """Raise RequestError if PlatformIO would leave `library` out of a project with `framework`, without a word: one that is
    published for Arduino is for projects with Arduino's core only."""
    manifests = [name for name in ("library.json", "library.properties") if (Path(library).expanduser() / name).is_file()]
    if framework in WITH_LIBRARY or (library != default("tflm") and manifests != ["library.properties"]):
        return
    known = [*(name for name in WITH_LIBRARY if name in board.platformio.frameworks), *(["bare"] if board.bare else [])]
    raise RequestError(
        f"TensorFlow Lite Micro's library is for Arduino's core: {framework} on {board.name} cannot use it.",
        "",
        f"Choose another: mcuml build --hardware --framework {' or '.join(known)}." if known else "Use --runtime aot.",
    )


def _dependency(library: str) -> str:
    """`library` as one of PlatformIO's lib_deps: a folder is linked to, not copied."""
    return f"symlink://{Path(library).expanduser().resolve()}" if Path(library).expanduser().is_dir() else library


def _component(library: str) -> dict[str, str]:
    """`library` as Espressif's component manager takes it: the key and the value that tell where the component is. Arduino's
    library, the default elsewhere, has no kernels for Espressif's cores: their own component has."""
    wanted = default("tflm_espidf") if library == default("tflm") else library
    if Path(wanted).expanduser().is_dir():
        return {"key": "path", "value": str(Path(wanted).expanduser().resolve())}
    if "://" in wanted:
        address, _, version = wanted.partition("#")
        return {"key": "git", "value": address, **({"version": version} if version else {})}
    return {"key": "version", "value": wanted.partition("@")[2] or "*"}


def vendor_build(project: Project) -> Path:
    """Build by the vendor's compiler, as PlatformIO brings it; return the ELF.

    Raises BuildError: PlatformIO could not get the platform, or the compiler stopped; FitError: the linker found no room."""
    status, output = pio.run_vendor(["run"], project.folder)
    if status or not project.elf.is_file():
        raise vendor_error(output, project)
    return project.elf


def lacks_packages(output: str) -> bool:
    """Whether PlatformIO failed with `output` because it could not get a platform, a compiler or an upload tool."""
    return any(word in output for word in _NO_REGISTRY)


def vendor_error(output: str, project: Project) -> UserError:
    """The error to raise where PlatformIO failed with `output` on a vendor's project."""
    if not lacks_packages(output):
        return explain(output, project.board, project.folder)
    told = [line for line in output.splitlines() if line.strip()]
    return BuildError(
        f"PlatformIO cannot get {project.board.platformio.platform}, with which {project.board.name} is built.",
        "\n".join(told[-_LINES:]),
        f"Connect to a network and try again, or copy a core folder that has it and name it in PLATFORMIO_CORE_DIR. "
        f"The project is in {project.folder}.",
    )

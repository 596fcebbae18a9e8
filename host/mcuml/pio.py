"""Runs PlatformIO offline, in a core folder of each project's own, and leaves no process behind."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mcuml import processes
from mcuml.assets import cache_folder

# Below the project: PlatformIO rewrites its records of a platform while it runs, so that two runs in one folder read halves.
CORE = Path(".pio", "core")
_SCONS = "tool-scons"


def environment() -> dict[str, str]:
    """The environment of a PlatformIO process or a compiler: no telemetry, no look for upgrades, no colours, zig's cache."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PLATFORMIO_")}
    return {
        **kept,
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "false",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_DISABLE_PROGRESSBAR": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "PLATFORMIO_CALLER": "mcuml",
        "ZIG_GLOBAL_CACHE_DIR": str(cache_folder() / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(cache_folder() / "zig"),
    }


def _prepare(core: Path) -> None:
    """Put SCons from PyPI where PlatformIO looks for its package tool-scons, so that it asks no registry for it."""
    from platformio.dependencies import get_core_dependencies

    version = get_core_dependencies()[_SCONS].lstrip("~^=")
    folder = core / "packages" / _SCONS
    owner = {"type": "tool", "name": _SCONS, "version": version,
             "spec": {"owner": "platformio", "id": None, "name": _SCONS, "requirements": None, "uri": None}}  # fmt: skip
    for name, text in (
        ("scons.py", "import sys\nimport SCons.Script\nsys.exit(SCons.Script.main())\n"),
        ("package.json", json.dumps({"name": _SCONS, "version": version, "description": "SCons from PyPI"})),
        (".piopm", json.dumps(owner)),
    ):
        write_if_changed(folder / name, text)


def program() -> list[str]:
    """The command that PlatformIO is: $MCUML_PLATFORMIO, of words as a shell takes them, else the one installed with mcuml."""
    return shlex.split(os.environ.get("MCUML_PLATFORMIO", "")) or [sys.executable, "-m", "platformio"]


def run(arguments: list[str], folder: Path, limit_s: float | None = None) -> tuple[int, str]:
    """`pio <arguments>` in `folder`: (exit status, its output). Kills it and all it started when interrupted, and after
    `limit_s` seconds, which raises subprocess.TimeoutExpired."""
    core = folder.resolve() / CORE
    _prepare(core)
    return call([*program(), *arguments], folder, environment() | {"PLATFORMIO_CORE_DIR": str(core)}, limit_s)


def run_vendor(arguments: list[str], folder: Path, limit_s: float | None = None) -> tuple[int, str]:
    """`pio <arguments>` in the `folder` of a project with a vendor's framework: (exit status, its output). The platforms and
    compilers that PlatformIO downloads are kept for all projects in mcuml's cache, or in PLATFORMIO_CORE_DIR where that is set;
    all of PLATFORMIO_* is the user's. Raises subprocess.TimeoutExpired after `limit_s` seconds."""
    kept = {k: v for k, v in os.environ.items() if k.startswith("PLATFORMIO_")}
    core = {"PLATFORMIO_CORE_DIR": str(cache_folder() / "platformio")}
    return call([*program(), *arguments], folder, environment() | core | kept, limit_s)


def options(folder: Path) -> dict[str, Any]:
    """The options of the first environment in folder/platformio.ini, each in its type, as PlatformIO reads them."""
    from platformio.project.config import ProjectConfig

    config = ProjectConfig(str(folder / "platformio.ini"))
    return {str(k): v for k, v in config.items(env=config.envs()[0])}


def check_config(folder: Path) -> list[str]:
    """What `pio project config` objects to in folder/platformio.ini: nothing in a right one. Offline, without a process."""
    from platformio.exception import PlatformioException
    from platformio.project.config import ProjectConfig

    try:
        config = ProjectConfig(str(folder / "platformio.ini"))
        config.validate(silent=True)
        for section in config.sections():  # reads each option by its type
            config.items(section=section)
    except PlatformioException as error:
        return [str(error)]
    return [str(warning) for warning in config.warnings]


def call(command: list[str], folder: Path, env: dict[str, str], limit_s: float | None = None) -> tuple[int, str]:
    """Run a command to its end: (exit status, stdout and stderr together). It gets a process group of its own; on any
    exception, Ctrl-C above all, the whole group is killed and waited for. Raises subprocess.TimeoutExpired after `limit_s`."""
    process = processes.start(
        command, folder, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except BaseException:
        processes.kill(process)
        raise
    return process.returncode, output


def write_if_changed(path: Path, text: str) -> None:
    """Write `text` atomically unless the file has it already (its time stamp then stays, and nothing is rebuilt)."""
    try:
        if path.read_bytes() == text.encode():
            return
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

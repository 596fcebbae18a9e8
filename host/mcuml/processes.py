"""Child processes that end with us: each in a group of its own, which is killed whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def start(command: list[str], folder: Path | None = None, env: dict[str, str] | None = None, **how: Any) -> subprocess.Popen:
    """Start `command` in a process group of its own, without standard input unless `how`, further arguments of Popen, has one."""
    windows = sys.platform == "win32"
    return subprocess.Popen(
        command, cwd=folder, env=env, start_new_session=not windows,
        creationflags=0x200 if windows else 0,  # CREATE_NEW_PROCESS_GROUP
        **{"stdin": subprocess.DEVNULL, **how},
    )  # fmt: skip


def kill(process: subprocess.Popen) -> None:
    """Kill the whole group of a process that start() made, and wait for it; one that has ended is no error."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin:
        process.stdin.close()
    process.wait()

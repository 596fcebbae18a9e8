"""Runs `mcuml bench` or another verb with --json as a process and reads what it writes."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """How it ended, and what it wrote, of bench the Result; None where it wrote none."""

    code: int
    said: str
    result: dict | None

    @property
    def refused(self) -> bool:
        """Whether mcuml does not serve the model, or the board has no room for it."""
        return self.code in (3, 4)


def bench(model: Path, *words: str, target: Path | None = None, host: Path | None = None, verb: str = "bench") -> Run:
    """One run of `verb` on `model` with the options `words`. `target`: where what it writes is to stay; `host`: the folder of the
    mcuml to run, by default that which this Python imports. With `host`, paths must be absolute: Python looks for modules where
    it is started first, so that it is started elsewhere."""
    env = {**os.environ, "PYTHONPATH": str(host)} if host else None
    with tempfile.TemporaryDirectory() as folder:
        written = target or Path(folder) / "result.json"
        command = [sys.executable, "-m", "mcuml", verb, str(model), *words, "--json", str(written), "--quiet"]
        done = subprocess.run(command, env=env, cwd=folder if host else None, capture_output=True, text=True, check=False)
        held = json.loads(written.read_text(encoding="utf-8")) if done.returncode in (0, 7) else None
    return Run(done.returncode, done.stderr, held)

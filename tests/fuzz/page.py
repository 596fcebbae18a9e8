"""docs/results/fuzz.md: what the sweeps found, one section each; a sweep rewrites its own section."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

from fuzz.files import MEMORY_BYTES, SECONDS
from mcuml import __version__, ops

HEAD = """# Random graphs and damaged files

Written by `make fuzz` and `make fuzz-files`; how they work is in [DESIGN.md](../DESIGN.md).
"""


def record(path: Path, title: str, text: str) -> None:
    """Put `text` under "## `title`" in the page at `path`, in place of what was there."""
    old = path.read_text(encoding="utf-8") if path.exists() else HEAD
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL)) | {title: text}
    body = "\n\n".join(f"## {name}\n\n{sections[name].strip()}" for name in sorted(sections, reverse=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}\n{body.rstrip()}\n", encoding="utf-8")


def when(command: str, seconds: float) -> str:
    """Date, command, duration and machine."""
    return (
        f"{datetime.date.today()}, mcuml {__version__}: `{command}`, {seconds:.0f} s on {os.cpu_count()} cores "
        f"({platform.machine()} {platform.system()})."
    )


def table(rows: Counter, left: str, right: str) -> str:
    lines = [f"| {name} | {count:,} |" for name, count in sorted(rows.items())]
    return "\n".join([f"| {left} | {right} |", "|---|---:|", *lines])


def graphs(count: int, seed: int, seconds: float, operators: Counter, failures: Counter) -> str:
    """The section of `make fuzz`."""
    served, total = (
        {code for code in ops.registry() if "+" not in code and ":" not in code.removeprefix("CUSTOM:")},
        sum(operators.values()),
    )
    missing = sorted(served - set(operators))
    left = f" Served but not drawn: {', '.join(missing)}." if missing else ""
    result = "No difference." if not failures else "; ".join(f"**{kind}: {n}**" for kind, n in sorted(failures.items()))
    return f"""{when(f"make fuzz GRAPHS={count} SEED={seed}", seconds)}

{count:,} graphs, {total:,} operators, every layer that survives mcuml's passes compared with TFLite
Micro {metadata.version("tflite-micro")}: integers bit for bit, floats within 1e-5; graphs with state run six
times in a row, the others twice. An infinity counts as the largest float, to which some of TFLite Micro's kernels clamp. Not
compared: layers that turn floats into integers that cannot hold them, convolutions of floats that are infinite or none, layers
inside IF and WHILE (what those give is). Not drawn: divisors of 0, RSQRT of int8 below 0, what SPACE_TO_BATCH_ND pads with.
{result}

{table(operators, "operator", "drawn")}

{len(operators)} operators drawn.{left}"""


def files(count: int, seed: int, seconds: float, counts: dict[str, Counter]) -> str:
    """The section of `make fuzz-files`."""
    rows = [f"| {what} | {sum(c.values()):,} | {_outcomes(c)} |" for what, c in counts.items()]
    escaped = sum(c["ESCAPED"] for c in counts.values())
    result = "Nothing else came of any of them." if not escaped else f"**{escaped} ended otherwise.**"
    return f"""{when(f"make fuzz-files MUTATIONS={count} SEED={seed}", seconds)}

Flipped bits, cuts, stray and repeated pieces, sizes and indices set to other numbers. Models (the shared ones, the example and
random graphs) go through import, passes, kernel selection, planning and rendering, board files through the loader, replies
through every decoder of the host, each within {SECONDS:g} s of processor time and {MEMORY_BYTES >> 20} MB; commands go to the
host build of the firmware with sanitizers, which must still know its name afterwards. {result}

| what | damaged | came of it |
|---|---:|---|
{chr(10).join(rows)}"""


def _outcomes(counted: Counter) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counted.most_common())

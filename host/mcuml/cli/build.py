"""`mcuml build MODEL -o DIR`: firmware for a board, linked by PlatformIO."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import EnergyMode, Optimize, SuiteName, TunedFile


def build(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the PlatformIO project; by default in mcuml's cache."),
    ] = None,
    board: Annotated[str, typer.Option(metavar="NAME", help="A board's name or file; mcuml boards marks the default.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the ELF's path alone.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
    suite: SuiteName = "",
    energy: EnergyMode = False,
) -> None:
    """Link firmware for a board and print where the ELF is. An unchanged build starts no compiler."""
    from mcuml.cli._console import tell
    from mcuml.cli._firmware import firmware

    plan, image = firmware(model, board, quiet, output, False, optimize, tuned, suite, energy)
    print(image.elf)
    if not quiet:
        told = "unchanged" if image.cached else "built"
        sizes = f"flash {image.flash_bytes:,} bytes (code {image.code_bytes:,}, weights {image.weights_bytes:,})"
        compiler = f"{image.toolchain['name']} {image.toolchain['version']}"
        tell(f"{told} with {compiler}: {sizes}, RAM {image.ram_bytes:,} (arena {plan.arena_bytes:,})")

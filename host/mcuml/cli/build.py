"""`mcuml build MODEL -o DIR`: firmware for a board, linked by PlatformIO."""

from pathlib import Path
from typing import Annotated

import typer

from mcuml.cli._options import BoardName, EnergyMode, ModelFile, Optimize, RuntimeName, SuiteName, TunedFile


def build(
    model: ModelFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the PlatformIO project; by default in mcuml's cache."),
    ] = None,
    board: BoardName = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the ELF's path alone.")] = False,
    optimize: Optimize = "balanced",
    tuned: TunedFile = None,
    suite: SuiteName = "",
    energy: EnergyMode = False,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="For the board itself instead of a simulator, by its vendor's tools.")
    ] = False,
    framework: Annotated[
        str, typer.Option(metavar="NAME", help="--hardware with arduino, espidf or stm32cube; bare is without any framework.")
    ] = "",
    project: Annotated[
        bool, typer.Option("--project", help="With --hardware: write the PlatformIO project, print its folder, build nothing.")
    ] = False,
    runtime: RuntimeName = "aot",
) -> None:
    """Link firmware for a board and print where the ELF is. An unchanged build starts no compiler. With --hardware it can be
    flashed: mcuml flash, or `pio run -t upload` in the folder of its project."""
    from mcuml.cli._console import tell
    from mcuml.cli._firmware import firmware, vendors

    if (hardware or framework or project) and framework != "bare":
        print(vendors(model, board, quiet, output, framework, not project, optimize, tuned, suite, energy, runtime))
        return
    plan, image = firmware(model, board, quiet, output, False, optimize, tuned, suite, energy, framework == "bare", runtime)
    print(image.elf)
    if not quiet:
        told = "unchanged" if image.cached else "built"
        sizes = f"flash {image.flash_bytes:,} bytes (code {image.code_bytes:,}, weights {image.weights_bytes:,})"
        compiler = f"{image.toolchain['name']} {image.toolchain['version']}"
        tell(f"{told} with {compiler}: {sizes}, RAM {image.ram_bytes:,} (arena {plan.arena_bytes:,})")

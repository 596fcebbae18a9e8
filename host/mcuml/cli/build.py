"""`mcuml build MODEL -o DIR`: firmware for a board, linked by PlatformIO."""

from pathlib import Path
from typing import Annotated

import typer


def build(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the PlatformIO project; by default in mcuml's cache."),
    ] = None,
    board: Annotated[str, typer.Option(metavar="NAME", help="A board's name or file; mcuml boards marks the default.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the ELF's path alone.")] = False,
) -> None:
    """Link firmware for a board and print where the ELF is. An unchanged build starts no compiler."""
    from mcuml import bench, pipeline
    from mcuml import build as builder
    from mcuml.board import load
    from mcuml.cli._console import stages, tell
    from mcuml.cli._defaults import default_board
    from mcuml.fit import check_fit

    target = load(board or default_board())
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        plan = pipeline.prepare(model)
        check_fit(plan, target)
        progress("build")
        image = builder.build_firmware(bench.firmware_files(plan, target), target, output)
    print(image.elf)
    if not quiet:
        told = "unchanged" if image.cached else "built"
        sizes = f"flash {image.flash_bytes:,} bytes (code {image.code_bytes:,}, weights {image.weights_bytes:,})"
        compiler = f"{image.toolchain['name']} {image.toolchain['version']}"
        tell(f"{told} with {compiler}: {sizes}, RAM {image.ram_bytes:,} (arena {plan.arena_bytes:,})")

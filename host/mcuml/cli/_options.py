"""Options that several verbs have, and what they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mcuml.plan import Plan

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)]
BoardName = Annotated[str, typer.Option(metavar="NAME", help="A board's name or file; mcuml boards marks the default.")]
DataFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Samples: .npz, .npy, .zip or folder; random ones by default.")
]
LabelsFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Class numbers: .csv or .npy, where the data holds none.")]
Optimize = Annotated[str, typer.Option(metavar="GOAL", help="Choose kernels for balanced, speed, size (flash) or ram.")]
TunedFile = Annotated[
    Path | None, typer.Option("--tuned", metavar="FILE", help="Choose kernels by cycles that mcuml tune measured.")
]
RuntimeName = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="What runs the model: aot (mcuml's own C) or tflm (docs/TFLM.md).")
]
SuiteName = Annotated[
    str, typer.Option("--suite", metavar="TEST", help="Make it a device of MLPerf Tiny's test: kws, vww, ic or ad.")
]
EnergyMode = Annotated[
    bool, typer.Option("--energy", help="MLPerf Tiny's energy mode: timestamps go to the trigger pin, at 9600 baud.")
]


def prepare(model: Path, optimize: str, tuned: Path | None, core: str = "") -> "Plan":
    """The plan of `model`. Raises RequestError for a `tuned` file of another core than `core`, where that is known."""
    from mcuml import pipeline
    from mcuml import tuned as file

    return pipeline.prepare(model, optimize, file.load(tuned, core).cycles if tuned else None)


def sample_count(text: str) -> int | None:
    """What --samples says; None: all. Raises RequestError."""
    from mcuml.errors import RequestError

    if text == "all":
        return None
    if not (text.isdecimal() and int(text)):
        raise RequestError(f"--samples is '{text}'.", "", "Give a number of at least 1, or 'all'.")
    return int(text)

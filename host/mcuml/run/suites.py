"""MLPerf Tiny's four tests: what a device of each takes, and by which numbers the official runner drives it.

Source: mlcommons/tiny at 1afd2c9, benchmark/runner/tests_*.yaml, devices_*.yaml and benchmark/reference_submissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcuml.board import Board
from mcuml.errors import ModelError, RequestError
from mcuml.graph import Graph, Tensor

ENERGY_BAUD = 9600


@dataclass(frozen=True)
class Suite:
    """One test. model: the name that `profile` answers. elements: of the model's one input. form: what `db` brings, the
    model's own int8 values, RGB values of 0 to 255, or float32 values that the device quantizes. classes: scores of the model.
    iterations, warmups: the official scripts' numbers for performance and for energy. metric, target: the quality that the closed
    division asks for, a fraction. stride: bytes from one window of a longer file to the next; 0 where a file is one input."""

    name: str
    title: str
    model: str
    elements: int
    form: Literal["int8", "rgb", "float"]
    classes: int
    performance: tuple[int, int]
    energy: tuple[int, int]
    baud: int
    metric: Literal["top-1", "AUC"]
    target: float
    stride: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of one `db` load."""
        return self.elements * (4 if self.form == "float" else 1)


SUITES = {
    suite.name: suite
    for suite in (
        Suite("kws", "keyword spotting", "kws01", 490, "int8", 12, (70, 10), (70, 10), 115200, "top-1", 0.90),
        Suite("vww", "visual wake words", "vww01", 96 * 96 * 3, "rgb", 2, (20, 5), (20, 5), 115200, "top-1", 0.80),
        Suite("ic", "image classification", "ic01", 32 * 32 * 3, "rgb", 10, (20, 5), (20, 0), 115200, "top-1", 0.85),
        Suite("ad", "anomaly detection", "ad01", 640, "float", 640, (1500, 10), (1500, 0), 921600, "AUC", 0.85, stride=512),
    )
}


def find(name: str) -> Suite:
    """The test of that name, or of the name that `profile` answers. Raises RequestError: there is none."""
    for suite in SUITES.values():
        if name in (suite.name, suite.model):
            return suite
    raise RequestError(
        f"There is no MLPerf Tiny test '{name}'.",
        f"mcuml has {', '.join(f'{s.name} ({s.title})' for s in SUITES.values())}.",
        "The fifth, streaming wake words, needs audio over I2S, which mcuml's firmware does not take.",
    )


def at_rate(board: Board, suite: Suite | None, energy: bool) -> Board:
    """`board` with the serial rate that its firmware for that test and mode has."""
    rate = ENERGY_BAUD if energy else suite.baud if suite else board.serial.baud
    return board.model_copy(update={"serial": board.serial.model_copy(update={"baud": rate})})


def check(suite: Suite, graph: Graph) -> None:
    """Raise ModelError unless the device of `suite` can hold the model: one input and one output of the test's sizes, int8, and
    for RGB the zero point that subtracting 128 needs. `ad` takes a float32 model too."""
    inputs, outputs = ([graph.tensors[t] for t in held] for held in (graph.inputs, graph.outputs))
    types = ("int8", "float32") if suite.form == "float" else ("int8",)
    if len(inputs) != 1 or inputs[0].elements != suite.elements or inputs[0].dtype not in types:
        wanted = f"one input of {suite.elements} values, {' or '.join(types)}"
        raise _other(suite, graph, wanted, inputs)
    if len(outputs) != 1 or outputs[0].elements != suite.classes:
        raise _other(suite, graph, f"one output of {suite.classes} values", outputs)
    if suite.form == "rgb" and inputs[0].zero_point != -128:
        raise _other(suite, graph, "an input with zero point -128, for the device subtracts 128", inputs)


def _other(suite: Suite, graph: Graph, wanted: str, held: list[Tensor]) -> ModelError:
    def told(tensor: Tensor) -> str:
        point = f", zero point {tensor.zero_point}" if tensor.quant and tensor.quant.per_tensor else ""
        return f"{tensor.name} {tensor.dtype} {'x'.join(map(str, tensor.shape))}{point}"

    return ModelError(
        f"{graph.name} is no model for MLPerf Tiny's test '{suite.name}' ({suite.title}).",
        f"The test needs {wanted}; the model has {'; '.join(map(told, held)) or 'none'}.",
        "Name the test that the model was made for, or quantize the model to int8: mcuml optimize",
    )

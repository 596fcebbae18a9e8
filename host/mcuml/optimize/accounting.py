"""What a candidate costs and is worth: sizes, memory, cycles and accuracy of the exported model, through its generated C."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from mcuml import bench, board, dataset, pipeline, tflite, trial_link
from mcuml.board import Board
from mcuml.dataset import Dataset
from mcuml.errors import FitError, RequestError
from mcuml.fit import check_fit
from mcuml.graph import Tensor
from mcuml.host_model import HostModel
from mcuml.hostbuild import host_library
from mcuml.link.virtual import check_simulated
from mcuml.optimize.data import Data, Split
from mcuml.plan import Plan
from mcuml.raw_model import RawModel
from mcuml.render import render_model

CHUNK = 64  # samples that a thread quantizes and runs at a time
FILE = "model.tflite"  # every candidate's name in the firmware, which holds it: a longer name would be a bigger flash


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnBoard(_Part):
    """One board's figures. Bytes as linked; `cycles` and `ms` of one inference, estimated or measured as `kind` says. `ms` has
    the flash's waits in it where they are known; a core without a cycle model has neither. `fits`: whether flash and RAM
    suffice; then all others are absent if not (`overshoot` says what exceeds what)."""

    board: str
    fits: bool
    overshoot: str = ""
    flash_bytes: int | None = None
    code_bytes: int | None = None
    weights_bytes: int | None = None
    ram_bytes: int | None = None  # static, the arena included; the stack comes on top
    arena_bytes: int | None = None
    stack_bytes: int | None = None
    cycles: int | None = None
    ms: float | None = None
    kind: str | None = None
    error: str | None = None
    identical: bool | None = None  # outputs of `samples` samples on the virtual board equal the oracle's, bit for bit
    agrees: bool | None = None  # as identical, but floats within bench.TOLERANCE
    samples: int | None = None
    oracle: str | None = None


class Account(_Part):
    """A candidate's figures. `correct_*`: one bit per sample of the split, packed (numpy.packbits), in hexadecimal: what the
    paired test compares (`bits` unpacks them). Accuracies are shares of 1, of the generated C on this computer over the whole
    split. `h5_bytes`: the trained Keras file with its optimizer's state, of the paper's accounting."""

    parameters: int
    nonzero_parameters: int
    tflite_bytes: int
    gzip_bytes: int
    macs: int
    scheme: str
    validation_accuracy: float
    test_accuracy: float
    validation_samples: int
    test_samples: int
    correct_validation: str
    correct_test: str
    boards: tuple[OnBoard, ...]
    h5_bytes: int | None = None

    @property
    def paper_ratio(self) -> float | None:
        """The paper's own ratio: the trained .h5 with optimizer state over this .tflite. Not like for like: a 12.06 of this
        kind is a 3.70 of .tflite over .tflite."""
        return None if self.h5_bytes is None else self.h5_bytes / self.tflite_bytes


def account(
    model: bytes,
    name: str,
    data: Data,
    boards: Sequence[str],
    objective: str = "balanced",
    oracle: bench.Oracle | None = None,
    h5_bytes: int | None = None,
    board_samples: int = 20,
    threads: int | None = None,
) -> Account:
    """All figures of the .tflite file `model`; `name` stands for it in messages.

    `board_samples`: how many samples of the validation data run on each virtual board and, where there is one, past `oracle`.
    `threads`: of the host build (None: one per processor). Raises ModelError (cannot be served), RequestError (a board that is
    not known or not simulated, data that does not match), BuildError, LinkError. A model too large for a board is no error."""
    targets = load_boards(boards)
    with tempfile.TemporaryDirectory(prefix="mcuml-account-") as folder:
        path = Path(folder) / FILE
        path.write_bytes(model)
        plan = pipeline.prepare(path, objective)
        tensor = _only_input(plan, data, name)
        library = host_library(render_model(plan))
        validation, test = (correct(library, plan, split, threads) for split in (data.validation, data.test))
        shown = Dataset(data.name, (dataset.as_input(data.validation.x[:board_samples], tensor, data.name),))
        expected = oracle(path, shown.samples()) if oracle and targets else None
        held = tuple(_on_board(plan, target, shown, expected) for target in targets)
    parameters, nonzero = count_parameters(tflite.read(model, name))
    return Account(
        parameters=parameters,
        nonzero_parameters=nonzero,
        tflite_bytes=len(model),
        gzip_bytes=len(gzip.compress(model, 9, mtime=0)),
        macs=plan.graph.macs,
        scheme=plan.graph.scheme,
        validation_accuracy=float(validation.mean()),
        test_accuracy=float(test.mean()),
        validation_samples=len(validation),
        test_samples=len(test),
        correct_validation=np.packbits(validation).tobytes().hex(),
        correct_test=np.packbits(test).tobytes().hex(),
        boards=held,
        h5_bytes=h5_bytes,
    )


def load_boards(names: Sequence[str]) -> tuple[Board, ...]:
    """The boards of these names or files. Raises RequestError for one that is not known or has no simulator: worth asking
    before hours of training."""
    found = tuple(board.load(name) for name in names)
    for target in found:
        check_simulated(target)
    return found


def bits(packed: str, samples: int) -> np.ndarray:
    """bool (samples,) of Account's `correct_*`."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8), count=samples).astype(bool)


def count_parameters(raw: RawModel) -> tuple[int, int]:
    """(elements, elements that are not zero) of every constant with a dimension that an operator reads as real numbers: floats,
    and integers with a scale, whose zero is their zero point. So weights and biases of all types count, each tensor once;
    shapes, axes and paddings do not, nor do single numbers of a formula."""
    total = nonzero = 0
    for tensor in raw.tensors:
        if tensor.data is None or not tensor.shape:
            continue
        if tensor.data.dtype.kind == "f":
            zero: np.ndarray = np.zeros(1)
        elif tensor.quant is not None:
            points = tensor.quant.zero_point
            zero = points.reshape([-1 if axis == tensor.quant.axis else 1 for axis in range(tensor.data.ndim)])
        else:
            continue
        total += tensor.elements
        nonzero += int(np.count_nonzero(tensor.data != zero))
    below = [count_parameters(other) for other in raw.others]
    return total + sum(n for n, _ in below), nonzero + sum(n for _, n in below)


def correct(library: Path, plan: Plan, split: Split, threads: int | None = None) -> np.ndarray:
    """bool (n,): for which samples of `split` the largest element of the first output is the right class, run through the host
    build at `library`, inputs quantized with the model's own scale. An output with a NaN is wrong. ctypes lets go of the
    interpreter's lock while a model runs, and each thread brings its own arena."""
    tensor, output = (plan.graph.tensors[t] for t in (plan.graph.inputs[0], plan.graph.outputs[0]))

    def chunk(first: int) -> list[bool]:
        model = HostModel(library, plan)
        rows = dataset.as_input(split.x[first : first + CHUNK], tensor, "the data")
        scores = [np.frombuffer(model.run([row.tobytes()])[0], output.dtype) for row in rows]
        return [bool(not np.isnan(s).any() and s.argmax() == y) for s, y in zip(scores, split.y[first:], strict=False)]

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        parts = list(pool.map(chunk, range(0, len(split), CHUNK)))
    return np.array([right for part in parts for right in part], bool)


def _only_input(plan: Plan, data: Data, name: str) -> Tensor:
    """The model's input. Raises RequestError unless it is one and the outputs are enough for the classes."""
    graph = plan.graph
    if len(graph.inputs) != 1:
        raise RequestError(f"{name} has {len(graph.inputs)} inputs.", "", "mcuml optimize takes models with one.")
    scores = graph.tensors[graph.outputs[0]].elements
    if data.classes > scores:
        raise RequestError(
            f"{name} has {scores} outputs, {data.name} has {data.classes} classes.", "", "Give the data of this model's classes."
        )
    return graph.tensors[graph.inputs[0]]


def _on_board(plan: Plan, target: Board, data: Dataset, expected: tuple[str, bench.Samples] | None) -> OnBoard:
    """Link, count and compare on one virtual board."""
    try:
        check_fit(plan, target)
        with trial_link.image(bench.firmware_files(plan, target), target) as image:
            latency, memory = bench.measure(image, plan, data, bench.silent)
            outputs = bench.on_board(image, plan, data, len(data), bench.silent)
    except FitError as error:
        return OnBoard(board=target.name, fits=False, overshoot=error.what)
    verified = bench.compare(expected[0], outputs, [], expected[1], plan.graph) if expected else None
    return OnBoard(
        board=target.name,
        fits=True,
        **memory.model_dump(),
        **(latency.model_dump(include={"cycles", "ms", "kind", "error"}) if latency else {}),
        identical=verified.identical if verified else None,
        agrees=verified.passed if verified else None,
        samples=len(data) if verified else None,
        oracle=verified.oracle if verified else None,
    )

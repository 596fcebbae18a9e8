"""Accounting: every figure of a candidate against another way to come by it, on the digits model and on models made here."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from commandline import DIGITS, DIGITS_DATA, ROOT
from mcuml import bench, board, pipeline, reference, tflite
from mcuml.cli._oracle import find_oracle
from mcuml.errors import RequestError
from mcuml.hostbuild import host_library
from mcuml.optimize.accounting import Account, account, bits, correct, count_parameters
from mcuml.optimize.data import Data, Split
from mcuml.render import render_model
from modelmaker import const, model, op, tensor

MODEL = DIGITS.read_bytes()
BOARD = "nano33ble"


def grey() -> tuple[np.ndarray, np.ndarray]:
    """The 100 digits with so much noise, seeded, that some are misread: uint8 (100, 8, 8, 1), int64 (100,)."""
    with np.load(DIGITS_DATA) as held:
        noise = np.random.default_rng(1).normal(0, 70, held["x"].shape)
        return np.clip(held["x"] + noise, 0, 255).astype(np.uint8), held["y"].astype(np.int64)


def digits(classes: int = 10) -> Data:
    """50 samples to choose by, 50 to tell, as floats in 0..1."""
    x, y = grey()
    x = x.astype(np.float32) / 255
    halves = Split(x[:50], y[:50]), Split(x[50:], y[50:])
    return Data("digits", halves[0], *halves, classes, "")


@pytest.fixture(scope="module")
def held() -> Account:
    return account(MODEL, "digits", digits(), (BOARD,), oracle=find_oracle(), h5_bytes=10 * len(MODEL))


def test_sizes(held: Account) -> None:
    weights = 9 * 8 + 8 + 8 * 9 * 16 + 16 + 2 * 2 * 16 * 10 + 10
    assert held.parameters == weights and 0 < held.nonzero_parameters < weights
    assert held.tflite_bytes == len(MODEL) and held.scheme == "int8"
    assert held.macs == 64 * 9 * 8 + 16 * 8 * 9 * 16 + 64 * 10
    assert held.paper_ratio == 10
    piped = subprocess.run(["gzip", "-9", "-n"], input=MODEL, capture_output=True, check=True).stdout
    assert held.gzip_bytes == len(piped)


def test_accuracies_are_the_oracles_sample_by_sample(held: Account) -> None:
    """The oracle is fed by its own quantization: the grey levels less 128."""
    pictures, labels = grey()
    told = reference.run(MODEL, [[(x.astype(np.int16) - 128).astype(np.int8)[None]] for x in pictures])
    right = np.array([int(out[0].argmax()) == y for out, y in zip(told, labels, strict=True)])
    assert 0.5 < right[:50].mean() < 1 and 0.5 < right[50:].mean() < 1
    assert bits(held.correct_validation, 50).tolist() == right[:50].tolist()
    assert bits(held.correct_test, 50).tolist() == right[50:].tolist()
    assert (held.validation_accuracy, held.test_accuracy) == (right[:50].mean(), right[50:].mean())
    assert (held.validation_samples, held.test_samples) == (50, 50)


def test_the_boards_figures_are_those_of_bench(held: Account, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    np.savez(tmp_path / "data.npz", x=digits().validation.x)
    request = bench.Request(path, board.load(BOARD), tmp_path / "data.npz")
    done = bench.bench(pipeline.prepare(path), request, None, lambda *_: None).result
    assert done.memory and done.latency
    told = held.boards[0]
    assert told.board == BOARD and told.fits and told.kind == "estimated" and told.identical and told.agrees
    assert told.samples == 20 and told.oracle and told.oracle.startswith("TFLite Micro")
    assert (told.cycles, told.ms, told.error) == (done.latency.cycles, done.latency.ms, done.latency.error)
    for name, value in done.memory.model_dump().items():
        assert getattr(told, name) == value, name


def test_a_wrong_output_is_told(held: Account) -> None:
    asked = find_oracle()
    assert asked

    def other(path: Path, inputs: bench.Samples) -> tuple[str, bench.Samples]:
        name, outputs = asked(path, inputs)
        outputs[3][0] = outputs[3][0] ^ 1
        return name, outputs

    told = account(MODEL, "digits", digits(), (BOARD,), oracle=other, board_samples=4).boards[0]
    assert told.identical is False and told.agrees is False and told.samples == 4
    assert told.cycles == held.boards[0].cycles


def test_a_model_that_does_not_fit_is_told_by_how_much(tmp_path: Path) -> None:
    """Accuracy and sizes are told all the same."""
    text = (ROOT / "boards" / f"{BOARD}.toml").read_text(encoding="utf-8")
    ram = re.search(r"\[ram\].*?size = (\S+)", text, re.DOTALL)
    assert ram
    small = text.replace(ram[0], ram[0].replace(ram[1], "0x0A00"))
    (tmp_path / f"{BOARD}.toml").write_text(small, encoding="utf-8")
    told = account(MODEL, "digits", digits(), (str(tmp_path / f"{BOARD}.toml"),), oracle=find_oracle())
    assert not told.boards[0].fits and re.search(r"RAM [\d,]+ of [\d,]+ bytes \([\d,]+ too many\)", told.boards[0].overshoot)
    assert told.boards[0].flash_bytes is None and told.validation_accuracy > 0.5


REFUSED = {  # id: (classes, boards, what is said)
    "unknown-board": (10, ("no-such-board",), "no-such-board"),
    "too-many-classes": (11, (), "digits has 10 outputs, digits has 11 classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    classes, boards, words = REFUSED[case]
    with pytest.raises(RequestError, match=words):
        account(MODEL, "digits", digits(classes), boards)


def test_threads_change_nothing(tmp_path: Path) -> None:
    """More samples than one thread takes at a time, and a remainder."""
    plan = pipeline.prepare(DIGITS)
    library = host_library(render_model(plan))
    half = digits().test
    split = Split(np.tile(half.x, (11, 1, 1, 1)), np.tile(half.y, 11))
    one = correct(library, plan, split, threads=1)
    assert one.tolist() == correct(library, plan, split, threads=5).tolist()
    assert one.tolist() == correct(library, plan, half).tolist() * 11


def nan_model() -> bytes:
    """Scores of two classes: ln(-1), which is no number, and 1."""
    x, log = (tensor(name, "float32", (1, 1)) for name in ("x", "log"))
    y = tensor("scores", "float32", (1, 2))
    return model([op("LOG", [x], [log]), op("CONCATENATION", [log, x], [y], axis=1)], [x], [y])


def test_no_number_is_no_answer() -> None:
    split = Split(np.array([[-1.0], [-1.0], [5.0], [5.0]], np.float32), np.array([0, 1, 0, 1]))
    told = account(nan_model(), "nan", Data("d", split, split, split, 2, ""), ())
    assert bits(told.correct_test, 4).tolist() == [False, False, False, True]


def weighted(data: np.ndarray, scale: object = None, zero_point: object = None, axis: int = 0) -> bytes:
    """A model with one constant of rank 2 or less, and others that are none of its parameters: a shape and a number."""
    x, y = tensor("x", "float32", (1, 2)), tensor("y", "float32", (2, 1))
    held = const("held", data, scale, zero_point, axis)
    read = tensor("read", "float32", data.shape)
    mid, sized = tensor("mid", "float32", (1, 2)), tensor("sized", "float32", (1, 2))
    return model(
        [
            op("DEQUANTIZE", [held], [read]) if data.dtype != np.float32 else op("ABS", [held], [read]),
            op("ADD", [x, const("one", np.array(1, np.float32))], [mid]),
            op("ADD", [mid, read], [sized]),
            op("RESHAPE", [sized, const("shape", np.array([2, 1], np.int32))], [y]),
        ],
        [x],
        [y],
    )


COUNTED = {  # id: (constant, scale, zero point, parameters, of them not zero)
    "float32": (np.array([[0, 2]], np.float32), None, None, 2, 1),
    "float16": (np.array([[0, -0.0]], np.float16), None, None, 2, 0),
    "int8": (np.array([[0, 5]], np.int8), 0.5, 0, 2, 1),
    "zero-point": (np.array([[0, 5]], np.int8), 0.5, 5, 2, 1),
    "all-zero-point": (np.array([[5, 5]], np.int8), 0.5, 5, 2, 0),
    "per-channel": (np.array([[1, 2]], np.int8), [0.5, 0.5], [1, 2], 2, 0),
}


@pytest.mark.parametrize("case", COUNTED)
def test_parameters_are_constants_that_stand_for_real_numbers(case: str) -> None:
    data, scale, zero_point, total, nonzero = COUNTED[case]
    assert count_parameters(tflite.read(weighted(data, scale, zero_point, axis=1), case)) == (total, nonzero)


PAPER = {  # file: (scheme, .tflite bytes, gzip bytes, correct of 10,000), of the paper's folder; 20,410 parameters each
    "4_fashion_mnist_model": ("float32", 83280, 77132, 8919),
    "7_fashion_mnist_Integer_float_model": ("dynamic", 22480, 16654, 8917),
    "10_fashion_mnist_float16_model": ("float16", 42972, 39151, 8919),
    "13_fashion_mnist_integeronly_model": ("int8", 23208, 16609, 8916),
}


@pytest.mark.parametrize("case", PAPER)
def test_the_papers_models(case: str, shared: Path) -> None:
    """Sizes as published, accuracy within 3 of 10,000 samples: a few outputs are ties but for rounding. 16,000 samples of
    93,288 multiply-accumulates took 1.0 to 2.9 s on two shared cores."""
    scheme, size, zipped, right = PAPER[case]
    with np.load(shared / "data" / "fashion_mnist.npz") as held:
        x, y = held["x_test"].astype(np.float32) / 255, held["y_test"].astype(np.int64)
    blob = (shared / "models" / "cnn_on_mcu" / f"{case}.tflite").read_bytes()
    started = time.monotonic()
    told = account(blob, case, Data("fashion", Split(x, y), Split(x[:100], y[:100]), Split(x, y), 10, ""), ())
    assert time.monotonic() - started < 30
    assert (told.parameters, told.macs, told.scheme) == (20410, 93288, scheme)
    assert (told.tflite_bytes, told.gzip_bytes) == (size, zipped)
    assert abs(told.test_accuracy * 10000 - right) <= 3

"""Tables of one-operator models, compared with TFLite Micro bit for bit: .tflite -> mcuml's C -> each build of BUILDS.

A test file says what its cases are and how a case becomes a model; all cases of a table are compiled in one go:

    def make(rng, dtype, shape): ...            # -> bytes of a .tflite file
    test_matches_tflite_micro = compare([("int8", (1, 8)), ...], make)
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuml import ops, render, tflite
from mcuml.graph import Tensor
from mcuml.plan import plan

CC = [cc] if (cc := shutil.which("cc")) else [sys.executable, "-m", "ziglang", "cc"]
FLAGS = ["-O1", "-std=c99", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
TOLERANCE = 1e-5  # of float outputs, relative to the largest value of the sample or 1


def identify(case: tuple) -> str:
    """A rerunnable id, for pytest -k."""
    return "-".join(re.sub("[^-+.\\w]", "", repr(part).replace("), (", "_").replace(", ", "x")) for part in case)


def values(rng: np.random.Generator, tensor: Tensor, kind: str) -> np.ndarray:
    """An input: "random", "low" and "high" (the ends of the type everywhere) or "ramp" (all values in turn)."""
    if tensor.dtype == "float32":
        wave = np.resize(np.linspace(-20, 20, 97), tensor.shape)
        made = {"random": rng.normal(0, 2, tensor.shape), "low": np.full(tensor.shape, -100), "high": np.full(tensor.shape, 100)}
        return made.get(kind, wave).astype(np.float32)
    # int32 has no extremes here: TFLite's own products of it overflow.
    info = np.iinfo(tensor.dtype if tensor.dtype in ("int8", "uint8", "int16") else "int16")
    made = {"low": np.full(tensor.shape, info.min), "high": np.full(tensor.shape, info.max)}
    if kind == "random":
        return rng.integers(info.min, info.max, tensor.shape, endpoint=True).astype(tensor.dtype)
    step = 1 if info.bits == 8 else 37
    return made.get(kind, np.resize(np.arange(info.min, info.max + 1, step), tensor.shape)).astype(tensor.dtype)


SAMPLES = ("random", "random", "low", "high", "ramp")


class Case:
    """One model: its plan, its C, its inputs and what TFLite Micro answers to them."""

    def __init__(self, data: bytes, kinds: Sequence[str]):
        self.data, self.kinds = data, kinds
        self.prefix = "m" + hashlib.sha256(data).hexdigest()[:12]  # the C of many cases is linked together

    @cached_property
    def planned(self) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.tflite"
            path.write_bytes(self.data)
            return plan(ops.lower(tflite.load(path)))

    @cached_property
    def inputs(self) -> list[list[np.ndarray]]:
        graph, rng = self.planned.graph, np.random.default_rng(len(self.data))
        return [[values(rng, graph.tensors[t], kind) for t in graph.inputs] for kind in self.kinds]

    @cached_property
    def expected(self) -> list[list[np.ndarray]]:
        from tflite_micro.python.tflite_micro import runtime

        oracle = runtime.Interpreter.from_bytes(self.data, arena_size=1 << 21)
        answers = []
        for sample in self.inputs:
            for i, value in enumerate(sample):
                oracle.set_input(value, i)
            oracle.invoke()
            answers.append([np.array(oracle.get_output(i)) for i in range(len(self.planned.graph.outputs))])
        return answers


class Table:
    """Cases that are built together, once for each build, when the first of them runs."""

    def __init__(self, cases: Sequence[tuple], make: Callable[..., bytes], kinds: Sequence[str]):
        self.cases = {identify(case): case for case in cases}
        assert len(self.cases) == len(cases), "two cases have the same id"
        self._make, self._kinds = make, kinds
        self._models: dict[str, Case] = {}
        self._builds: dict[str, Any] = {}

    def model(self, name: str) -> Case:
        if name not in self._models:
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
            self._models[name] = Case(self._make(np.random.default_rng(seed), *self.cases[name]), self._kinds)
        return self._models[name]

    def build(self, kind: str) -> Any:
        """What runs the cases of this table; a case that mcuml refuses is left out and fails in its own test."""
        if kind not in self._builds:
            good = []
            for name in self.cases:
                try:
                    model = self.model(name)
                    assert model.planned
                except Exception:
                    continue
                good.append(model)
            self._builds[kind] = BUILDS[kind](good)
        return self._builds[kind]


class Host:
    """All cases in one shared library for this computer; their arenas lie between canaries."""

    GUARD = 4096

    def __init__(self, models: Sequence[Case]):
        folder = Path(tempfile.mkdtemp(prefix="mcuml-ops-"))
        try:
            sources = write_sources(models, folder)
            done = subprocess.run([*CC, *FLAGS, *sources, "-o", "cases.so", "-lm"], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            self._library = ctypes.CDLL(str(folder / "cases.so"))
        finally:
            shutil.rmtree(folder)

    def run(self, model: Case, sample: list[np.ndarray], number: int) -> list[bytes]:
        """The outputs' bytes. Raises AssertionError when a byte around the arena changed."""
        source, target = (getattr(self._library, f"{model.prefix}_{end}") for end in ("input", "output"))
        source.restype = target.restype = ctypes.c_void_p
        size, graph = model.planned.arena_bytes, model.planned.graph
        canary = np.random.default_rng(number).integers(0, 256, size + 2 * self.GUARD, dtype=np.uint8).tobytes()
        buffer = ctypes.create_string_buffer(canary, len(canary) + render.ARENA_ALIGN)
        skip = -(ctypes.addressof(buffer)) % render.ARENA_ALIGN
        ctypes.memmove(ctypes.addressof(buffer) + skip, canary, len(canary))
        arena = ctypes.c_void_p(ctypes.addressof(buffer) + skip + self.GUARD)
        getattr(self._library, f"{model.prefix}_init")(arena)
        for i, value in enumerate(sample):
            ctypes.memmove(source(arena, i), value.tobytes(), value.nbytes)
        assert getattr(self._library, f"{model.prefix}_invoke")(arena) == 0
        after = buffer.raw[skip : skip + len(canary)]
        assert after[: self.GUARD] == canary[: self.GUARD], "bytes in front of the arena changed"
        assert after[self.GUARD + size :] == canary[self.GUARD + size :], "bytes behind the arena changed"
        return [ctypes.string_at(target(arena, i), graph.tensors[t].bytes) for i, t in enumerate(graph.outputs)]


def write_sources(models: Sequence[Case], folder: Path) -> list[str]:
    """The generated C of each case, one translation unit each; returns their names."""
    for model in models:
        render.write(render.render_model(model.planned, model.prefix), folder)
        (folder / f"{model.prefix}_all.c").write_text(f'#include "{model.prefix}.c"\n#include "{model.prefix}_weights.c"\n')
    return [f"{model.prefix}_all.c" for model in models]


BUILDS: dict[str, Callable[[Sequence[Case]], Any]] = {"host": Host}


def compare(
    cases: Sequence[tuple],
    make: Callable[..., bytes],
    exact: bool = False,
    builds: Sequence[str] = tuple(BUILDS),
    samples: Sequence[str] = SAMPLES,
) -> Any:
    """A test function over `cases` and `builds`. `make(rng, *case)` gives the bytes of a .tflite file; `samples` are kinds
    of values(). Integers must equal TFLite Micro's bit for bit, floats too if `exact`, else within TOLERANCE."""
    table = Table(cases, make, samples)

    @pytest.mark.parametrize("name", table.cases)
    @pytest.mark.parametrize("build", builds)
    def test(build: str, name: str) -> None:
        model = table.model(name)
        assert model.planned
        runner = table.build(build)
        for number, (sample, expected) in enumerate(zip(model.inputs, model.expected, strict=True)):
            for raw, wanted in zip(runner.run(model, sample, number), expected, strict=True):
                got = np.frombuffer(raw, wanted.dtype).reshape(wanted.shape)
                where = f"sample {number} ({samples[number]})"
                if wanted.dtype.kind == "f" and not exact:
                    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * max(1, np.abs(wanted).max()), err_msg=where)
                else:
                    np.testing.assert_array_equal(got, wanted, err_msg=where)

    return test

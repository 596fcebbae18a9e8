"""Tables of one-operator models, compared with TFLite Micro bit for bit: .tflite -> mcuml's C -> each build of it.

A test file says what its cases are and how a case becomes a model; all cases of a table are compiled in one go:

    def make(rng, dtype, shape): ...            # -> bytes of a .tflite file
    test_matches_tflite_micro = compare([("int8", (1, 8)), ...], make)
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuml import ops, passes, render, tflite
from mcuml.graph import Node, Tensor
from mcuml.plan import Plan, plan
from ops.builds import Host, Simulated, build

TOLERANCE = 1e-5  # of float outputs, relative to the largest value of the sample or 1
SAMPLES = ("random", "random", "low", "high", "ramp")
DSP = "cortex-m4f"  # has the inline assembly of __ARM_FEATURE_DSP
SMALL = "cortex-m0plus"  # has neither that nor unaligned words
SHARE = 5  # one case in so many runs on the small core too


class Case:
    """One model: its plan, its C, its inputs and what TFLite Micro answers to them."""

    def __init__(
        self, data: bytes, kinds: Sequence[str] = SAMPLES, litert: bool = False, optimized: bool = False, template: str = ""
    ):
        self.data, self.kinds, self._litert, self._optimized, self._template = data, kinds, litert, optimized, template
        self.prefix = "m" + hashlib.sha256(data).hexdigest()[:12]  # the C of many cases is linked together

    @cached_property
    def planned(self) -> Plan:
        return plan(lowered(self.data, self._optimized, self._template))

    @cached_property
    def files(self) -> dict[str, str]:
        return {name: text for name, text in render.render_model(self.planned, self.prefix).items() if name[-2:] in (".c", ".h")}

    @cached_property
    def inputs(self) -> list[list[np.ndarray]]:
        graph, rng = self.planned.graph, np.random.default_rng(len(self.data))
        return [[values(rng, graph.tensors[t], kind) for t in graph.inputs] for kind in self.kinds]

    @cached_property
    def expected(self) -> list[list[np.ndarray]]:
        if self._litert:
            return self._by_litert()
        from tflite_micro.python.tflite_micro import runtime

        oracle = runtime.Interpreter.from_bytes(self.data, arena_size=1 << 21)
        answers = []
        for sample in self.inputs:
            for i, value in enumerate(sample):
                oracle.set_input(value, i)
            oracle.invoke()
            answers.append([np.array(oracle.get_output(i)) for i in range(len(self.planned.graph.outputs))])
        return answers

    def _by_litert(self) -> list[list[np.ndarray]]:
        """What LiteRT's reference kernels answer."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        oracle = Interpreter(model_content=self.data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        oracle.allocate_tensors()
        answers = []
        for sample in self.inputs:
            for place, value in zip(oracle.get_input_details(), sample, strict=True):
                oracle.set_tensor(place["index"], value)
            oracle.invoke()
            answers.append([oracle.get_tensor(place["index"]) for place in oracle.get_output_details()])
        return answers


def lowered(data: bytes, optimized: bool = False, template: str = "") -> Any:
    """The graph of a .tflite file's bytes, each node with its kernel; of several candidates the one of `template`. Passes run
    only if `optimized`: they would fold most cases away."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        path.write_bytes(data)
        graph = tflite.load(path)
        graph = ops.lower(passes.run(graph) if optimized else graph)
        return replace(graph, nodes=tuple(_wanted(node, template) for node in graph.nodes)) if template else graph


def _wanted(node: Node, template: str) -> Node:
    found = [kernel for kernel in node.candidates if kernel.template == template]
    return replace(node, kernel=found[0]) if found else node


def values(rng: np.random.Generator, tensor: Tensor, kind: str) -> np.ndarray:
    """An input: "random", "low" and "high" (the ends of the type everywhere) or "ramp" (all values in turn); of floats,
    "zero" and "overflow" (infinities, NaN and what becomes one);
    "nonzero", "positive" and "positive ramp" for functions that are not defined at 0 or below."""
    if kind == "nonzero":
        zero = tensor.zero_point if tensor.quant else 0
        plain = values(rng, tensor, "random")
        return np.where(plain == zero, zero + 1 if zero < limit(tensor) else zero - 1, plain).astype(tensor.dtype)
    if kind.startswith("positive"):
        zero = tensor.zero_point if tensor.quant else 0
        plain = values(rng, tensor, "ramp" if kind.endswith("ramp") else "random").astype(np.float64)
        return np.clip(zero + np.abs(plain - zero) + (tensor.dtype != "float32") + 1e-3, None, limit(tensor)).astype(tensor.dtype)
    if tensor.dtype == "bool":
        return np.asarray(
            rng.integers(0, 2, tensor.shape) if kind in ("random", "ramp") else np.full(tensor.shape, kind == "high"), bool
        )
    if tensor.dtype == "float32":
        ramp = np.resize(np.arange(-128, 128) * 0.15625, tensor.shape)  # exact multiples: ties when they are rounded
        if kind == "overflow":
            return rng.choice(np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, 2, 0, -1], np.float32), tensor.shape)
        ends = {"low": -100, "high": 100, "zero": 0}
        made = np.full(tensor.shape, ends[kind]) if kind in ends else rng.normal(0, 2, tensor.shape) if kind == "random" else ramp
        return made.astype(np.float32)
    # int32 has no extremes here: TFLite's own products of it overflow.
    info = np.iinfo(tensor.dtype if tensor.dtype in ("int8", "uint8", "int16") else "int16")
    if kind == "random":
        return rng.integers(info.min, info.max, tensor.shape, endpoint=True).astype(tensor.dtype)
    step = 1 if info.bits == 8 else 37
    made = {"low": np.full(tensor.shape, info.min), "high": np.full(tensor.shape, info.max)}
    return made.get(kind, np.resize(np.arange(info.min, info.max + 1, step), tensor.shape)).astype(tensor.dtype)


def limit(tensor: Tensor) -> float:
    return np.inf if tensor.dtype == "float32" else np.iinfo(tensor.dtype).max


def identify(case: tuple) -> str:
    """A rerunnable id, for pytest -k."""
    return "-".join(re.sub(r"[^-+.\w]", "", repr(part).replace("), (", "_").replace(", ", "x")) for part in case)


class Table:
    """Cases that are built together, once for each build, when the first of them runs. `litert` says whose answers count,
    `optimized` whether the passes run, `template` which of several kernels is taken."""

    litert = optimized = False
    template = ""

    def __init__(self, cases: Sequence[tuple], make: Callable[..., bytes], kinds: Sequence[str], exact: bool):
        self.exact = exact
        self.cases = {identify(case): case for case in cases}
        assert len(self.cases) == len(cases), "two cases have the same id"
        self._make, self._kinds = make, kinds
        self._models: dict[str, Case] = {}
        self._builds: dict[str, Host | Simulated | AssertionError] = {}

    def names(self, kind: str) -> list[str]:
        """The cases that run on `kind`."""
        return list(self.cases)[:: SHARE if kind == SMALL else 1]

    def model(self, name: str) -> Case:
        if name not in self._models:
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
            self._models[name] = Case(
                self._make(np.random.default_rng(seed), *self.cases[name]),
                self._kinds,
                self.litert,
                self.optimized,
                self.template,
            )
        return self._models[name]

    def build(self, kind: str) -> Host | Simulated:
        """What runs the cases of this table; a case that mcuml refuses is left out and fails in its own test."""
        if kind not in self._builds:
            good = []
            for name in self.names(kind):
                try:
                    assert self.model(name).files
                except Exception:
                    continue
                good.append(self.model(name))
            try:
                self._builds[kind] = build(kind, good)
            except AssertionError as error:
                self._builds[kind] = error  # every case fails with it, but only the first one waits for it
        found = self._builds[kind]
        if isinstance(found, AssertionError):
            raise found
        return found


def compare(
    cases: Sequence[tuple],
    make: Callable[..., bytes],
    exact: bool = False,
    samples: Sequence[str] = SAMPLES,
    sequence: bool = False,
    litert: bool = False,
    optimized: bool = False,
    template: str = "",
) -> Any:
    """A test function over `cases` and the builds: host, DSP and, for some cases, SMALL. `make(rng, *case)` gives the bytes
    of a .tflite file; `samples` are kinds of values(). Integers must equal TFLite Micro's bit for bit, floats too if
    `exact`, else within TOLERANCE. In a `sequence` the samples follow each other, as they always do in TFLite Micro, without
    clearing the state in between, in memory that holds anything before model_init; other models have none.
    `litert`: the oracle is LiteRT with its reference kernels, for what TFLite Micro lacks. `optimized`: the passes run.
    `template`: of several kernels that serve a node this one is taken; a case in which no node has it fails."""
    table = Table(cases, make, samples, exact)
    table.litert, table.optimized, table.template = litert, optimized, template

    @pytest.mark.parametrize("kind, name", [(kind, name) for kind in ("host", DSP, SMALL) for name in table.names(kind)])
    def test(kind: str, name: str) -> None:
        model = table.model(name)
        assert model.files
        assert not template or any(node.kernel.template == template for node in model.planned.graph.nodes)
        runner = table.build(kind)
        runs = runner.sequence(model, model.inputs, len(name)) if sequence else None
        for number, (sample, expected) in enumerate(zip(model.inputs, model.expected, strict=True)):
            for raw, wanted in zip(runs[number] if runs else runner.run(model, sample, number), expected, strict=True):
                agree(
                    np.frombuffer(raw, wanted.dtype).reshape(wanted.shape), wanted, exact, f"sample {number} ({samples[number]})"
                )

    test.table = table  # type: ignore[attr-defined]  # tests/cores runs some of the cases elsewhere
    return test


def agree(got: np.ndarray, wanted: np.ndarray, exact: bool, where: str) -> None:
    """Raise AssertionError unless integers (and, if `exact`, floats) are equal, floats within TOLERANCE."""
    if wanted.dtype.kind == "f" and not exact:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * max(1, np.abs(wanted).max()), err_msg=where)
    else:
        np.testing.assert_array_equal(got, wanted, err_msg=where)

"""How operators that remember are drawn: SVDF, LSTM, and variables that are read, added to and assigned."""

from __future__ import annotations

from typing import Any

import numpy as np

import modelmaker as mm
from fuzz.draft import Calling, Draft, Recipe
from modelmaker import OpSpec, TensorSpec


def _state(d: Draft, dtype: str, shape: tuple[int, ...], scale: Any = None, zero: Any = None) -> TensorSpec:
    made = mm.tensor(d.name("state"), dtype, shape, scale, zero)
    made.variable = True
    return made


def _weights(d: Draft, dtype: str, shape: tuple[int, ...], scale: float) -> TensorSpec:
    """Normal floats, or integers of most of the type's range (of a bias: about as much as the sums)."""
    if dtype == "float32":
        return mm.const(d.name("w"), d.rng.normal(0, 0.4, shape).astype(np.float32))
    limit = 127 if dtype in ("int8", "int16") else 2000
    return mm.const(d.name("w"), d.rng.integers(-limit, limit + 1, shape).astype(dtype), scale, 0)


def svdf(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32"), (2,))
    batch, inputs = x.shape
    units, rank, memory, real = d.number(1, 5), d.number(1, 3), d.number(1, 6), x.dtype == "float32"
    kind = "float32" if real else d.pick(("int8", "int16"))
    scale = float(np.float32(0.3 if kind == "int8" else 0.001))
    zero = d.number(-128, 127) if kind == "int8" else 0
    state = _state(d, kind, (batch, units * rank * memory), *(() if real else (scale, zero)))
    y = d.new(x.dtype, (batch, units))
    features = _weights(d, "float32" if real else "int8", (units * rank, inputs), 0.01)
    times = _weights(d, kind, (units * rank, memory), 0.03)
    bias = _weights(d, "float32" if real else "int32", (units,), float(np.float32(scale) * np.float32(0.03)))
    activation = d.pick(("NONE", "RELU")) if real else "RELU"
    return mm.op(code, [x, features, times, bias, state], [y], version=3, rank=rank, fused_activation_function=activation)


def lstm(d: Draft, code: str) -> OpSpec:
    x = d.take(("int8", "float32", "int16"), (3,))
    real, major, units = x.dtype == "float32", d.chance(0.5), d.number(1, 6)
    batch = x.shape[1] if major else x.shape[0]
    if not real:  # the sums of 16 bits have a scale of 2^-12: gains far from the usual ones are in tests/ops
        x.scale = x.scale or (0.03,)
    y = d.new(x.dtype, (*x.shape[:2], units))
    if not real:
        y.scale, y.zero_point = (1 / (128 if x.dtype == "int8" else 32768),), (0,)
    hidden = _state(d, x.dtype, (batch, units), y.scale or None, y.zero_point or None)
    cell = _state(d, x.dtype if real else "int16", (batch, units), *(() if real else (2.0 ** -d.number(9, 15), 0)))
    kind = "float32" if real else "int8"
    scale = float(d.rng.uniform(0.004, 0.01))
    gates = [_weights(d, kind, (units, columns), scale) for columns in (x.shape[2],) * 4 + (units,) * 4]
    held = {"float32": "float32", "int8": "int32", "int16": "int64"}[x.dtype]
    biases = [_weights(d, held, (units,), 2e-4) for _ in range(4)]
    operands = [x, *gates, *[None] * 3, *biases, None, None, hidden, cell, *[None] * 4]
    clip = d.pick((0.0, 0.0, 0.5))
    return mm.op(code, operands, [y], version=3, fused_activation_function="TANH", cell_clip=clip, time_major=major)


def variable(d: Draft, code: str) -> list[OpSpec]:
    """A running sum or maximum of `x`; a CALL_ONCE may give the first value. It is assigned before it is read now and then."""
    x = d.take(("int8", "float32", "int16"))
    name = d.name("v")

    def handle() -> tuple[OpSpec, TensorSpec]:
        place = mm.tensor(d.name("handle"), "resource", (1,))
        d.hidden.add(id(place))
        return mm.op("VAR_HANDLE", [], [place], shared_name=name), place

    make, place = handle()
    held, after, again = (d.same(x, x.shape) for _ in range(3))
    operation = d.pick(("ADD", "MAXIMUM", "MINIMUM"))
    options = {"fused_activation_function": "NONE"} if operation == "ADD" else {}
    assign, read = mm.op("ASSIGN_VARIABLE", [place, after], []), mm.op("READ_VARIABLE", [place], [held])
    steps = [make, read, mm.op(operation, [held, x], [after], **options), assign, mm.op("READ_VARIABLE", [place], [again])]
    if code == "CALL_ONCE":
        inside, there = handle()
        first = mm.op("ASSIGN_VARIABLE", [there, d.values(x.dtype, x.shape, x)], [])
        steps.insert(0, Calling("CALL_ONCE", [], [], bodies={"init_subgraph_index": ([inside, first], [], [])}))
    return steps


RECIPES: dict[str, Recipe] = {
    "SVDF": svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm, **dict.fromkeys(("VAR_HANDLE", "CALL_ONCE"), variable),
}  # fmt: skip

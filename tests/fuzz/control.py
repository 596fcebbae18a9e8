"""How IF and WHILE are drawn: their subgraphs hold operators that are drawn as those around them are."""

from __future__ import annotations

from collections.abc import Sequence

import modelmaker as mm
from fuzz import recipes, weighted
from fuzz.draft import Calling, Draft, Recipe
from modelmaker import Subgraph, TensorSpec

TYPES = ("int8", "float32", "int16")
# Layers in a subgraph are not compared one by one: none here makes a float's last bit a large difference.
INNER = (
    "ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "ABS", "RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "SOFTMAX",
    "RESHAPE", "TRANSPOSE", "REVERSE_V2", "CONCATENATION", "SPLIT", "SLICE", "PAD", "MEAN", "CONV_2D", "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D",
)  # fmt: skip
ALL: dict[str, Recipe] = {**recipes.RECIPES, **weighted.RECIPES}


def _body(d: Draft, parameters: Sequence[TensorSpec], depth: int = 0) -> tuple[Draft, list[TensorSpec]]:
    """A subgraph of `parameters` of up to six operators, and a result for each parameter: the last of its type and shape, or
    another one of them."""
    inner = d.inside(parameters)
    for _ in range(d.number(0, 6)):
        code = d.pick(INNER)
        inner.grow(ALL[code], code)
    if depth < 1 and d.chance(0.25):
        inner.grow(lambda e, code: choose(e, code, depth + 1), "IF")
    results = []
    for p in parameters:
        fits = [t for t in inner.live if (t.dtype, t.shape) == (p.dtype, p.shape)]
        results.append(fits[-1] if d.chance(0.7) else d.pick(fits))
    return inner, results


def _parameters(d: Draft) -> list[TensorSpec]:
    first = d.take(TYPES)
    others = [t for t in d.live if t.dtype in TYPES and t.shape == first.shape]
    return [first, *([d.pick(others)] if d.chance(0.6) else [])]


def _condition(d: Draft) -> TensorSpec:
    """One bool: computed where there is one, else an input or a constant."""
    there = [t for t in d.live if t.dtype == "bool" and t.shape in ((), (1,))]
    if there and d.chance(0.7):
        return d.pick(there)
    if len(d.inputs) < d.most_inputs and d.chance(0.8):
        return d.feed("bool", (1,))
    return d.const([d.chance(0.5)], "bool")


def choose(d: Draft, code: str, depth: int = 0) -> Calling:
    held = _parameters(d)
    bodies: dict[str, Subgraph] = {}
    for option in ("then_subgraph_index", "else_subgraph_index"):
        inner, results = _body(d, held, depth)
        bodies[option] = (inner.ops, inner.inputs, results)
    return Calling("IF", [_condition(d), *held], [d.same(t, t.shape) for t in held], bodies=bodies)


def repeat(d: Draft, code: str) -> Calling:
    """A counter and one or two tensors that each turn changes; up to four turns, or as many as an input says."""
    held = _parameters(d)
    start = d.const([0])
    counts = [t for t in d.inputs if t.dtype == "int32" and t.shape == (1,)]
    if d.chance(0.3) and (counts or len(d.inputs) < d.most_inputs):
        start = counts[0] if counts else d.feed("int32", (1,))  # below 0 as often as above
    inner, results = _body(d, held)
    i, more = mm.tensor(inner.name("i"), "int32", (1,)), mm.tensor(inner.name("more"), "bool", (1,))
    j, after = (mm.tensor(inner.name("i"), "int32", (1,)) for _ in range(2))
    condition = [mm.op("LESS", [i, inner.const([d.number(0, 4)])], [more])]
    turn = mm.op("ADD", [j, inner.const([1])], [after], fused_activation_function="NONE")
    body = ([turn, *inner.ops], [j, *inner.inputs], [after, *results])
    read = (condition, [i, *(d.same(t, t.shape) for t in held)], [more])
    outputs = [mm.tensor(d.name("t"), "int32", (1,)), *(d.same(t, t.shape) for t in held)]
    return Calling(code, [start, *held], outputs, bodies={"cond_subgraph_index": read, "body_subgraph_index": body})


RECIPES: dict[str, Recipe] = {"IF": choose, "WHILE": repeat}

"""A random graph in the making: tensors to read, and how a seed becomes a model of 2 to 30 operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

import modelmaker as mm
from modelmaker import OpSpec, Subgraph, TensorSpec

MOST_ELEMENTS = 1024  # of one tensor: many small layers find more than a few large ones
MOST_INPUTS = 5
MOST_OPERATORS = 30
Recipe = Callable[["Draft", str], "OpSpec | Sequence[OpSpec]"]  # of several operators, only the last one's outputs are read


@dataclass(eq=False)
class Calling(OpSpec):
    """An operator that calls subgraphs: the option that names one -> the subgraph."""

    bodies: dict[str, Subgraph] = field(default_factory=dict)


def all_operators(ops: Sequence[OpSpec]) -> list[OpSpec]:
    """`ops` and those in the subgraphs that they call."""
    inner = (body[0] for op in ops if isinstance(op, Calling) for body in op.bodies.values())
    return [*ops, *(op for body in inner for op in all_operators(body))]


def code_of(op: OpSpec) -> str:
    """The operator's name, as ops.registry() has it."""
    return f"CUSTOM:{op.custom}" if op.custom else op.code


@dataclass(eq=False)
class Sketch:
    """A model as modelmaker takes it; `seed` is what made it. `fixed` are values for its inputs instead of random ones."""

    seed: int
    ops: list[OpSpec]
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    fixed: list[list[np.ndarray]] = field(default_factory=list)

    @property
    def bytes(self) -> bytes:
        others: list[Subgraph] = []
        for op in all_operators(self.ops):
            for option, body in op.bodies.items() if isinstance(op, Calling) else ():
                others.append(body)
                op.options[option] = len(others)
        return mm.model(self.ops, self.inputs, self.outputs, others)

    @property
    def tensors(self) -> list[TensorSpec]:
        """Those of the first subgraph by number: modelmaker puts inputs first, then outputs, then the rest in order of use."""
        used = (t for o in self.ops for t in (*o.inputs, *o.outputs) if t is not None)
        return list({id(t): t for t in (*self.inputs, *self.outputs, *used)}.values())

    @property
    def codes(self) -> list[str]:
        """The name of each operator, those in subgraphs included."""
        return [code_of(op) for op in all_operators(self.ops)]

    def __str__(self) -> str:
        def text(t: TensorSpec | None) -> str:
            if t is None:
                return "-"
            quant = f" {t.scale[0]:.9g}*(q-{t.zero_point[0] if t.zero_point else 0})" if len(t.scale) == 1 else ""
            return f"{t.name}:{t.dtype}{list(t.shape)}{quant}{' const' if t.data is not None else ''}"

        lines = []
        for i, o in enumerate(all_operators(self.ops)):
            ends = f"({', '.join(map(text, o.inputs))}) -> {', '.join(map(text, o.outputs))}"
            lines.append(f"{i:2d} {code_of(o)} {ends} {o.options or ''}".rstrip())
        return "\n".join([*lines, f"   outputs: {', '.join(t.name for t in self.outputs)}"])


class Draft:
    """What a recipe draws from: random numbers, the tensors that are there, new tensors."""

    def __init__(self, rng: np.random.Generator, accepts: Callable[[Sketch], bool], stem: str = ""):
        self.rng, self.accepts, self._stem = rng, accepts, stem
        self.ops: list[OpSpec] = []
        self.inputs: list[TensorSpec] = []
        self.live: list[TensorSpec] = []
        self.hidden: set[int] = set()  # ids of tensors whose bytes are nobody's business
        self.most_inputs = MOST_INPUTS
        self._names = 0

    def inside(self, parameters: Sequence[TensorSpec]) -> Draft:
        """A subgraph in the making, whose inputs mean what `parameters` mean."""
        made = Draft(self.rng, self.accepts, self.name("s"))
        made.inputs = [made.same(t, t.shape) for t in parameters]
        made.live, made.most_inputs = list(made.inputs), 0
        return made

    def grow(self, recipe: Recipe, code: str) -> bool:
        """Add what `recipe` draws, unless nothing suits it or mcuml does not take that alone."""
        known, fed = list(self.live), list(self.inputs)
        try:
            made = recipe(self, code)
        except NoFit:
            made = []
        steps = [made] if isinstance(made, OpSpec) else list(made)
        sizes = [prod(t.shape) for step in steps for t in step.outputs]
        if not steps or not all(0 < n <= MOST_ELEMENTS for n in sizes) or not self.accepts(alone(steps)):
            self.live, self.inputs = known, fed
            return False
        self.ops += steps
        self.live += [t for t in steps[-1].outputs if id(t) not in self.hidden]
        used = {id(t) for step in steps for t in step.inputs}  # an input that the recipe made and did not use goes again
        self.inputs = [t for t in self.inputs if t in fed or id(t) in used]
        self.live = [t for t in self.live if t in known or t in self.inputs or t in steps[-1].outputs]
        return True

    # Random choices.

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.number(0, len(options) - 1)]

    def shape(self) -> tuple[int, ...]:
        """Mostly one image; sometimes a vector, a matrix, a batch or five dimensions."""
        kind = self.rng.random()
        if kind < 0.6:
            return (self.pick((1, 1, 1, 2)), self.number(1, 8), self.number(1, 8), self.pick((1, 2, 3, 4, 5, 8, 13)))
        if kind < 0.95:
            return tuple(self.number(1, 12) for _ in range(self.number(1, 3)))
        return () if self.chance(0.3) else tuple(self.number(1, 3) for _ in range(5))

    # Tensors.

    def name(self, stem: str) -> str:
        self._names += 1
        return f"{self._stem}{stem}{self._names}"

    def new(self, dtype: str, shape: Sequence[int], like: TensorSpec | None = None) -> TensorSpec:
        """An output: quantized at random, or as `like`. Zero points lie at an end of the type now and then."""
        name = self.name("t")
        if like is not None:
            return mm.tensor(name, dtype, shape, like.scale or None, like.zero_point or None)
        if dtype not in ("int8", "int16", "uint8"):
            return mm.tensor(name, dtype, shape)
        made = mm.random_tensor(self.rng, name, dtype, shape)
        if dtype != "int16" and self.chance(0.2):
            limits = np.iinfo(dtype)
            made.zero_point = (self.pick((limits.min, limits.max)),)
        return made

    def same(self, source: TensorSpec, shape: Sequence[int]) -> TensorSpec:
        """An output whose values mean what those of `source` mean."""
        return self.new(source.dtype, shape, like=source)

    def feed(self, dtype: str, shape: Sequence[int]) -> TensorSpec:
        """A new input of the graph."""
        made = self.new(dtype, shape)
        made.name = self.name("in")
        self.inputs.append(made)
        self.live.append(made)
        return made

    def const(self, values: Any, dtype: str = "int32", like: TensorSpec | None = None) -> TensorSpec:
        scale, zero = (like.scale or None, like.zero_point or None) if like else (None, None)
        return mm.const(self.name("c"), np.asarray(values, dtype), scale, zero)

    def values(self, dtype: str, shape: Sequence[int], like: TensorSpec | None = None) -> TensorSpec:
        """A constant with random values, quantized at random or as `like`."""
        made = self.new(dtype, shape, like)
        made.name, made.data = self.name("c"), mm.sample(self.rng, made) if dtype != "int32" else self.small(shape)
        return made

    def small(self, shape: Sequence[int]) -> np.ndarray:
        return self.rng.integers(-20, 21, tuple(shape)).astype(np.int32)

    def take(
        self, dtypes: Sequence[str] = (), ranks: Sequence[int] = (), fits: Callable[[TensorSpec], bool] = bool
    ) -> TensorSpec:
        """A tensor to read, of one of `dtypes` and `ranks`: a recent one by preference, a new input where there is none.
        Raises NoFit when the graph has inputs enough."""
        found = [t for t in self.live if (not dtypes or t.dtype in dtypes) and (not ranks or len(t.shape) in ranks) and fits(t)]
        if found:
            return found[-1 - min(int(self.rng.exponential(2.5)), len(found) - 1)]
        shapes = [s for s in (self.shape() for _ in range(8)) if not ranks or len(s) in ranks]
        if len(self.inputs) < self.most_inputs and shapes and fits is bool:
            return self.feed(self.pick(dtypes or ("int8", "float32")), shapes[0])
        raise NoFit

    def partner(self, x: TensorSpec, free: bool = True) -> TensorSpec:
        """A second operand for `x` of its type: itself, another tensor that broadcasts, a constant or a new input. `free`:
        with a scale of its own."""
        others = [
            t for t in self.live if t.dtype == x.dtype and (free or _means(t) == _means(x)) and _broadcast(t.shape, x.shape)
        ]
        kind = self.rng.random()
        if kind < 0.5 and others:
            return self.pick(others)
        shape = tuple(1 if self.chance(0.25) else n for n in x.shape)[self.number(0, len(x.shape)) if self.chance(0.3) else 0 :]
        like = None if free else x
        if kind < 0.8 or len(self.inputs) >= self.most_inputs:
            return self.values(x.dtype, shape, like)
        made = self.feed(x.dtype, shape)
        if like:
            made.scale, made.zero_point = like.scale, like.zero_point
        return made

    def divisor(self, x: TensorSpec) -> TensorSpec:
        """A constant to divide `x` by, without a 0, for which TFLite Micro stops or has no defined result."""
        made = self.values(x.dtype, x.shape if self.chance(0.5) else x.shape[-1:])
        zero = made.zero_point[0] if made.zero_point else 0
        made.data = np.where(made.data == zero, np.array(zero + (1 if zero < 100 else -1), made.data.dtype), made.data)
        return made


class NoFit(Exception):
    """No tensor of this graph suits the recipe."""


def _means(t: TensorSpec) -> tuple:
    return t.scale, t.zero_point


def _broadcast(a: Sequence[int], b: Sequence[int]) -> bool:
    try:
        shape = np.broadcast_shapes(tuple(a), tuple(b))
    except ValueError:
        return False
    return len(shape) <= 4 and prod(shape) <= MOST_ELEMENTS


def draw(seed: int, recipes: dict[str, Recipe], accepts: Callable[[Sketch], bool]) -> Sketch:
    """The graph of `seed`. What a recipe gives is added when `accepts` takes the model of that alone."""
    draft = Draft(np.random.default_rng(seed), accepts)
    for _ in range(draft.number(1, 2)):
        draft.feed(draft.pick(("int8", "int8", "float32", "int16")), draft.shape())
    wanted = draft.number(2, MOST_OPERATORS)
    codes = sorted(recipes)
    for _ in range(20 * wanted):
        if len(draft.ops) >= wanted:
            break
        code = draft.pick(codes)
        draft.grow(recipes[code], code)
    return Sketch(seed, draft.ops, draft.inputs, _outputs(draft))


def _outputs(draft: Draft) -> list[TensorSpec]:
    """What nobody reads, some of it left dead; now and then a tensor that is read too, or an input's neighbour."""
    read = {id(t) for o in draft.ops for t in o.inputs}
    made = [t for o in draft.ops for t in o.outputs if id(t) not in draft.hidden]
    ends = [t for t in made if id(t) not in read and not draft.chance(0.15)] or made[-1:]
    middle = [t for t in made if id(t) in read]
    if middle and draft.chance(0.3):
        ends.append(draft.pick(middle))
    return [ends[i] for i in draft.rng.permutation(len(ends))]


def alone(steps: Sequence[OpSpec], seed: int = 0) -> Sketch:
    """The model of some operators, what they read from elsewhere fed from outside."""
    made = {id(t) for step in steps for t in step.outputs}
    fed = {id(t): t for step in steps for t in step.inputs if given(t) and id(t) not in made}
    return Sketch(seed, list(steps), list(fed.values()), list(steps[-1].outputs))


def given(t: TensorSpec | None) -> bool:
    """Whether somebody computes or feeds the tensor: no constant, no state."""
    return t is not None and t.data is None and not t.variable

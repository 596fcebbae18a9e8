"""The procedure of `mcuml verify`: every layer against the oracle, on the host build and on the virtual board."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mcuml import __version__, build, dataset
from mcuml.bench import TOLERANCE, deviation, firmware_files
from mcuml.board import Board
from mcuml.errors import RequestError
from mcuml.fit import check_fit
from mcuml.graph import ABSENT, Graph, Node, Tensor
from mcuml.link.virtual import check_simulated
from mcuml.plan import Plan
from mcuml.render import render_model
from mcuml.trace import BoardTrace, HostTrace, Values, layers

Progress = Callable[..., None]  # progress(stage, done=None, total=None)
Sample = list[np.ndarray]
Expected = Mapping[int, np.ndarray]  # tensor of the model file -> its values
Oracle = Callable[[Path, Sequence[Sample]], tuple[str, Sequence[Expected]]]  # (its name and version, per sample every tensor)
SCHEMA = 1


@dataclass(frozen=True)
class Request:
    """What to verify. `board`: None leaves the virtual board out. `layer`: an operator's number in the file; every layer is
    then fed the oracle's values, and only that operator is judged."""

    model: Path
    board: Board | None
    data: Path | None = None
    samples: int = 5
    layer: int | None = None


@dataclass(frozen=True)
class First:
    """The first element that differs: its sample, its place in the tensor, and both values."""

    sample: int
    element: int
    at: tuple[int, ...]
    got: float
    expected: float


@dataclass(frozen=True)
class Verdict:
    """One tensor of one operator over all samples, in the tensor's own units (quantized steps for integers). `differing`:
    elements that are wrong. `max_rel` is relative to max(1, |expected|); it, rmse and cosine are for floats."""

    where: str
    operator: int
    op: str
    tensor: str
    dtype: str
    inputs: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    samples: int
    differing: int
    max_abs: float
    max_rel: float | None = None
    rmse: float | None = None
    cosine: float | None = None
    first: First | None = None


@dataclass(frozen=True)
class Top1:
    """In how many samples the largest of the class scores is the oracle's."""

    where: str
    samples: int
    agreeing: int


@dataclass(frozen=True)
class Verification:
    """What was compared. `layers`: verdicts in the order of execution, for each place; `left_out`: operators whose tensors
    exist on one side only."""

    schema: int
    mcuml: str
    model: str
    sha256: str
    oracle: str
    samples: int
    board: str | None
    layers: list[Verdict]
    top1: list[Top1]
    left_out: list[int]
    tolerance: float = TOLERANCE

    @property
    def diverging(self) -> list[Verdict]:
        """Verdicts with a difference; the first is where to look: the earliest layer, the host build before the board."""
        places = {where: n for n, where in enumerate(dict.fromkeys(v.where for v in self.layers))}
        order = {key: n for n, key in enumerate(dict.fromkeys((v.operator, v.tensor) for v in self.layers))}
        wrong = [v for v in self.layers if v.differing]
        return sorted(wrong, key=lambda v: (order[v.operator, v.tensor], places[v.where]))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what is None is left out; a number that JSON lacks becomes its name."""
        held = asdict(self)
        return {**_present(held), "passed": not self.diverging}


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _present(held) for key, held in value.items() if held is not None}
    if isinstance(value, (list, tuple)):
        return [_present(held) for held in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class _Tracer(Protocol):
    def trace(self, inputs: Sequence[bytes], feed: Expected | None = None) -> Values: ...


def verify(plan: Plan, request: Request, oracle: Oracle, progress: Progress) -> Verification:
    """Compare every layer that both sides have. Raises RequestError (no such layer, data that does not match), FitError,
    BuildError, LinkError, and what the oracle raises."""
    graph = plan.graph
    if request.layer is not None:
        _check_layer(plan, request.layer)
    if request.board is not None:
        check_simulated(request.board)
        check_fit(plan, request.board)
    inputs = [graph.tensors[t] for t in graph.inputs]
    data = dataset.load(request.data, inputs, None, request.samples) if request.data else dataset.random(inputs, request.samples)
    samples = data.samples()
    progress("ask the oracle")
    name, answers = oracle(request.model, samples)
    expected = [{t: _kept(graph.tensors[t], values) for t, values in answer.items()} for answer in answers]
    verdicts: list[Verdict] = []
    top1: list[Top1] = []

    def judge(where: str, tracer: _Tracer) -> None:
        tally = _Tally(plan, where, request.layer)
        for n, (sample, right) in enumerate(zip(samples, expected, strict=True)):
            progress(f"run on the {where}", n, len(samples))
            raw = [np.ascontiguousarray(values).tobytes() for values in sample]
            tally.add(n, tracer.trace(raw, right if request.layer is not None else None), right)
        verdicts.extend(tally.verdicts())
        top1.extend(tally.top1())

    progress("build for the host")
    judge("host build", HostTrace(render_model(plan), plan))
    if request.board is not None:
        progress("build for the board")
        image = build.build_firmware(firmware_files(plan, request.board), request.board, profile=True)
        board = BoardTrace(image, plan)
        try:
            judge("virtual board", board)
        finally:
            board.close()
    compared = {v.operator for v in verdicts}
    left_out = (
        [] if request.layer is not None else sorted({n.index for layer in layers(plan) for n, _ in layer.tensors} - compared)
    )
    held_board = request.board.name if request.board else None
    return Verification(
        SCHEMA, __version__, graph.name, graph.sha256, name, len(samples), held_board, verdicts, top1, left_out
    )  # fmt: skip


def _kept(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """The oracle's `values` without the channels that a pass dropped."""
    return values if tensor.kept is None else values[..., tensor.kept]


def _check_layer(plan: Plan, wanted: int) -> None:
    there = sorted({node.index for layer in layers(plan) for node, _ in layer.tensors})
    if wanted not in there:
        raise RequestError(
            f"'{plan.graph.name}' has no operator {wanted} that can be compared.",
            f"Operators that write memory: {', '.join(map(str, there))}.",
            "The numbers are those of: mcuml inspect MODEL",
        )


@dataclass
class _Sums:
    """What is added up over samples for one tensor."""

    samples: int = 0
    differing: int = 0
    worst: float = 0.0
    worst_rel: float = 0.0
    squares: float = 0.0
    elements: int = 0
    products: np.ndarray = field(default_factory=lambda: np.zeros(3))  # got.expected, got.got, expected.expected
    first: First | None = None


class _Tally:
    """Compares traces with the oracle's tensors, sample after sample."""

    def __init__(self, plan: Plan, where: str, only: int | None):
        self._graph, self._where = plan.graph, where
        self._places = [(node, t) for layer in layers(plan) for node, t in layer.tensors if only is None or node.index == only]
        self._sums: dict[int, _Sums] = {}
        self._scores = _class_scores(plan.graph)
        self._agree: list[bool] = []

    def add(self, sample: int, values: Values, expected: Expected) -> None:
        for _, t in self._places:
            tensor, right = self._graph.tensors[t], expected.get(t)
            if t not in values or right is None or right.dtype != np.dtype(tensor.dtype) or right.size != tensor.elements:
                continue
            got = np.frombuffer(values[t], tensor.dtype)
            _add(self._sums.setdefault(t, _Sums()), sample, got, np.ascontiguousarray(right).reshape(-1), tensor.shape)
            if t == self._scores:
                self._agree.append(int(got.argmax()) == int(right.argmax()))

    def verdicts(self) -> Iterable[Verdict]:
        return [self._verdict(node, t, self._sums[t]) for node, t in self._places if t in self._sums]

    def top1(self) -> Iterable[Top1]:
        return [Top1(self._where, len(self._agree), sum(self._agree))] if self._agree else []

    def _verdict(self, node: Node, t: int, sums: _Sums) -> Verdict:
        tensor = self._graph.tensors[t]
        read = [i for i in node.inputs if i != ABSENT and not self._graph.tensors[i].is_const]
        about = (self._where, node.index, node.code, tensor.name, tensor.dtype)
        shapes = (tuple(self._graph.tensors[i].shape for i in read), tensor.shape)
        if np.dtype(tensor.dtype).kind != "f":
            return Verdict(*about, *shapes, sums.samples, sums.differing, sums.worst, first=sums.first)
        product, mine, theirs = sums.products
        same = product / math.sqrt(mine * theirs) if mine > 0 and theirs > 0 else float(mine == theirs)
        same = same if math.isfinite(sums.worst) else 0.0
        rmse = math.sqrt(sums.squares / max(1, sums.elements))
        return Verdict(
            *about, *shapes, sums.samples, sums.differing, sums.worst, sums.worst_rel, rmse, float(same), sums.first
        )  # fmt: skip


def _class_scores(graph: Graph) -> int | None:
    """The output that looks like class scores, 1 x C, or None."""
    t = graph.outputs[0]
    shape = graph.tensors[t].shape
    return t if len(graph.outputs) == 1 and len(shape) == 2 and shape[0] == 1 and shape[1] > 1 else None


def _add(sums: _Sums, sample: int, got: np.ndarray, right: np.ndarray, shape: tuple[int, ...]) -> None:
    gap, scale, bad = deviation(got, right)
    if got.dtype.kind == "f":
        with np.errstate(over="ignore"):
            a, b = got.astype(np.float64), right.astype(np.float64)
            sums.worst_rel = max(sums.worst_rel, float((gap / scale).max(initial=0.0)))
            sums.squares += float(np.square(gap).sum())
            known = np.isfinite(a) & np.isfinite(b)
            sums.products += [a[known] @ b[known], a[known] @ a[known], b[known] @ b[known]]
    sums.samples += 1
    sums.elements += got.size
    sums.differing += int(bad.sum())
    sums.worst = max(sums.worst, float(gap.max(initial=0.0)))
    if sums.first is None and bad.any():
        at = int(bad.argmax())
        place = tuple(int(i) for i in np.unravel_index(at, shape)) if shape else ()
        sums.first = First(sample, at, place, float(got[at]), float(right[at]))

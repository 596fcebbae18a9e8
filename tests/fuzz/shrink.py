"""A failing graph made smaller: first the failing operator alone on the values it had, then operators out one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fuzz.draft import Sketch, alone, given
from fuzz.judge import Finding
from modelmaker import OpSpec, TensorSpec

Fails = Callable[[Sketch], "Finding | None"]


def smallest(sketch: Sketch, finding: Finding, fails: Fails) -> tuple[Sketch, Finding]:
    """The smallest graph found that still fails, and how. `fails` judges one graph; it is asked about once per operator."""
    best, said = sketch, finding
    candidates: list[Callable[[Sketch, Finding], Sketch | None]] = [_failing_alone, _one_output]
    if finding.values is None:  # refused: no values to feed, so each operator alone on random ones
        candidates += [lambda s, f, o=op: alone([o], sketch.seed) for op in sketch.ops]
    candidates += [lambda s, f, o=op: _without(s, f, o) for op in reversed(sketch.ops)]
    candidates += [lambda s, f, t=t: _without_output(s, t) for t in sketch.outputs]
    for change in candidates:
        trial = change(best, said)
        if trial is None or not trial.ops or not trial.inputs or not trial.outputs:
            continue
        found = fails(trial)
        if found is not None and found.kind == finding.kind:
            best, said = trial, found
        if len(best.ops) == 1:
            break
    return best, said


def _pruned(seed: int, ops: list[OpSpec], outputs: list[TensorSpec], values: dict[str, np.ndarray]) -> Sketch | None:
    """The model that computes `outputs`, with what it reads and nothing writes as inputs; their values by name."""
    wanted, kept = {id(t) for t in outputs}, []
    for op in reversed(ops):
        if wanted & {id(t) for t in op.outputs}:
            wanted |= {id(t) for t in op.inputs if t is not None}
            kept.insert(0, op)
    made = {id(t) for op in kept for t in op.outputs}
    inputs = {id(t): t for op in kept for t in op.inputs if given(t) and id(t) not in made}
    outputs = [t for t in outputs if id(t) in made]
    if not all(t.name in values for t in inputs.values()):
        return None
    return Sketch(seed, kept, list(inputs.values()), outputs, [[values[t.name] for t in inputs.values()]])


def _values(sketch: Sketch, finding: Finding) -> dict[str, np.ndarray]:
    """The oracle's values by tensor name."""
    return {t.name: finding.values[i] for i, t in enumerate(sketch.tensors) if finding.values and i in finding.values}


def _failing(sketch: Sketch, finding: Finding) -> OpSpec | None:
    """The operator that `finding` names; None for one in a called subgraph or a mark of control flow."""
    index = len(sketch.ops) if finding.node is None else finding.node.index
    return sketch.ops[index] if index < len(sketch.ops) else None


def _failing_alone(sketch: Sketch, finding: Finding) -> Sketch | None:
    op = _failing(sketch, finding)
    return op and _pruned(sketch.seed, [op], list(op.outputs), _values(sketch, finding))


def _one_output(sketch: Sketch, finding: Finding) -> Sketch | None:
    op = _failing(sketch, finding)
    return op and _pruned(sketch.seed, sketch.ops, op.outputs[:1], _values(sketch, finding))


def _without(sketch: Sketch, finding: Finding, op: OpSpec) -> Sketch | None:
    """The graph with what `op` computes fed from outside."""
    rest = [o for o in sketch.ops if o is not op]
    if len(rest) == len(sketch.ops):
        return None
    outputs = [t for t in sketch.outputs if t not in op.outputs]
    return _pruned(sketch.seed, rest, outputs, _values(sketch, finding))


def _without_output(sketch: Sketch, output: TensorSpec) -> Sketch | None:
    outputs = [t for t in sketch.outputs if t is not output]
    fixed = dict(zip((t.name for t in sketch.inputs), sketch.fixed[0], strict=True)) if sketch.fixed else {}
    return _pruned(sketch.seed, sketch.ops, outputs, fixed) if len(outputs) < len(sketch.outputs) and fixed else None

"""`mcuml verify`: a kernel that was spoiled on purpose is named, with its first wrong element; nothing else is."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from commandline import DIGITS, in_process
from mcuml import pipeline, reference, verify
from mcuml.board import load
from mcuml.errors import RequestError
from mcuml.render import render_model
from modelmaker import const, model, op, tensor
from ops import test_control_flow

PLAN = pipeline.prepare(DIGITS)
LAYERS = {node.index: n for n, node in enumerate(n for n in PLAN.graph.nodes if not n.kernel.view)}


@cache
def _answer(path, samples: int):
    inputs = [PLAN.graph.tensors[t] for t in PLAN.graph.inputs]
    return reference.traces(path, verify.dataset.random(inputs, samples).samples())


def oracle(path, inputs):
    return _answer(path, len(inputs)) if path == DIGITS else reference.traces(path, inputs)


def spoiled(text: str, operator: int, byte: int) -> str:
    """model.c in which one byte of that operator's output is wrong before its layer mark."""
    node = next(n for n in PLAN.graph.nodes if n.index == operator)
    mark = f"LAYER_DONE({LAYERS[operator]});"
    assert text.count(mark) == 1
    return text.replace(mark, f"arena[{PLAN.offsets[node.outputs[0]]} + {byte}] ^= 1;\n    {mark}")


def run(layer: int | None = None, board: str = "", samples: int = 2) -> verify.Verification:
    request = verify.Request(DIGITS, load(board) if board else None, None, samples, layer)
    return verify.verify(PLAN, request, oracle, lambda *_: None)


def test_every_layer_of_the_digits_agrees() -> None:
    found = run()
    assert not found.diverging and not found.left_out and found.oracle.startswith("TFLite Micro")
    assert [v.operator for v in found.layers] == [n.index for n in PLAN.graph.nodes]  # the reshape is compared too
    assert [(t.samples, t.agreeing) for t in found.top1] == [(2, 2)]


@pytest.mark.parametrize(("operator", "byte"), [(0, 77), (2, 30), (5, 5), (6, 9)])
def test_the_spoiled_layer_is_named(operator: int, byte: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(plan):
        files = render_model(plan)
        return {**files, "model.c": spoiled(files["model.c"], operator, byte)}

    monkeypatch.setattr(verify, "render_model", render)
    first = run().diverging[0]
    assert (first.operator, first.where, first.max_abs) == (operator, "host build", 1)
    assert first.first is not None and (first.first.sample, first.first.element) == (0, byte)
    assert np.ravel_multi_index(first.first.at, first.shape) == byte and abs(first.first.got - first.first.expected) == 1
    # Fed with the oracle's own values, the layers behind it are right again.
    later = next((n.index for n in PLAN.graph.nodes if n.index > operator and not n.kernel.view), None)
    if later is not None:
        assert not run(layer=later).diverging
    assert [v.operator for v in run(layer=operator).diverging] == [operator]


def test_a_wrong_kernel_is_found_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax looks at the next score: all before it is right."""

    def render(plan):
        files = render_model(plan)
        wrong = files["model.c"].replace("MCU_NOINLINE void softmax_s8", "MCU_NOINLINE void other(void)\n{\n}\n\nvoid softmax_s8")
        assert wrong != files["model.c"], "the kernel has another name now"
        body = wrong.index("void softmax_s8")
        start = wrong.index("{", body) + 1
        return {**files, "model.c": wrong[:start] + " in += 1;" + wrong[start:]}

    monkeypatch.setattr(verify, "render_model", render)
    found = run()
    assert (found.diverging[0].op, found.diverging[0].operator) == ("SOFTMAX", 6)


def test_only_the_board_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    made = verify.firmware_files

    def files(plan, board):
        held = made(plan, board)
        return {**held, "model.c": spoiled(held["model.c"], 2, 30)}

    monkeypatch.setattr(verify, "firmware_files", files)
    monkeypatch.setattr(reference, "traces", oracle)
    done = in_process("verify", DIGITS, "--samples", "2")
    assert done.exit_code == 7
    assert (
        "error: digits_int8.tflite: operator 2 (CONV_2D+MAX_POOL_2D) on the virtual board differs from TFLite Micro"
        in done.stderr
    )
    assert "1x4x4x8 -> int8 1x2x2x16" in done.stderr and "sample 0, element 30 [0, 0, 1, 14]: " in done.stderr
    assert f"mcuml verify {DIGITS} --samples 2 --layer 2" in done.stderr
    assert "all 5 layers agree" in done.stdout and "of 5 layers differ" in done.stdout
    done = in_process("verify", DIGITS, "--samples", "2", "--layer", "5", "--json", "-")
    held = json.loads(done.stdout)
    assert done.exit_code == 0 and held["passed"] and {v["operator"] for v in held["layers"]} == {5}
    assert {v["where"] for v in held["layers"]} == {"host build", "virtual board"}


def test_an_operator_that_is_not_there() -> None:
    with pytest.raises(RequestError, match="no operator 99"):
        run(layer=99)


@cache
def floats() -> bytes:
    """FULLY_CONNECTED 4 -> 3, RESHAPE, LOGISTIC, in float32."""
    x, h = tensor("x", "float32", (1, 4)), tensor("h", "float32", (1, 3))
    w = const("w", np.arange(12, dtype=np.float32).reshape(3, 4) / 10)
    flat, y = tensor("flat", "float32", (3,)), tensor("y", "float32", (3,))
    ops = [
        op("FULLY_CONNECTED", [x, w, None], [h]),
        op("RESHAPE", [h, const("to", np.array([3], np.int32))], [flat], new_shape=[3]),
        op("LOGISTIC", [flat], [y]),
    ]
    return model(ops, [x], [y])


WRONG = {  # id: (what replaces the oracle's value v of operator 0, differing, worst relative error)
    "exact": (lambda v: v, 0, 0),
    "within": (lambda v: v + np.float32(4e-6), 0, 4e-6),
    "beyond": (lambda v: v + np.float32(1e-3), 3, 1e-3),
    "nan": (lambda v: v * np.nan, 3, np.inf),
}


def against(folder, change):
    """floats() on the host build against the oracle's trace after change(trace, first layer's tensor)."""
    path = folder / "floats.tflite"
    path.write_bytes(floats())
    plan = pipeline.prepare(path)
    hidden = plan.graph.nodes[0].outputs[0]

    def other(path, inputs):
        name, samples = reference.traces(path, inputs)
        return name, [change(s, hidden) for s in samples]

    return verify.verify(plan, verify.Request(path, None, samples=1), other, lambda *_: None)


@pytest.mark.parametrize("case", WRONG)
def test_floats_have_a_tolerance(case: str, tmp_path) -> None:
    change, differing, worst = WRONG[case]
    found = against(tmp_path, lambda trace, hidden: {**trace, hidden: change(trace[hidden])})
    held = found.layers[0]
    assert held.differing == differing and held.max_rel == pytest.approx(worst, rel=0.3, abs=1e-7)
    assert held.cosine == pytest.approx(0 if case == "nan" else 1, abs=1e-4) and (held.first is None) == (not differing)
    assert {v.operator for v in found.layers} == {0, 1, 2} and not found.top1
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_tensor_that_the_oracle_lacks_is_left_out(tmp_path) -> None:
    found = against(tmp_path, lambda trace, hidden: {t: v for t, v in trace.items() if t != hidden})
    assert found.left_out == [0] and [v.operator for v in found.layers] == [1, 2]


def test_control_flow_and_variables_are_compared(tmp_path) -> None:
    """What a WHILE writes is read at its end; of a model with variables the oracle tells the outputs, sample after sample."""
    table = test_control_flow.test_matches_tflite_micro.table
    for name, compared in (("loop-5", "WHILE"), ("if_else-int8", "IF"), ("accumulator-int8-True", "ADD")):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(table.model(name).data)
        plan = pipeline.prepare(path)
        found = verify.verify(plan, verify.Request(path, None, samples=3), reference.traces, lambda *_: None)
        assert not found.diverging and compared in {v.op for v in found.layers}, found

"""A slice of `make fuzz` and `make fuzz-files`, with other seeds than theirs, and proof that they would see a fault."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fuzz import files, judge, sweep
from fuzz.catalogue import RECIPES
from fuzz.draft import Draft, Sketch
from fuzz.oracle import Oracle, Refused
from fuzz.shrink import smallest
from mcuml import ops
from mcuml.errors import ModelError

FIRST = 1_000_000  # `make fuzz` starts at 0
if os.name != "posix":
    pytest.skip("Processes are limited through POSIX's setrlimit and setitimer, which are missing here.", allow_module_level=True)


@pytest.mark.parametrize("batch", range(2))
def test_random_graphs_agree_with_tflite_micro(batch: int, tmp_path: Path) -> None:
    outcomes = sweep.examine(range(FIRST + 10 * batch, FIRST + 10 * (batch + 1)), tmp_path)
    assert [failure[1] for _, _, failure in outcomes if failure] == []
    assert all(sum(counted.values()) >= 2 for _, counted, _ in outcomes)


def test_graphs_are_the_same_for_the_same_seed() -> None:
    assert sweep.graph(FIRST).bytes == sweep.graph(FIRST).bytes != sweep.graph(FIRST + 1).bytes


def of(key: str) -> Sketch:
    """A graph of what one recipe gives."""
    draft = Draft(np.random.default_rng(FIRST), judge.accepts)
    for dtype, shape in (("bool", (1, 4)), ("int8", (1, 4, 6, 4)), ("float32", (2, 3))):
        draft.feed(dtype, shape)
    assert any(draft.grow(RECIPES[key], key) for _ in range(200)), f"{key} is never accepted: its recipe is wrong"
    return Sketch(FIRST, draft.ops, draft.inputs, list(draft.ops[-1].outputs))


def test_all_operators_are_drawn_but_what_tflite_micro_refuses() -> None:
    drawn = {code for key in RECIPES for code in of(key).codes}
    read = {code for code in ops.registry() if "+" not in code and ":" not in code.removeprefix("CUSTOM:")}
    assert drawn == read - {"FAKE_QUANT"}


@pytest.mark.parametrize("key", ["VAR_HANDLE", "CALL_ONCE", "CUSTOM:SignalDelay"])
def test_a_lost_state_is_seen(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Oracle() as oracle:
        assert judge.judge([of(key)], oracle) == [None]
        samples = judge.Candidate.samples
        monkeypatch.setattr(judge.Candidate, "samples", lambda self: samples(self) * 3)
        monkeypatch.setattr(judge.Candidate, "stateful", False)  # model_init before each invocation
        finding = judge.judge([of(key)], oracle)[0]
    assert finding is not None and finding.kind == "difference" and finding.sample > 0


@pytest.mark.parametrize("key", ["IF", "WHILE"])
def test_what_a_block_gives_is_compared_at_its_end(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = judge.render.render_model

    def spoiled(plan, prefix):
        made, last = plain(plan, prefix), [node for node in plan.graph.nodes if not node.kernel.view]
        at = plan.offsets[last[0].outputs[-1]] + 3  # the end of a float that counts most
        done = f"LAYER_DONE({len(last) - 1});"
        made[f"{prefix}.c"] = made[f"{prefix}.c"].replace(done, f"arena[{at}] ^= 0x40;\n    {done}")
        return made

    monkeypatch.setattr(judge.render, "render_model", spoiled)
    with Oracle() as oracle:
        finding = judge.judge([of(key)], oracle)[0]
    assert finding is not None and finding.node is not None and finding.node.code == f"{key}:end"


def test_a_wrong_kernel_is_seen_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer whose output is off by one byte is found, alone, with its operator's name."""
    plain = judge.render.render_model

    def spoiled(plan, prefix):
        made = plain(plan, prefix)
        node = next(n for n in plan.graph.nodes if n.kernel and not n.kernel.view)
        first = plan.graph.tensors[node.outputs[0]]
        at = plan.offsets[node.outputs[0]] + first.bytes // first.elements - 1  # the end that counts most
        made[f"{prefix}.c"] = made[f"{prefix}.c"].replace("LAYER_DONE(0);", f"arena[{at}] ^= 0x40;\n    LAYER_DONE(0);")
        return made

    monkeypatch.setattr(judge.render, "render_model", spoiled)
    with Oracle() as oracle:
        sketch = sweep.graph(FIRST + 3)
        finding = judge.judge([sketch], oracle)[0]
        assert finding is not None and finding.kind == "difference" and finding.node is not None
        small, said = smallest(sketch, finding, lambda trial: judge.judge([trial], oracle)[0])
    assert len(small.ops) == 1 and small.ops[0].code in said.text and len(sketch.ops) > 1


def test_a_write_behind_the_arena_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = judge.render.render_model

    def spoiled(plan, prefix):
        made = plain(plan, prefix)
        made[f"{prefix}.c"] = made[f"{prefix}.c"].replace(
            "LAYER_DONE(0);", f"arena[{plan.arena_bytes}] ^= 1;\n    LAYER_DONE(0);"
        )
        return made

    monkeypatch.setattr(judge.render, "render_model", spoiled)
    with Oracle() as oracle:
        finding = judge.judge([sweep.graph(FIRST + 3)], oracle)[0]
    assert finding is not None and (finding.kind, finding.text) == ("memory", "bytes behind the arena changed")


def test_an_oracle_that_dies_is_replaced() -> None:
    with Oracle() as oracle:
        with pytest.raises(Refused):
            oracle.ask(b"\x08\0\0\0TFL3" + bytes(64), [], [])
        sketch = sweep.graph(FIRST)
        assert judge.judge([sketch], oracle) == [None]


# Damaged files and lines.


def slices(shared: Path, tmp_path: Path) -> dict:
    return {
        "models": files.models(sweep.originals(shared / "models"), range(FIRST, FIRST + 200)),
        "boards": files.boards(sorted((sweep.ROOT / "boards").glob("*.toml")), range(FIRST, FIRST + 600)),
        "replies": files.replies(range(FIRST, FIRST + 1000)),
        "commands": files.commands(sweep.device.build("host", compiler=sweep.sanitized.sanitizing()), range(FIRST, FIRST + 1000)),
    }


@pytest.mark.parametrize("what", ["models", "boards", "replies", "commands"])
def test_damage_ends_in_a_result_or_a_user_error(what: str, shared: Path, tmp_path: Path) -> None:
    counts, escapes = files.gather(slices(shared, tmp_path)[what], tmp_path, ".damaged")
    assert escapes == []
    assert len(counts) == (2 if what in ("models", "boards") else 1), "damage that always or never matters shows nothing"


def _endless() -> str:
    while True:
        pass


def _large() -> str:
    return str(len(bytearray(files.MEMORY_BYTES + (64 << 20))))


def _wrong() -> str:
    raise IndexError("list index out of range")


@pytest.mark.parametrize("attempt, said", [(_endless, "more than"), (_large, "MemoryError"), (_wrong, "IndexError: list index")])
def test_escapes_are_seen(attempt, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS", 0.2)
    with files.limits():
        kind, text = files.outcome(attempt)
    assert kind == "ESCAPED" and said in text


def test_a_user_error_is_no_escape() -> None:
    def refused() -> str:
        raise ModelError("It is damaged.", "", "")

    assert files.outcome(refused) == ("UserError", "It is damaged.")

"""The effect of graph passes: what leaving one out costs, and that a pass which changes outputs is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commandline import DIGITS
from mcuml import passes
from mcuml.errors import CheckError, FitError
from mcuml.graph import Graph
from mcuml.optimize.passes_effect import Costs, Effect, effects
from mcuml.passes import fuse_add, fuse_pool
from modelmaker import const, model, op, tensor

BOARD = "nano33ble"


def test_a_fused_pool_saves_cycles_and_memory() -> None:
    """Of digits, the pools go into the convolutions; no other pass finds anything to do."""
    full, found = effects(DIGITS.read_bytes(), "digits", BOARD)
    assert [e.name for e in found] == list(passes.NAMES) and full.cycles and full.arena == 512
    assert all(e.identical for e in found)
    saved = {e.name: e.saved(full) for e in found}
    pool = saved.pop("fuse_pool")
    assert pool and pool.cycles and pool.cycles > 10_000 and pool.arena > 0 and pool.flash > 0
    assert set(saved.values()) == {Costs(0, 0, 0)}


def half() -> bytes:
    """y = x * weights, these float16 behind a DEQUANTIZE."""
    x, y = tensor("x", "float32", (1, 4)), tensor("y", "float32", (1, 3))
    stored, weights = const("stored", np.arange(12, dtype=np.float16).reshape(3, 4)), tensor("weights", "float32", (3, 4))
    layers = [op("DEQUANTIZE", [stored], [weights]), op("FULLY_CONNECTED", [x, weights, None], [y])]
    return model(layers, [x], [y])


def test_a_pass_without_which_the_model_is_not_served() -> None:
    full, found = effects(half(), "half", BOARD)
    folding = found[passes.NAMES.index("fold_constants")]
    assert folding.without is None and folding.saved(full) is None
    assert "FULLY_CONNECTED (operator 1, output 'y')" in folding.needed and "must be constant" in folding.needed


def test_a_board_without_a_cycle_model() -> None:
    full, found = effects(half(), "half", "pico")
    assert full.cycles is None and full.flash and found[-1].saved(full) == Costs(0, 0)


def doubled(graph: Graph) -> Graph:
    """A wrong pass: every float constant is twice what it was."""
    tensors = [t if t.data is None or t.dtype != "float32" else replace(t, data=2 * t.data) for t in graph.tensors]
    return replace(graph, tensors=tuple(tensors))


def test_a_pass_that_changes_outputs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse_pool, "run", doubled)
    with pytest.raises(CheckError, match="The pass fuse_pool changes the outputs of half"):
        effects(half(), "half", BOARD)


def test_what_does_not_fit_without_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second check, that of the model without its last pass, finds no room."""
    made = []

    def check(plan: object, board: object) -> None:
        made.append(plan)
        if len(made) == 2:
            raise FitError("it needs too much.")

    monkeypatch.setattr("mcuml.optimize.passes_effect.check_fit", check)
    monkeypatch.setattr(fuse_add, "run", lambda graph: replace(graph, name="renamed"))
    _, found = effects(half(), "half", BOARD)
    assert found[-1] == Effect("fuse_add", None, needed="it needs too much.")

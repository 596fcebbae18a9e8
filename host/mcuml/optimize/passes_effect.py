"""What each of mcuml's own graph passes is worth on a model: cycles, arena and flash with all of them, and without each."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mcuml import bench, dataset, passes, pipeline, trial_link
from mcuml.board import Board
from mcuml.dataset import Dataset
from mcuml.errors import CheckError, FitError, ModelError
from mcuml.fit import check_fit
from mcuml.optimize.accounting import FILE, load_boards
from mcuml.plan import Plan
from mcuml.schedule import schedule


@dataclass(frozen=True)
class Costs:
    """`cycles` of one inference (None on a core without a cycle model), `arena` and `flash` in bytes, flash as linked."""

    arena: int
    flash: int
    cycles: int | None = None


@dataclass(frozen=True)
class Effect:
    """What leaving the pass `name` out costs. `without`: the model's figures then; None where it is not served or does not fit
    (`needed` says why). `identical`: the outputs are those with all passes, bit for bit; floats may be rounded otherwise."""

    name: str
    without: Costs | None = None
    identical: bool | None = None
    needed: str = ""

    def saved(self, full: Costs) -> Costs | None:
        """What the pass saves: below 0 it costs something."""
        if self.without is None:
            return None
        cycles = None if full.cycles is None or self.without.cycles is None else self.without.cycles - full.cycles
        return Costs(self.without.arena - full.arena, self.without.flash - full.flash, cycles)


class Passes(BaseModel):
    """The effects of all passes on the model of `recipe` on `board`; `full`: its costs with all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = ""
    board: str
    full: Costs
    effects: tuple[Effect, ...]


def effects(
    model: bytes, name: str, board: str, objective: str = "balanced", samples: int = 10
) -> tuple[Costs, tuple[Effect, ...]]:
    """The costs of the .tflite file `model` on `board` with all passes, and the effect of each pass in the order they run.

    Outputs on `samples` random inputs, through a host build of each variant's C, are held against each other. Raises CheckError
    where a pass changes an output (floats: beyond bench.TOLERANCE), FitError where not even all passes make it fit, ModelError
    and RequestError as pipeline.prepare() does."""
    (target,) = load_boards((board,))
    with tempfile.TemporaryDirectory(prefix="mcuml-passes-") as folder:
        path = Path(folder) / FILE
        path.write_bytes(model)
        full = _Variant(path, "", target, objective)
        data = dataset.random([full.plan.graph.tensors[t] for t in full.plan.graph.inputs], samples)
        costs, outputs = full.costs(data), full.outputs(data)
        found = []
        for left_out in passes.NAMES:
            try:
                variant = _Variant(path, left_out, target, objective)
                if variant.files == full.files:
                    found.append(Effect(left_out, costs, True))
                    continue
                without = variant.costs(data)
            except (ModelError, FitError) as error:
                found.append(Effect(left_out, None, needed=error.what))
                continue
            held = bench.compare("all passes", variant.outputs(data), [], outputs, full.plan.graph)
            if not held.passed:
                raise CheckError(
                    f"The pass {left_out} changes the outputs of {name}.",
                    f"{held.matching} of {held.samples} samples agree; largest difference {held.max_abs_diff:g}.",
                    "This is a bug in mcuml; please report it with the model.",
                )
            found.append(Effect(left_out, without, held.identical))
    return costs, tuple(found)


class _Variant:
    """The model with one pass left out, or none."""

    def __init__(self, path: Path, without: str, board: Board, objective: str):
        self.plan: Plan = schedule(pipeline.lowered(path, without), objective)
        self.files, self._board = bench.firmware_files(self.plan, board), board

    def costs(self, data: Dataset) -> Costs:
        check_fit(self.plan, self._board)
        with trial_link.image(self.files, self._board) as image:
            latency, memory = bench.measure(image, self.plan, data, bench.silent)
        return Costs(memory.arena_bytes, memory.flash_bytes, latency.cycles if latency else None)

    def outputs(self, data: Dataset) -> bench.Samples:
        return bench.on_host(self.files, self.plan, data, bench.silent)

"""Figures of a device that runs an image: latency, memory, and the outputs of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcuml import results
from mcuml.build import Image
from mcuml.dataset import Dataset
from mcuml.graph import Graph
from mcuml.link.virtual import counts_cycles
from mcuml.plan import Plan
from mcuml.run.device import opened
from mcuml.run.session import Session

Progress = Callable[..., None]  # progress(stage, done=None, total=None)
Samples = list[list[np.ndarray]]  # per sample one array per tensor, in the model's order and types
METHOD = "zero-wait core cycles: each executed block by the core's cycle table, memory without wait states"
WAITS = "; ms with the flash's wait states and caches"
WHERE = {"virtual": "virtual board", "serial": "board", "qemu": "QEMU machine", "renode": "Renode machine"}
INSTRUCTIONS = "instructions that the simulator executed in model_invoke; they tell no time"


@dataclass(frozen=True)
class Figures:
    """What one device told: its memory, its outputs sample by sample, and its latency or, of a simulator that knows no
    cycles, its instructions."""

    memory: results.Memory
    outputs: Samples
    latency: results.Latency | None = None
    instructions: results.Instructions | None = None
    device: results.DevicePart | None = None
    warnings: tuple[str, ...] = ()


def of_virtual(image: Image, plan: Plan, data: Dataset, count: int, runs: int, progress: Progress) -> Figures:
    """Figures of the virtual board: `runs` counted inferences, outputs of the first `count` samples."""
    latency, memory = measure(image, plan, data, progress, runs)
    return Figures(memory, on_board(image, plan, data, count, progress), latency)


def of_counter(session: Session, image: Image, plan: Plan, data: Dataset, count: int, runs: int, progress: Progress) -> Figures:
    """Figures of a simulator that counts instructions, in one session."""
    progress("count instructions")
    session.load_input(*data.raw(0))
    counted = session.infer(runs)
    outputs = outputs_in(session, plan, data, count, progress)
    inferences = [session.link.instructions(ticks) for ticks in counted.runs]
    median = session.link.instructions(counted.cycles)
    told = results.Instructions(count=median, runs=inferences, method=INSTRUCTIONS)
    return Figures(memory_part(image, plan, session.memory().stack_used), outputs, instructions=told)


def measure(
    image: Image, plan: Plan, data: Dataset, progress: Progress, runs: int = 1
) -> tuple[results.Latency | None, results.Memory]:
    """Count `runs` inferences on the virtual board, each on another sample; read the stack's high-water mark. A core without a
    cycle model has no latency."""
    board = image.board
    counted: list[int] = []
    with opened(image, plan.graph.sha256) as session:
        for n in range(runs):
            progress("count cycles", n, runs)
            session.load_input(*data.raw(n % len(data)))
            counted += session.infer(1).runs
        used = session.memory()
    memory = memory_part(image, plan, used.stack_used)
    if not counts_cycles(board):
        return None, memory
    median = sorted(counted)[(len(counted) - 1) // 2]
    waits = _with_waits(image, plan, data) if board.flash.wait_states else None
    latency = results.Latency(
        kind="estimated", cycles=median, ms=round(1000 * (waits or median) / board.clock_hz, 4), runs=counted,
        method=METHOD + (WAITS if waits else ""), board_cycles=waits, error=board.cycle_error,
    )  # fmt: skip
    return latency, memory


def memory_part(image: Image, plan: Plan, stack_used: int) -> results.Memory:
    """Sizes of the ELF, the plan's arena, and the stack's high-water mark in bytes (0: the device does not know it)."""
    return results.Memory(
        flash_bytes=image.flash_bytes,
        code_bytes=image.code_bytes if image.weights_bytes else None,
        weights_bytes=image.weights_bytes or None,
        ram_bytes=image.ram_bytes,
        arena_bytes=plan.arena_bytes,
        stack_bytes=stack_used or None,
    )


def _with_waits(image: Image, plan: Plan, data: Dataset) -> int:
    """Cycles of one inference with those of waiting for the flash; the second of two, as the first fills the caches."""
    with opened(image, plan.graph.sha256, waits=True) as session:
        session.load_input(*data.raw(0))
        return session.infer(2).runs[-1]


def on_board(image: Image, plan: Plan, data: Dataset, count: int, progress: Progress) -> Samples:
    """Outputs of the first `count` samples on the virtual board, running free."""
    with opened(image, plan.graph.sha256, count=False) as session:
        return outputs_in(session, plan, data, count, progress)


def outputs_in(session: Session, plan: Plan, data: Dataset, count: int, progress: Progress) -> Samples:
    """Outputs of the first `count` samples on the device of `session`."""
    outputs, total = [], min(count, len(data))
    for n in range(total):
        progress(f"run samples on the {WHERE[session.link.name]}", n, total)
        session.load_input(*data.raw(n))
        session.infer(1)
        outputs.append(tensors(session.output(), plan.graph))
    return outputs


def tensors(outputs: Sequence[bytes], graph: Graph) -> list[np.ndarray]:
    """The model's outputs as arrays of their types and shapes."""
    told = [graph.tensors[t] for t in graph.outputs]
    return [np.frombuffer(raw, t.dtype).reshape(t.shape) for raw, t in zip(outputs, told, strict=True)]

"""Figures of a board on a serial port: warm-up, N runs, median, p99 and spread, and whether its counter keeps the wall's time."""

from __future__ import annotations

import math

from mcuml import results
from mcuml.build import Image
from mcuml.dataset import Dataset
from mcuml.errors import LinkError
from mcuml.link.serial.ports import Port
from mcuml.plan import Plan
from mcuml.run.measure import Figures, Progress, memory_part, outputs_in
from mcuml.run.protocol import Identity
from mcuml.run.session import Session

WARMUPS = 3  # the first run fills caches, and on some cores it is the first to touch the flash at all
RUNS_S, FEWEST, MOST = 5.0, 10, 100  # counted runs, where their number was not asked for: 5 s of them, but 10 to 100
CHUNK = 10  # runs per command: how often the progress moves
WALL_S = 2.5  # of inferences beside the wall clock: a USB bridge delivers up to 16 ms late, which is then under 0.7 %
WALL_LIMIT_S = 30.0  # for those inferences: many times what they take by the board's own counter
TOLERANCE = 0.02  # beyond which the two clocks disagree


def of_board(
    session: Session, image: Image, port: Port, plan: Plan, data: Dataset, count: int, runs: int | None, progress: Progress
) -> Figures:
    """Figures of the board on `port`, of `runs` inferences on the first sample (None: for RUNS_S), and the outputs of the first
    `count` samples. A device that says that it is simulated gives estimates, and its clock is not compared with the wall's."""
    identity = session.identify()
    progress("warm up")
    session.load_input(*data.raw(0))
    (first,) = session.infer(1, WARMUPS).runs
    if not first and not identity.simulated:
        raise LinkError(
            f"The cycle counter of the {image.board.title} on {port.device} stands still.",
            f"An inference took 0 cycles by {identity.counter or 'its counter'}.",
            "Reset the board; a debugger that was attached may have stopped the counter.",
        )
    seconds = first / image.board.clock_hz
    counted = _runs(session, runs or _enough(seconds), progress)
    wall = None  # a simulator's clock does not run beside the wall's
    if not identity.simulated:
        progress("compare its clock with this computer's")
        wall = _beside_the_wall(session, seconds)
    # a simulator without a cycle model of the core lets the counter stand still
    latency = _latency(counted, identity, wall, image) if first else None
    used = session.memory().stack_used
    outputs = outputs_in(session, plan, data, count, progress)
    device = results.DevicePart(
        port=port.device, usb=port.usb_id or None, firmware=identity.port, build=identity.build, mcuml=identity.mcuml,
        counter=identity.counter, simulated=bool(identity.simulated) or None,
    )  # fmt: skip
    return Figures(memory_part(image, plan, used), outputs, latency, device=device, warnings=_warnings(wall))


def _enough(seconds: float) -> int:
    return min(MOST, max(FEWEST, math.ceil(RUNS_S / max(seconds, 1e-6))))


def _runs(session: Session, runs: int, progress: Progress) -> list[int]:
    counted: list[int] = []
    while len(counted) < runs:
        progress("measure", len(counted), runs)
        counted += session.infer(min(CHUNK, runs - len(counted))).runs
    return counted


def _beside_the_wall(session: Session, seconds: float) -> results.Wall:
    """The time of the same inferences by the device's timestamps and by when these came in. The device works all the while: a
    counter that stands still in sleep is not to blame."""
    iterations = max(1, math.ceil(WALL_S / max(seconds, 1e-6)))
    done = session.window(iterations, max(WALL_LIMIT_S, 2 * session.limits.run_s))
    device_s, host_s = done.device_us / 1e6, max(done.host_s, 1e-6)
    return results.Wall(device_s=device_s, host_s=round(host_s, 4), discrepancy=round(device_s / host_s - 1, 4))


def _latency(counted: list[int], identity: Identity, wall: results.Wall | None, image: Image) -> results.Latency:
    ordered = sorted(counted)
    median = ordered[(len(ordered) - 1) // 2]
    return results.Latency(
        kind="estimated" if identity.simulated else "measured",
        cycles=median,
        ms=round(1000 * median / image.board.clock_hz, 4),
        runs=counted,
        method=_method(len(counted), identity, wall, image.board.clock_hz),
        p99_cycles=ordered[math.ceil(0.99 * len(ordered)) - 1],
        spread=round((ordered[-1] - ordered[0]) / median, 4) if median else 0.0,
        warmups=WARMUPS,
        wall=wall,
        error=image.board.cycle_error if identity.simulated else None,
    )


def _method(runs: int, identity: Identity, wall: results.Wall | None, clock_hz: int) -> str:
    cycles = "1 cycle" if identity.step == 1 else f"{identity.step} cycles"
    step = f"a step is {cycles} ({1e6 * identity.step / clock_hz:.3g} µs)"
    counting = f"median of {runs} runs of one sample after {WARMUPS} warm-ups; counter: {identity.counter or 'not told'}, {step}"
    if identity.simulated:
        return f"the device says that it is simulated, nothing was measured on a board; {counting}"
    interrupts = "interrupts ran and are counted" if identity.interrupts else "no interrupts ran"
    checked = f"{100 * wall.discrepancy:+.2f} % beside this computer's clock over {wall.host_s:.1f} s" if wall else "not checked"
    return f"{counting}; {interrupts}; the counter's time is {checked}"


def _warnings(wall: results.Wall | None) -> tuple[str, ...]:
    if wall is None or abs(wall.discrepancy) <= TOLERANCE:
        return ()
    return (
        f"The board's counter and this computer's clock disagree by {100 * wall.discrepancy:+.1f} %: the same inferences took "
        f"{wall.device_s:.3f} s by the board and {wall.host_s:.3f} s by the wall. Cycles may be right, but ms are not: the clock "
        "that the firmware sets up is not the board file's clock_hz, or the counter lost rounds.",
    )

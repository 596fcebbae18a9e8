"""Energy without an instrument: a board's supply voltage and current, times the time. Always an estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcuml.board import Board
from mcuml.errors import RequestError
from mcuml.instruments.base import Instrument, Recording
from mcuml.results import Energy


def estimate(board: Board, ms: float) -> Energy | None:
    """Energy of `ms` milliseconds of the running core, by the board's file; None where it has no figures."""
    if board.energy is None:
        return None
    held = board.energy
    source = f"{held.volts:g} V x {held.milliamps_active:g} mA x latency; {held.source}"
    return Energy(kind="estimated", uj=round(held.volts * held.milliamps_active * ms, 4), source=source)


class BoardFigures(Instrument):
    """Stands in for a meter on a simulated board: `edges` gives the (cycles, level) that its trigger pin has had so far."""

    kind = "estimated"

    def __init__(self, board: Board, edges: Callable[[], Sequence[tuple[int, int]]]):
        if board.energy is None:
            raise RequestError(
                f"The file of board {board.name} has no energy figures.",
                "Without them nothing can be said of the energy of a simulated board.",
                "Give volts, milliamps_active and their source under [energy] in a board file of your own.",
            )
        self.name = f"{board.energy.volts:g} V x {board.energy.milliamps_active:g} mA ({board.energy.source})"
        self.volts = board.energy.volts
        self._watts = board.energy.volts * board.energy.milliamps_active / 1000
        self._clock_hz, self._edges, self._seen = board.clock_hz, edges, 0

    def start(self) -> None:
        self._seen = len(self._edges())

    def stop(self) -> Recording:
        falls = [cycles for cycles, level in self._edges()[self._seen :] if level == 0]
        began = falls[0] if falls else 0
        places = tuple(round((at - began) * 1000 / self._clock_hz) for at in falls)
        return Recording(np.full(places[-1] if places else 0, self._watts / 1000), places, volts=self.volts)

    def close(self) -> None:
        pass

"""The interface of every energy meter: record while the device works, then tell the energy between two edges of its pin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import numpy as np

from mcuml.errors import LinkError


@dataclass(frozen=True, eq=False)
class Recording:
    """joules: energy of each sample, float64 (n,), `rate_hz` a second. edges: number of samples before each falling edge of the
    trigger pin, in order. first: the instrument's own number of the first edge. volts: of the supply, where it is known."""

    joules: np.ndarray
    edges: tuple[int, ...]
    rate_hz: float = 1000.0
    first: int = 0
    volts: float | None = None

    def window(self) -> tuple[float, float]:
        """(microjoules, seconds) between the last two edges: what lies before may be a device's start. Raises LinkError."""
        if len(self.edges) < 2:
            raise LinkError(
                f"The energy meter saw {len(self.edges)} edges of the trigger pin; a window has two.",
                f"It recorded {len(self.joules) / self.rate_hz:.1f} s.",
                "Wire the device's trigger pin to the meter's input (D7 of the LPM01A, GPI 0 of the JS220), grounds joined, "
                "and flash firmware in energy mode: mcuml flash MODEL --suite TEST --energy",
            )
        begin, end = self.edges[-2:]
        held = self.joules[begin:end]
        if len(held) != end - begin or not np.isfinite(held).all():
            raise LinkError(
                "The energy meter lost samples between the two edges.", f"{end - begin} were due, {len(held)} came.",
                "Close other programs that load this computer, and measure again.",
            )  # fmt: skip
        return float(held.sum() * 1e6), (end - begin) / self.rate_hz


class Instrument(ABC):
    """An energy meter; a context manager that releases it, its supply switched off where it has one.

    name: what is told as the figure's source; kind: whether it measures or computes from a board's figures."""

    name: str
    kind: Literal["measured", "estimated"] = "measured"
    volts: float | None = None

    @abstractmethod
    def start(self) -> None:
        """Begin to record. Raises LinkError."""

    @abstractmethod
    def stop(self) -> Recording:
        """End the recording that start() began, and tell it. Raises LinkError."""

    @abstractmethod
    def close(self) -> None:
        """Release the instrument; again is harmless."""

    def __enter__(self) -> Instrument:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

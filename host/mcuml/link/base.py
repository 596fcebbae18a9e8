"""The interface of every link: bytes to a device and bytes from it, always with a time limit."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Literal

from mcuml.errors import LinkError

Kind = Literal["measured", "estimated", "instructions"]


class Clock:
    """Time as a link's device has it, in seconds since any moment. A simulated line may have a clock of its own, on which limits
    pass without anyone waiting."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class Link(ABC):
    """A byte stream to one device; a context manager that closes it.

    name: "virtual", "serial", "qemu", "renode"; kind: whether its cycles are "measured", "estimated" or in truth "instructions";
    patience: how many times as long as a board it may take to answer; clock: what every limit of time is measured by."""

    name: str
    kind: Kind
    patience: float = 1.0
    clock: Clock = Clock()

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises LinkError when the device is gone."""

    @abstractmethod
    def read(self, timeout_s: float) -> bytes:
        """What is there, at least one byte, waiting at most `timeout_s` seconds; b"" when nothing came in that time.
        Raises LinkError when the device is gone or has faulted."""

    @abstractmethod
    def reset(self) -> None:
        """Restart the device; bytes in flight are lost."""

    @abstractmethod
    def close(self) -> None:
        """Release the device; again is harmless."""

    def instructions(self, ticks: int) -> int:
        """What `ticks` of the device's counter are in instructions, where `kind` is "instructions"."""
        return ticks

    def describe(self) -> str:
        """What the link can tell about a device that went silent: "" when nothing."""
        return ""

    def explain(self) -> LinkError | None:
        """Why the device does not answer as it should, where the link knows more than that; None otherwise."""
        return None

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

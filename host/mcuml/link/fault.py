"""A link with one fault: at byte N of what is sent or received something is lost, changed, late, or the device goes away.

Deterministic: the same fault on the same bytes does the same, and seconds are those of the wrapped link's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mcuml.errors import LinkError, RequestError
from mcuml.link.base import Link

Kind = Literal["drop", "flip", "duplicate", "truncate", "delay", "stall", "disconnect", "reboot"]
Side = Literal["sent", "received"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES: tuple[Side, ...] = get_args(Side)
LINE_ENDS = {"sent": b"%", "received": b"\n"}


@dataclass(frozen=True)
class Fault:
    """What happens when byte `at` (from 0) of the `side` passes, both counted from the wrapping of the link.

    drop        the byte is lost
    flip        its bit number `bit` is inverted
    duplicate   it comes twice
    truncate    it and the rest of its line are lost, the line's end included
    delay       it and all that follows on this side come `seconds` later
    stall       it and all that follows on this side never come; the other side goes on
    disconnect  the port is gone: from here on every read and write raises LinkError
    reboot      the device restarts; the byte and what is in flight with it are lost

    Raises RequestError where `at` is below 0, `bit` is none of a byte's, or `seconds` is below 0."""

    kind: Kind
    at: int
    side: Side = "received"
    bit: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.at < 0 or self.bit not in range(8) or self.seconds < 0 or self.kind not in KINDS or self.side not in SIDES:
            raise RequestError(
                f"There is no such fault: {self}.", f"Kinds: {', '.join(KINDS)}; sides: {', '.join(SIDES)}; bits: 0 to 7."
            )


class FaultLink(Link):
    """`link` with `fault` in it. struck: whether the fault has happened; passed: bytes of each side so far."""

    def __init__(self, link: Link, fault: Fault):
        self.link, self.fault = link, fault
        self.name, self.kind, self.patience, self.clock = link.name, link.kind, link.patience, link.clock
        self.struck = False
        self.passed: dict[Side, int] = dict.fromkeys(SIDES, 0)
        self._cutting = self._mute = self._gone = False
        self._due: float | None = None  # when what is late comes
        self._late = b""
        self._ready = b""

    def write(self, data: bytes) -> None:
        self._settle()
        if passing := self._through("sent", data):
            self.link.write(passing)
        if self._gone:
            raise self._lost()

    def read(self, timeout_s: float) -> bytes:
        end = self.clock.now() + timeout_s
        while True:
            self._settle()
            if self._ready:
                data, self._ready = self._ready, b""
                return data
            now = self.clock.now()
            until = end if self._due is None else min(end, self._due)
            came = self.link.read(max(0.0, until - now))
            if passing := self._through("received", came):
                return passing
            if not came and self._due is None:
                return b""
            if not came:  # a simulated device may know at once that nothing comes; what is late does come
                self.clock.sleep(until - self.clock.now())
            if self.clock.now() >= end and (self._due is None or self._due > end):
                return b""

    def reset(self) -> None:
        self._late, self._due = b"", None
        self.link.reset()

    def close(self) -> None:
        self.link.close()

    def describe(self) -> str:
        return self.link.describe()

    def instructions(self, ticks: int) -> int:
        return self.link.instructions(ticks)

    def explain(self) -> LinkError | None:
        return self.link.explain()

    def _settle(self) -> None:
        """What was late and is due now passes. Raises LinkError where the port is gone."""
        if self._gone:
            raise self._lost()
        if self._due is not None and self.clock.now() >= self._due:
            self._due, data, self._late = None, self._late, b""
            if self.fault.side == "received":
                self._ready += data
            elif data:
                self.link.write(data)

    def _through(self, side: Side, data: bytes) -> bytes:
        """What of `data` passes at once."""
        first = self.passed[side]
        self.passed[side] += len(data)
        if side != self.fault.side or not data:
            return data
        at = self.fault.at - first
        if not self.struck:
            if at >= len(data):
                return data
            self.struck = True
            return self._strike(data[:at], data[at : at + 1], data[at + 1 :])
        return self._after(data)

    def _after(self, data: bytes) -> bytes:
        """What passes of bytes that follow the fault's."""
        if self._mute:
            return b""
        if self._due is not None:
            self._late += data
            return b""
        if self._cutting:
            _lost, end, rest = data.partition(LINE_ENDS[self.fault.side])
            self._cutting = not end
            return rest
        return data

    def _strike(self, before: bytes, byte: bytes, after: bytes) -> bytes:
        kind = self.fault.kind
        if kind == "drop":
            return before + after
        if kind == "flip":
            return before + bytes([byte[0] ^ 1 << self.fault.bit]) + after
        if kind == "duplicate":
            return before + byte + byte + after
        if kind == "truncate":
            self._cutting = True
            return before + self._after(byte + after)
        if kind == "delay":
            self._due, self._late = self.clock.now() + self.fault.seconds, byte + after
        elif kind == "stall":
            self._mute = True
        elif kind == "disconnect":
            self._gone = True
        elif self.fault.side == "sent":
            self.link.write(before)
            self.link.reset()
            return b""
        else:
            self.link.reset()
        return before

    def _lost(self) -> LinkError:
        return LinkError(f"The {self.name} device is gone.", "Its port closed in the middle of the session.", "Plug it in again.")

"""The procedure on a device: wait until it answers, check that it is the right one, load, run, read back, measure.

Every wait has a limit, and the error that ends it says what came instead. A transfer that the CRC finds damaged is repeated."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mcuml.errors import LinkError
from mcuml.link.base import Link
from mcuml.run import protocol
from mcuml.run.protocol import BadReply, Identity, Memory

T = TypeVar("T")
SIMULATORS = ("virtual", "qemu", "renode")  # links without a cable
MAX_LINE = 1 << 16  # bytes of the longest reply line that is believed; more is noise
MAX_LINES = 1 << 14  # of one reply: a run or a layer each takes one


@dataclass(frozen=True)
class Limits:
    """Seconds to wait for a reply (quick: a command; run: one inference) and how often to repeat a damaged exchange."""

    wake_s: float = 10.0
    reply_s: float = 5.0
    run_s: float = 60.0
    attempts: int = 4

    def times(self, factor: float) -> Limits:
        """The same with all waits `factor` times as long."""
        return replace(self, wake_s=self.wake_s * factor, reply_s=self.reply_s * factor, run_s=self.run_s * factor)


@dataclass(frozen=True)
class Measurement:
    """Cycles of model_invoke alone, one figure per run; the warm-up runs are not among them."""

    runs: tuple[int, ...]

    @property
    def cycles(self) -> int:
        """The median run (the lower of the two middle ones)."""
        return sorted(self.runs)[(len(self.runs) - 1) // 2]


@dataclass(frozen=True)
class Window:
    """The same inferences by the device's own timestamps, in microseconds, and by when these came in, in seconds."""

    device_us: int
    host_s: float


class Session:
    """A conversation with one device over `link`. All methods raise LinkError when the device does not answer as it should."""

    def __init__(self, link: Link, limits: Limits | None = None):
        self.link, self.limits = link, limits or Limits().times(link.patience)
        self._pending = b""
        self._times: list[float] = []  # when the lines of the last reply came
        self._identity: Identity | None = None
        self._input_crc: int | None = None  # of what load_input sent; None while the device may hold another input

    # -- procedure -----------------------------------------------------------------------------------------------------

    def wake(self) -> str:
        """The name that the device answers `name` with; whatever it said before, and any half command, is flushed."""
        deadline = time.monotonic() + self.limits.wake_s
        heard: list[str] = []
        while time.monotonic() < deadline:
            self._flush()
            self.link.write(b"%" + protocol.command("name"))  # the first terminator ends a half command
            limit_s = min(2.0, self.limits.wake_s)
            lines = self._until(lambda line: line.startswith("m-name-dut-["), limit_s, limit_s)
            heard += lines
            if lines and lines[-1].startswith("m-name-dut-["):
                self._reply("name", self.limits.reply_s)
                return protocol.bracketed(lines[-1], "m-name-dut-") if lines[-1].endswith("]") else lines[-1]
        raise self._silent("name", self.limits.wake_s, heard)

    def identify(self, sha256: str = "", build: str = "") -> Identity:
        """Who the device is. With `sha256`, that of the model wanted, another model on the device is an error; with `build`,
        that of the Image, so is firmware of the same model that was built otherwise."""
        self._identity = None
        self.wake()
        identity = self._ask(protocol.command("mcuml", "id"), lambda lines: protocol.identity(_only(lines)))
        if identity.protocol != protocol.VERSION:
            raise LinkError(
                f"The device speaks version {identity.protocol} of mcuml's protocol, this host version {protocol.VERSION}.",
                f"Its firmware was built by mcuml {identity.mcuml}.",
                "Build and flash again: mcuml bench MODEL",
            )
        if sha256 and identity.sha256 != sha256:
            raise LinkError(
                "The device holds another model than the one asked for.",
                f"On the device: '{identity.model}', sha256 {identity.sha256}. Asked for: sha256 {sha256}.",
                "Build and flash again: mcuml bench MODEL",
            )
        if build and identity.build != build:
            raise LinkError(
                "The device holds stale firmware: the model is the right one, but it was built otherwise.",
                f"On the device: build {identity.build or 'unknown'} by mcuml {identity.mcuml}. Asked for: build {build}.",
                "Flash it again: mcuml flash MODEL, or bench without --no-flash",
            )
        self._identity = identity
        return identity

    def load_input(self, *inputs: bytes) -> None:
        """Put all inputs of the model (C-contiguous bytes, one argument each) into the device's input buffer."""
        identity = self._identity or self.identify()
        if tuple(map(len, inputs)) != identity.inputs:
            raise LinkError(
                f"The model on the device takes inputs of {list(identity.inputs)} bytes.",
                f"Given: {list(map(len, inputs))} bytes.",
            )
        data, offset = b"".join(inputs), 0
        while offset < len(data):
            chunk = data[offset : offset + identity.chunk]
            want = f"m-put-[{offset},{len(chunk)}]"
            self._ask(protocol.put(offset, chunk), lambda lines, want=want: _same(_only(lines), want))  # type: ignore[misc]
            offset += len(chunk)
        self._input_crc = protocol.crc(0, data)

    def infer(self, runs: int = 1, warmup: int = 0) -> Measurement:
        """Run the loaded input `warmup` times unmeasured, then `runs` times."""
        total = warmup + runs
        lines = self._ask(
            protocol.command("mcuml", "run", total),
            lambda lines: [protocol.cycles(line) for line in _count(lines, total)],
            self.limits.run_s,
        )
        self._still_there()
        return Measurement(tuple(lines[warmup:]))

    def output(self) -> tuple[bytes, ...]:
        """The bytes of every output of the last inference."""
        identity = self._identity or self.identify()
        data = b""
        while len(data) < sum(identity.outputs):
            offset = len(data)
            count = min(identity.chunk, sum(identity.outputs) - offset)
            data += self._ask(
                protocol.command("mcuml", "get", offset, count),
                lambda lines, at=offset, n=count: protocol.got(_only(lines), at, n),  # type: ignore[misc]
            )
        self._still_there()
        ends = [sum(identity.outputs[: i + 1]) for i in range(len(identity.outputs))]
        return tuple(data[end - size : end] for end, size in zip(ends, identity.outputs, strict=True))

    def memory(self) -> Memory:
        """Arena, buffer and stack as the device sees them."""
        return self._ask(protocol.command("mcuml", "mem"), lambda lines: protocol.memory(_only(lines)))

    def layers(self) -> tuple[int, ...]:
        """Cycles of each layer of one inference; the firmware must have been built with MODEL_PROFILE."""
        found = self._ask(
            protocol.command("mcuml", "layers"), lambda lines: [protocol.layer(line) for line in lines], self.limits.run_s
        )
        self._still_there()
        return tuple(cycles for _, cycles in sorted(found))

    def _still_there(self) -> None:
        """Raise LinkError where the device has restarted since load_input: repeating a command would then have hidden it."""
        if self._input_crc is None:
            return
        crc, inferences = self._ask(protocol.command("mcuml", "crc"), lambda lines: protocol.state(_only(lines)))
        if crc != self._input_crc or not inferences:
            raise self.link.explain() or self._restarted(f"Its input has CRC {crc:08x} instead of {self._input_crc:08x}.")

    def window(self, iterations: int, limit_s: float) -> Window:
        """Run the loaded input `iterations` times without a pause, as MLPerf Tiny's `infer` does; limit_s: for all of them."""

        def decode(lines: list[str]) -> Window:
            laps = [(line.removeprefix("m-lap-us-"), at) for line, at in zip(lines, self._times, strict=False)
                    if line.startswith("m-lap-us-")]  # fmt: skip
            if len(laps) != 2 or not all(lap.isdecimal() for lap, _ in laps) or "m-infer-done" not in lines:
                raise BadReply(f"expected two m-lap-us- lines and m-infer-done, got {lines!r}")
            (first, began), (last, ended) = laps
            return Window((int(last) - int(first)) % (1 << 32), ended - began)  # the microseconds wrap after 71 minutes

        return self._once(protocol.command("infer", iterations, 0), decode, limit_s)

    # -- exchange ------------------------------------------------------------------------------------------------------

    def _ask(self, request: bytes, decode: Callable[[list[str]], T], line_s: float | None = None) -> T:
        """Send `request` until its reply decodes, at most `attempts` times; for commands that may be repeated."""
        for attempt in range(self.limits.attempts):
            try:
                return self._exchange(request, decode, line_s)
            except BadReply as error:
                reason = error
            except _Silent as error:
                if attempt + 1 == self.limits.attempts or not error.heard:
                    raise error.link_error from error
                reason = BadReply(str(error.heard))
            self._resynchronize()
        raise self.link.explain() or LinkError(
            f"The {self.link.name} device did not answer '{_shown(request)}' as it should, {self.limits.attempts} times.",
            f"Last: {reason}",
            ""
            if self.link.name in SIMULATORS
            else "Check cable, baud rate and that nothing else reads the port; then reset the board.",
        ) from reason

    def _once(self, request: bytes, decode: Callable[[list[str]], T], line_s: float | None = None) -> T:
        """Send `request` once; for commands whose repetition would not be the same."""
        try:
            return self._exchange(request, decode, line_s)
        except _Silent as error:
            raise error.link_error from error
        except BadReply as error:
            raise self.link.explain() or LinkError(
                f"The {self.link.name} device did not answer '{_shown(request)}' as it should.", str(error)
            ) from error

    def _exchange(self, request: bytes, decode: Callable[[list[str]], T], line_s: float | None) -> T:
        self.link.write(request)
        lines = self._reply(_shown(request), line_s or self.limits.reply_s)
        errors = [line for line in lines if line.startswith("e-[")]
        if errors:
            raise BadReply(f"the device says {errors[0]}")
        return decode(lines)

    def _reply(self, request: str, line_s: float) -> list[str]:
        """The lines before m-ready; each may take `line_s`."""
        lines = self._until(lambda line: line == protocol.READY, line_s)
        if not lines or lines[-1] != protocol.READY:
            raise _Silent(lines, self._silent(request, line_s, lines))
        return lines[:-1]

    def _until(self, wanted: Callable[[str], bool], line_s: float, whole_s: float = math.inf) -> list[str]:
        """Lines up to the first that is wanted, or until none of the protocol's came for `line_s`, or for `whole_s` in all: a
        device may talk without end. A fault report ends it at once."""
        lines: list[str] = []
        self._times = []
        began = time.monotonic()
        deadline = began + min(line_s, whole_s)
        while True:
            while b"\n" in self._pending:
                raw, self._pending = self._pending.split(b"\n", 1)
                line = raw.decode("ascii", "replace").rstrip("\r")
                lines.append(line)
                self._times.append(time.monotonic())
                if line.startswith("e-[Fault "):
                    raise LinkError(
                        f"The firmware on the {self.link.name} device faulted.", line, "Look the address up in the ELF."
                    )
                if line == protocol.GREETING and self._identity:
                    raise self.link.explain() or self._restarted("It greeted as after power-up.")
                if wanted(line):
                    return lines
                if line.startswith(("m-", "e-")):
                    deadline = min(time.monotonic() + line_s, began + whole_s)
            left = deadline - time.monotonic()
            if left <= 0 or len(self._pending) > MAX_LINE or len(lines) > MAX_LINES:
                if self._pending:
                    lines.append(self._pending[:MAX_LINE].decode("ascii", "replace"))
                    self._pending = b""
                return lines
            self._pending += self.link.read(left)

    def _flush(self) -> None:
        """Forget what the device has said so far; bounded, for a device that never stops talking."""
        self._pending = b""
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline and self.link.read(0.02):
            pass

    def _resynchronize(self) -> None:
        """End whatever half command the device may hold, and drop its answer."""
        self.link.write(b"%")
        limit_s = min(1.0, self.limits.reply_s)
        self._until(lambda line: line == protocol.READY, limit_s, limit_s)
        self._flush()

    def _restarted(self, evidence: str) -> LinkError:
        return LinkError(
            f"The {self.link.name} device restarted in the middle of its work; nothing that it said counts.",
            evidence,
            "Look at its supply and its cable, and begin again.",
        )

    def _silent(self, request: str, seconds: float, heard: Sequence[str]) -> LinkError:
        if known := self.link.explain():
            return known
        came = f"It sent instead: {' | '.join(heard[-3:])[-300:]!r}." if heard else "Nothing came."
        return LinkError(
            f"The {self.link.name} device did not answer '{request}' within {seconds:g} s.",
            "\n".join(part for part in (came, self.link.describe()) if part),
            "" if self.link.name in SIMULATORS else "Check cable, port and baud rate; press the board's reset button.",
        )


class _Silent(Exception):
    """No complete reply in time: what was heard, and the error to raise if it stays so."""

    def __init__(self, heard: list[str], link_error: LinkError):
        super().__init__(str(link_error))
        self.heard, self.link_error = heard, link_error


def _shown(request: bytes) -> str:
    text = request.decode("ascii").rstrip(protocol.TERMINATOR)
    return text if len(text) <= 40 else text[:37] + "..."


def _only(lines: list[str]) -> str:
    return _count(lines, 1)[0]


def _count(lines: list[str], count: int) -> list[str]:
    if len(lines) != count:
        raise BadReply(f"expected {count} lines, got {len(lines)}: {lines[:4]!r}")
    return lines


def _same(got: object, want: object) -> None:
    if got != want:
        raise BadReply(f"expected {want!r}, got {got!r}")

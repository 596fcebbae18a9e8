"""The procedure on a device: wait until it answers, check that it is the right one, load, run, read back, measure.

Every wait has a limit, and the error that ends it says what came instead. What was damaged on the line is asked again; no figure
is believed without the device's check of it (run/exchange.py)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from mcuml.errors import LinkError
from mcuml.link.base import Link
from mcuml.run import protocol
from mcuml.run.exchange import Exchange, Limits, NoChecks, Silent
from mcuml.run.protocol import BadReply, Identity, Memory

__all__ = ["Limits", "Measurement", "Session", "Window"]


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
    """A conversation with one device over `link`. All methods raise LinkError when the device does not answer as it should.
    elf: of its firmware, by which a fault is told with function and line. key: how the device knows this session from another (32
    bits, not 0); by default one drawn at random."""

    def __init__(self, link: Link, limits: Limits | None = None, elf: Path | None = None, key: int = 0):
        self.link, self.limits = link, limits or Limits().times(link.patience)
        self._line = Exchange(link, self.limits, elf)
        self._key = key or 1 + secrets.randbelow((1 << 32) - 1)
        self._identity: Identity | None = None

    # -- procedure -----------------------------------------------------------------------------------------------------

    def wake(self) -> str:
        """The name that the device answers `name` with; whatever it said before, and any half command, is flushed."""
        now = self.link.clock.now
        deadline, before = now() + self.limits.wake_s, self._line.boots
        heard: list[str] = []
        while now() < deadline:
            self._line.flush()
            self.link.write(protocol.command() + protocol.command("name"))  # the first terminator ends a half command
            limit_s = min(2.0, self.limits.wake_s)
            lines = self._line.until(lambda line: line.startswith("m-name-dut-["), limit_s, limit_s)
            heard += lines
            try:
                name = protocol.bracketed(lines[-1] if lines else "", "m-name-dut-")
                self._line.reply("name", min(2.0, self.limits.reply_s))
                return name
            except (BadReply, Silent):
                continue
        silent = self._line.silent("name", self.limits.wake_s, heard)
        boots = self._line.boots - before  # one may be that of the port's opening
        raise self._line.restarted("It greeted as after power-up.", boots) if boots > 1 else silent

    def identify(self, sha256: str = "", build: str = "") -> Identity:
        """Who the device is. With `sha256`, that of the model wanted, another model on the device is an error; with `build`,
        that of the Image, so is firmware of the same model that was built otherwise."""
        self._identity = None
        self._line.begin(0)
        self.wake()
        self._line.begin(self._key)
        try:
            identity = self._line.ask(("mcuml", "id"), lambda lines: protocol.identity(_only(lines)))
        except NoChecks:  # firmware of an older version may still say which one it is
            self._line.begin(0)
            identity = self._line.ask(("mcuml", "id"), lambda lines: protocol.identity(_only(lines)))
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
        self._line.holds = True
        data, offset = b"".join(inputs), 0
        while offset < len(data):
            chunk = data[offset : offset + identity.chunk]
            want = f"m-put-[{offset},{len(chunk)}]"
            self._line.ask(protocol.put(offset, chunk), lambda lines, want=want: _same(_only(lines), want))  # type: ignore[misc]
            offset += len(chunk)

    def infer(self, runs: int = 1, warmup: int = 0) -> Measurement:
        """Run the loaded input `warmup` times unmeasured, then `runs` times."""
        total = warmup + runs
        self._line.holds = True
        cycles = self._line.ask(
            ("mcuml", "run", total),
            lambda lines: [protocol.cycles(line) for line in _count(lines, total)],
            self.limits.run_s,
            total,
        )
        return Measurement(tuple(cycles[warmup:]))

    def output(self) -> tuple[bytes, ...]:
        """The bytes of every output of the last inference."""
        identity = self._identity or self.identify()
        data = b""
        while len(data) < sum(identity.outputs):
            offset = len(data)
            count = min(identity.chunk, sum(identity.outputs) - offset)
            data += self._line.ask(
                ("mcuml", "get", offset, count),
                lambda lines, at=offset, n=count: protocol.got(_only(lines), at, n),  # type: ignore[misc]
            )
        ends = [sum(identity.outputs[: i + 1]) for i in range(len(identity.outputs))]
        return tuple(data[end - size : end] for end, size in zip(ends, identity.outputs, strict=True))

    def memory(self) -> Memory:
        """Arena, buffer and stack as the device sees them."""
        return self._line.ask(("mcuml", "mem"), lambda lines: protocol.memory(_only(lines)))

    def layers(self) -> tuple[int, ...]:
        """Cycles of each layer of one inference; the firmware must have been built with MODEL_PROFILE."""
        self._line.holds = True
        found = self._line.ask(("mcuml", "layers"), lambda lines: [protocol.layer(line) for line in lines], self.limits.run_s)
        return tuple(cycles for _, cycles in sorted(found))

    def window(self, iterations: int, limit_s: float) -> Window:
        """Run the loaded input `iterations` times without a pause, as MLPerf Tiny's `infer` does; limit_s: for all of them."""

        def decode(lines: list[str]) -> Window:
            began, ended = protocol.laps(lines, iterations, 0)
            first, last = (self._line.times[lines.index(f"m-lap-us-{us}")] for us in (began, ended))
            return Window((ended - began) % (1 << 32), last - first)  # the microseconds wrap after 71 minutes

        return self._line.ask(("infer", iterations, 0), decode, limit_s, 7)


def _only(lines: list[str]) -> str:
    return _count(lines, 1)[0]


def _count(lines: list[str], count: int) -> list[str]:
    if len(lines) != count:
        raise BadReply(f"expected {count} lines, got {len(lines)}: {lines[:4]!r}")
    return lines


def _same(got: object, want: object) -> None:
    if got != want:
        raise BadReply(f"expected {want!r}, got {got!r}")

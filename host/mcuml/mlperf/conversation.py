"""A conversation in MLPerf Tiny's own commands, with mcuml's firmware or any other that answers them.

With mcuml's the commands carry tags and the replies checks (docs/PROTOCOL.md). With another the input and the scores are asked
for a second time and compared; its timestamps nothing can confirm."""

from __future__ import annotations

from dataclasses import dataclass

from mcuml.errors import LinkError
from mcuml.run import protocol
from mcuml.run.protocol import BadReply, Identity
from mcuml.run.session import Session
from mcuml.run.suites import Suite


@dataclass(frozen=True)
class Infer:
    """What one `infer` told: microseconds of the timestamps at the window's ends (none in energy mode), and the scores."""

    iterations: int
    warmups: int
    laps: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def us(self) -> int:
        """Length of the window; the device's microseconds wrap after 71 minutes."""
        return (self.laps[1] - self.laps[0]) % (1 << 32)


class Conversation(Session):
    """All methods raise LinkError when the device does not answer as it should."""

    def greet(self) -> Identity | None:
        """Who the device is, where mcuml's firmware runs on it; None for another one that speaks MLPerf Tiny's protocol."""
        self._line.begin(0)
        self.wake()
        try:
            self._line.once(("mcuml", "id"), lambda lines: lines)
        except BadReply as error:
            if "Unknown command" in str(error):
                return None
        return self.identify()

    def check(self, suite: Suite, energy: bool) -> None:
        """Raise LinkError unless the device holds the test of that name, in that mode."""
        models = self._line.ask(("profile",), lambda lines: [x for x in lines if x.startswith("m-model-")])
        model = protocol.bracketed(models[0], "m-model-") if models else ""
        again = f"Build and flash it for this test: mcuml flash MODEL --suite {suite.name}" + (" --energy" if energy else "")
        if model != suite.model:
            raise LinkError(f"The device is not one of MLPerf Tiny's test '{suite.name}'.",
                            f"It answers 'profile' with the model '{model}' instead of '{suite.model}'.", again)  # fmt: skip
        stamped = self._line.ask(("timestamp",), lambda lines: lines)
        if energy != (not stamped):
            modes = ("energy", "performance")
            raise LinkError(f"The device is in {modes[energy]} mode.",
                            f"It answers 'timestamp' with {stamped or 'nothing'}.", again)  # fmt: skip

    def load(self, data: bytes) -> None:
        """Load the input as the official runner does: `db load N`, then 31 bytes at a time."""
        self._line.holds = True
        for left in reversed(range(self.limits.attempts)):
            try:
                self._load(data)
                break
            except BadReply as error:  # `db` appends: what was lost or came twice is cured by beginning again
                if not left:
                    raise self._line.astray(("db",), error) from error

    def _load(self, data: bytes) -> None:
        expecting = f"m-[Expecting {len(data)} bytes]"
        self._line.once(("db", "load", len(data)), lambda lines: _same(lines, [expecting]))
        for start in range(0, len(data), protocol.MLPERF_LOAD_BYTES):
            part = data[start : start + protocol.MLPERF_LOAD_BYTES]
            wanted = ["m-load-done"] if start + len(part) == len(data) else []
            self._line.once(("db", part.hex()), lambda lines, wanted=wanted: _same(lines, wanted))  # type: ignore[misc]

    def holds(self, suite: Suite, data: bytes) -> bool:
        """Whether `data` arrived: by mcuml's checksum of the input where the firmware is mcuml's and the input has those bytes
        in it, else by `db print`, for the protocol has no checksum."""
        if self._identity is None or suite.form == "float":
            return self._printed(len(data)) == data
        stored = bytes(byte ^ 0x80 for byte in data) if suite.form == "rgb" else data
        crc, _ = self._line.ask(("mcuml", "crc"), lambda lines: protocol.state(lines[0] if lines else ""))
        return crc == protocol.crc(0, stored)

    def _printed(self, count: int) -> bytes:
        """The first `count` bytes that the device holds, by `db print`."""

        def decode(lines: list[str]) -> bytes:
            digits = "".join(line.removeprefix("m-buffer-").replace("-", "") for line in lines)
            if len(digits) != 2 * count or not all(digit in "0123456789abcdef" for digit in digits):
                raise BadReply(f"expected {count} bytes in lines of m-buffer-, got {lines[:2]!r}")
            return bytes.fromhex(digits)

        return self._line.ask(("db", "print"), decode, lines=count // 8)

    def run(self, iterations: int, warmups: int, limit_s: float, energy: bool = False) -> Infer:
        """`infer N W`; no line of its reply may take longer than `limit_s` seconds."""

        def decode(lines: list[str]) -> Infer:
            laps = protocol.laps(lines, iterations, warmups, energy)
            return Infer(iterations, warmups, laps, tuple(protocol.results(lines[-1])))

        ask = self._line.once if energy else self._line.ask  # a second window would be a second one for the meter too
        try:
            told = ask(("infer", iterations, warmups), decode, limit_s * self.link.patience, 7)
        except BadReply as error:
            raise self._line.astray(("infer", iterations, warmups), error) from error
        if self._identity is None:
            again = self._line.ask(("results",), lambda lines: protocol.results(lines[0] if lines else ""))
            if tuple(again) != told.scores:
                raise self._line.astray(("results",), BadReply(f"'infer' told {told.scores}, 'results' {tuple(again)}"))
        return told


def _same(got: list[str], want: list[str]) -> None:
    if got != want:
        raise BadReply(f"expected {want!r}, got {got!r}")

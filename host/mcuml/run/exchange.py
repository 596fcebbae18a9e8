"""One command and its reply: sent with a tag, believed by its check, repeated where it was damaged, and never waited for
without a limit.

The device's check is a CRC over the command as it understood it, the tag in it, every byte of the reply, and the session's key,
which it forgets when it restarts. So a reply that passes is of this very command, whole, and of a device that still holds what
the session gave it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mcuml.errors import LinkError
from mcuml.link import panic
from mcuml.link.base import Link
from mcuml.run import protocol
from mcuml.run.protocol import BadReply

T = TypeVar("T")
SIMULATORS = ("virtual", "qemu", "renode")  # links without a cable
MAX_LINE = 1 << 16  # bytes of the longest reply line that is believed; more is noise
MAX_LINES = 1 << 14  # of one reply: a run or a layer each takes one


@dataclass(frozen=True)
class Limits:
    """Seconds to wait for a reply (wake: the first answer; quick: a command; run: one inference) and how often to repeat a
    damaged exchange."""

    wake_s: float = 10.0
    reply_s: float = 5.0
    run_s: float = 60.0
    attempts: int = 4

    def times(self, factor: float) -> Limits:
        """The same with all waits `factor` times as long."""
        return replace(self, wake_s=self.wake_s * factor, reply_s=self.reply_s * factor, run_s=self.run_s * factor)


class Silent(Exception):
    """No complete reply in time: what was heard, and the error to raise if it stays so."""

    def __init__(self, heard: list[str], link_error: LinkError):
        super().__init__(str(link_error))
        self.heard, self.link_error = heard, link_error


class NoChecks(LinkError):
    """The device answers, but knows no tags: other firmware than mcuml's, or an old one."""


class Exchange:
    """Commands over `link`. Until begin() they go out without tags, and replies are believed by their form alone. holds: whether
    the device holds anything of the session that a restart would lose; boots: how many greetings after power-up were heard;
    times: when each line of the last reply came, by the link's clock. elf: of the firmware, for its faults."""

    def __init__(self, link: Link, limits: Limits, elf: Path | None = None):
        self.link, self.limits, self._elf = link, limits, elf
        self.holds = False
        self.boots = 0
        self.times: list[float] = []
        self._key, self._keyed = 0, False  # 0: no checks; and whether the device knows the key
        self._tag = 0
        self._pending = b""

    def begin(self, key: int) -> None:
        """A session with this key (32 bits, not 0) begins; the device is told before the next command. 0: one without checks."""
        self._key, self._keyed, self.holds = key, False, False

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, words: Sequence[object], decode: Callable[[list[str]], T], line_s: float = 0, lines: int = 1) -> T:
        """What `decode` makes of the reply's lines, of which there are about `lines` and each may take `line_s` seconds (0: a
        quick command). Repeated up to `attempts` times, for commands that may be; raises LinkError after that."""
        for left in reversed(range(self.limits.attempts)):
            try:
                return self.once(words, decode, line_s, lines)
            except BadReply as error:
                if not left:
                    raise self.astray(words, error) from error
        raise AssertionError("attempts is at least 1")

    def once(self, words: Sequence[object], decode: Callable[[list[str]], T], line_s: float = 0, lines: int = 1) -> T:
        """As ask(), but not repeated, for commands of which a repetition would do something else: a reply that cannot be believed
        raises BadReply, after the device has been brought back to order. Raises LinkError where it cannot be."""
        try:
            if self._key and not self._keyed:
                self._exchange(("mcuml", "key", f"{self._key:08x}"), self.limits.reply_s, 1)
                self._keyed = True
            return decode(self._exchange(words, line_s or self.limits.reply_s, lines))
        except Silent as error:
            if not self._align(line_s, 2 if error.heard else 1):
                raise error.link_error from error
            raise BadReply(error.link_error.what) from error
        except BadReply as error:
            if not self._align():
                raise self.astray(words, error) from error
            raise

    def _exchange(self, words: Sequence[object], line_s: float, lines: int) -> list[str]:
        """The lines of a reply that is believed."""
        if not self._key:
            self.link.write(protocol.command(*words))
            return _granted(self.reply(_shown(words), line_s, lines))
        request = self._tagged(*words)
        self.link.write(protocol.command(request))
        heard = self.reply(_shown(words), line_s, lines)
        body, check = protocol.parted(heard)
        if check is not None and check == protocol.check(request, body, 0) and self._keyed:
            self._keyed = False
            if self.holds:
                raise self.restarted("It no longer knew this session.")
            raise BadReply("the device has restarted")
        if check != protocol.check(request, body, self._key):
            raise BadReply(f"its check does not agree with what came: {' | '.join(heard[-3:])[-300:]!r}")
        return _granted(body)

    def _tagged(self, *words: object) -> str:
        self._tag += 1
        return " ".join(str(w) for w in (*words, f"#{self._tag:x}"))

    # -- hearing -------------------------------------------------------------------------------------------------------

    def reply(self, shown: str, line_s: float, lines: int = 1) -> list[str]:
        """The lines before m-ready. Each may take `line_s`, the whole (lines + 2) times that. Raises Silent."""
        heard = self.until(lambda line: line == protocol.READY, line_s, line_s * (lines + 2))
        if not heard or heard[-1] != protocol.READY:
            raise Silent(heard, self.silent(shown, line_s, heard))
        return heard[:-1]

    def until(self, wanted: Callable[[str], bool], line_s: float, whole_s: float) -> list[str]:
        """Lines up to the first that is wanted, or until none of the protocol's came for `line_s`, or for `whole_s` in all: a
        device may talk without end. A fault report, or a greeting that shows that the session is lost, ends it at once."""
        lines: list[str] = []
        self.times = []
        now = self.link.clock.now
        end = now() + whole_s
        deadline = min(end, now() + line_s)
        while True:
            while b"\n" in self._pending:
                raw, self._pending = self._pending.split(b"\n", 1)
                line = raw.decode("ascii", "replace").rstrip("\r")
                lines.append(line)
                self.times.append(now())
                if line.startswith(panic.MARK):
                    raise panic.told(line, self.link.name, self._elf)
                self._greeted(line.count(protocol.BOOT))  # also in the midst of a line that the restart cut
                if wanted(line):
                    return lines
                if line.startswith(("m-", "e-")):
                    last = line.startswith(protocol.CHECK)  # only m-ready follows
                    deadline = min(end, now() + (min(line_s, self.limits.reply_s) if last else line_s))
            left = deadline - now()
            if left <= 0 or len(self._pending) > MAX_LINE or len(lines) > MAX_LINES:
                if self._pending:
                    lines.append(self._pending[:MAX_LINE].decode("ascii", "replace"))
                    self._pending = b""
                return lines
            self._pending += self.link.read(left)

    def flush(self) -> None:
        """Forget what the device has said so far; bounded, for a device that never stops talking."""
        dropped, self._pending = self._pending, b""
        deadline = self.link.clock.now() + 0.5
        while self.link.clock.now() < deadline and (came := self.link.read(0.02)):
            dropped = dropped[-MAX_LINE:] + came
        self._greeted(dropped.count(protocol.BOOT.encode("ascii")))

    def _greeted(self, times: int) -> None:
        self.boots += times
        if times and self.holds:
            raise self.restarted("It greeted as after power-up.")

    def _align(self, line_s: float = 0, tries: int = 2) -> bool:
        """End whatever half command the device may hold and drop all that it still has to say: True when it has answered an
        empty command, with checks that of just this one. Raises NoChecks where it knows none."""
        self.flush()
        seconds = min(self.limits.reply_s, line_s + 1.0) if line_s else self.limits.reply_s
        for _ in range(tries):
            if not self._key:
                self.link.write(protocol.command())
                lines = self.until(lambda line: line == protocol.READY, min(1.0, seconds), seconds)
                self.flush()
                if lines and lines[-1] == protocol.READY:
                    return True
                continue
            request = self._tagged()
            wanted = f"{protocol.CHECK}[{protocol.check(request, [], 0):08x}]"  # without the key, which it may not know
            unknown = f"e-[Unknown command: {request}]"
            self.link.write(protocol.command() + protocol.command(request))
            lines = self.until(lambda line, ends=(wanted, unknown): line in ends, seconds, 2 * seconds)  # type: ignore[misc]
            if lines and lines[-1] in (wanted, unknown):
                self.until(lambda line: line == protocol.READY, min(1.0, seconds), seconds)
                if lines[-1] == unknown:
                    raise NoChecks(
                        f"The {self.link.name} device does not check its replies.", "Its firmware is not mcuml's, or old."
                    )
                return True
        return False

    # -- telling -------------------------------------------------------------------------------------------------------

    def silent(self, shown: str, seconds: float, heard: Sequence[str]) -> LinkError:
        """The error for a device that said only `heard` in so many seconds."""
        if known := self.link.explain():
            return known
        came = f"It sent instead: {' | '.join(heard[-3:])[-300:]!r}." if heard else "Nothing came."
        return LinkError(
            f"The {self.link.name} device did not answer '{shown}' within {seconds:g} s.",
            "\n".join(part for part in (came, self.link.describe()) if part),
            "" if self.link.name in SIMULATORS else "Check cable, port and baud rate; press the board's reset button.",
        )

    def astray(self, words: Sequence[object], last: BadReply) -> LinkError:
        """The error for a device whose replies cannot be believed."""
        return self.link.explain() or LinkError(
            f"The {self.link.name} device did not answer '{_shown(words)}' as it should, {self.limits.attempts} times.",
            f"Last: {last}",
            ""
            if self.link.name in SIMULATORS
            else "Check cable, baud rate and that nothing else reads the port; then reset the board.",
        )

    def restarted(self, evidence: str, times: int = 1) -> LinkError:
        """The error for a device that has restarted `times` times."""
        return self.link.explain() or LinkError(
            f"The {self.link.name} device restarted in the middle of its work; nothing that it said counts."
            if times == 1
            else f"The {self.link.name} device restarts again and again: {times} times.",
            evidence,
            "Look at its supply and its cable, and begin again.",
        )


def _granted(lines: list[str]) -> list[str]:
    refusals = [line for line in lines if line.startswith("e-[")]
    if refusals:
        raise BadReply(f"the device says {refusals[0]}")
    return lines


def _shown(words: Sequence[object]) -> str:
    text = " ".join(str(w) for w in words)
    return text if len(text) <= 40 else text[:37] + "..."

"""One conversation with a device, and what becomes of it with each fault at each byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mcuml.errors import LinkError
from mcuml.link.base import Link
from mcuml.link.fault import KINDS, SIDES, Fault, FaultLink
from mcuml.mlperf.conversation import Conversation

T = TypeVar("T")
DELAYS = (0.3, 3.0, 8.0)  # seconds: within a limit, about as long as a reply may take, longer
INFER_S = 30.0  # as the official runner waits
LATEST_S = 400.0  # of the device's clock; then a conversation has hung


class Window(int):
    """Microseconds between two readings of a clock that tells whole ones: by when they begin they may be one more or less."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and abs(int(self) - int(other)) <= 1

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Outcome:
    """What a fault led to: "repaired" (all figures are the right ones), "refused" (LinkError), "WRONG", "HUNG" or "ESCAPED";
    the device's seconds; and the error's words or the wrong figures."""

    fault: Fault
    came: str
    seconds: float
    text: str = ""


def converse(link: Link, sha256: str, inputs: tuple[bytes, ...]) -> tuple[object, ...]:
    """Every figure that a whole session gives: identity, cycles, outputs, memory, layers, MLPerf's window and scores. The second
    half runs on other inputs, so that an old answer is not a right one."""
    session = Conversation(link, key=1)
    identity = session.identify(sha256)
    session.load_input(*inputs)
    runs = session.infer(2, 1).runs
    outputs = session.output()
    memory, layers = session.memory(), session.layers()
    others = tuple(bytes(reversed(data)) for data in inputs)
    session.load(b"".join(others))
    told = session.run(2, 1, INFER_S)
    return identity, runs, outputs, memory, layers, Window(told.us), told.scores, session.output()


def converse_plainly(link: Link, inputs: tuple[bytes, ...]) -> tuple[object, ...]:
    """(scores, window) of MLPerf Tiny's commands alone, as with a device that is not mcuml's: nothing of it has a check."""
    session = Conversation(link, key=1)
    session.wake()
    data = b"".join(inputs)
    session.load(data)
    if not session.holds(None, data):  # type: ignore[arg-type]  # asked of a device that is not mcuml's
        raise LinkError("The device holds other bytes than those of the input.")  # as mlperf/procedure.py does
    told = session.run(2, 1, INFER_S)
    return told.scores, told.us


def length(start: Callable[[], Link], talk: Callable[[Link], T]) -> tuple[T, int, int]:
    """What `talk` gives on a link without a fault, and how many bytes it sends and receives."""
    with FaultLink(start(), Fault("drop", 1 << 40)) as link:
        right = talk(link)
        return right, link.passed["sent"], link.passed["received"]


def walk(start: Callable[[], Link], talk: Callable[[Link], object], step: int = 1) -> Iterator[Outcome]:
    """The outcome of every fault at every `step`-th byte."""
    right, sent, received = length(start, talk)
    for fault in faults(sent, received, step):
        yield meet(fault, start, talk, right)


def faults(sent: int, received: int, step: int = 1) -> Iterator[Fault]:
    """Every fault at every `step`-th byte of a conversation of so many bytes; the steps of the kinds are shifted."""
    shift = 0
    for side, count in zip(SIDES, (sent, received), strict=True):
        for kind in KINDS:
            variants: dict[str, list[dict[str, float]]] = {
                "flip": [{"bit": b} for b in range(8)],
                "delay": [{"seconds": s} for s in DELAYS],
            }
            for more in variants.get(kind, [{}]):
                shift += 7
                for at in range(shift % step, count, step):
                    yield Fault(kind, at, side, **more)  # type: ignore[arg-type]


def meet(fault: Fault, start: Callable[[], Link], talk: Callable[[Link], object], right: object) -> Outcome:
    """What becomes of `talk` with `fault` on the link that `start` opens; fault-free it gives `right`."""
    with FaultLink(start(), fault) as link:
        began = link.clock.now()
        try:
            figures = talk(link)
            came, text = ("repaired", "") if figures == right else ("WRONG", f"{figures!r} instead of {right!r}")
        except LinkError as error:
            came, text = "refused", str(error)
        except Exception as error:  # whatever else it is, the walk goes on and tells it
            came, text = "ESCAPED", f"{type(error).__name__}: {error}"
        seconds = link.clock.now() - began
        if not link.struck:
            came, text = "ESCAPED", "the fault did not happen"
    return Outcome(fault, "HUNG" if seconds > LATEST_S else came, seconds, text)

"""The official procedure on one device: windows of at least ten seconds for performance and energy, the whole set for accuracy.

Source: mlcommons/tiny at 1afd2c9, benchmark/runner. One thing is done otherwise: there the length of a run is judged by the
host's clock over all five windows; here each window's, by the device's timestamps, as the rules ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mcuml.errors import LinkError
from mcuml.instruments.base import Instrument, Recording
from mcuml.mlperf.conversation import Conversation, Infer
from mcuml.mlperf.inputs import Sample
from mcuml.mlperf.scores import Outcome
from mcuml.run.suites import Suite

WINDOW_S = 10.0
AIM_S = 10.2  # what is aimed at when a window was too short: a later one may run a little faster
RAISES = 4  # times that N is raised before the device is said to have no steady speed
FIRST_S = 600.0  # limit of the first window, whose length nobody knows
SLACK, LEAST_S = 3.0, 30.0  # limit of the others: times what is expected, and never less
METER_S = 0.001  # the finest that a meter's window can be told
COUNT_LIMIT = 10_000_000  # inferences of a window; a device that needs more has a clock that stands still

Say = Callable[[str], None]  # one line of the log
Progress = Callable[..., None]  # progress(stage, done=None, total=None)


@dataclass(frozen=True)
class Window:
    """One window: what was loaded, what the device told, and in energy mode what the meter recorded."""

    sample: Sample
    infer: Infer
    seconds: float
    recording: Recording | None = None
    microjoules: float | None = None  # of the whole window

    @property
    def throughput(self) -> float:
        """Inferences a second."""
        return self.infer.iterations / self.seconds

    @property
    def per_inference_uj(self) -> float:
        return (self.microjoules or 0.0) / self.infer.iterations


def load(device: Conversation, suite: Suite, sample: Sample, say: Say, verify: bool) -> None:
    """Send one input. verify: ask what arrived, where the line could damage it; the protocol itself would not notice."""
    say(f"Loading file {sample.file} segment {sample.segment}")
    device.load(sample.data)
    if verify and not device.holds(suite, sample.data):
        raise LinkError(
            f"The device holds other bytes than those of {sample.file}.", "It was asked after the last one had been sent.",
            "Check the cable and the baud rate, and begin again.",
        )  # fmt: skip
    say("Load complete.")


def _checked(infer: Infer, suite: Suite) -> Infer:
    """`infer`, whose scores must be as many as the test has."""
    wanted = 1 if suite.form == "float" else suite.classes
    if len(infer.scores) != wanted:
        raise LinkError(
            f"The device answers with {len(infer.scores)} scores; the test '{suite.name}' has {wanted}.",
            f"They are {list(infer.scores)[:12]}.", "Look whether its firmware was built for this test.",
        )  # fmt: skip
    return infer


def windows(
    device: Conversation, suite: Suite, samples: Sequence[Sample], meter: Instrument | None, verify: bool, say: Say,
    progress: Progress,
) -> list[Window]:  # fmt: skip
    """One window of at least WINDOW_S for each sample; with `meter` those of an energy run. The count of inferences begins at
    the official script's and is raised until a window is long enough. Raises LinkError."""
    count, warmups = suite.energy if meter else suite.performance
    each: float | None = None
    found = []
    for n, sample in enumerate(samples):
        progress("windows of ten seconds", n, len(samples))
        load(device, suite, sample, say, verify)
        for _ in range(RAISES + 1):
            window = _one(device, suite, sample, count, warmups, meter, each)
            each = max(window.seconds, METER_S if meter else 0.0) / count
            if window.seconds >= WINDOW_S:
                break
            raised = math.ceil(AIM_S / each) if each else COUNT_LIMIT + 1
            if raised > COUNT_LIMIT:
                raise LinkError(
                    f"The device's clock does not advance: {count} inferences took {window.seconds:g} s by its timestamps.",
                    "", "Take a simulator that counts cycles for this core, or a board.",
                )  # fmt: skip
            say(f"{count} inferences take {window.seconds:.3f} s; taking {max(raised, count + 1)}.")
            count = max(raised, count + 1)
        else:
            raise LinkError(
                f"No count of inferences gives a window of {WINDOW_S:g} s: {count} take {window.seconds:.3f} s.",
                "The device's speed changes from window to window.", "Switch off frequency scaling and other tasks.",
            )  # fmt: skip
        _tell(window, n + 1, say)
        found.append(window)
    return found


def _one(
    device: Conversation, suite: Suite, sample: Sample, count: int, warmups: int, meter: Instrument | None, each: float | None
) -> Window:
    limit = FIRST_S if each is None else max(LEAST_S, SLACK * each * (count + warmups))
    if meter is None:
        infer = _checked(device.run(count, warmups, limit), suite)
        return Window(sample, infer, infer.us / 1e6)
    meter.start()
    infer = _checked(device.run(count, warmups, limit, energy=True), suite)
    recording = meter.stop()
    microjoules, seconds = recording.window()
    return Window(sample, infer, seconds, recording, microjoules)


def _tell(window: Window, number: int, say: Say) -> None:
    say(f"Performance results for window {number}:")
    say(f"  # Inferences : {window.infer.iterations:>13}")
    say(f"  Runtime      : {window.seconds:>10.3f} sec.")
    say(f"  Throughput   : {window.throughput:>10.3f} inf./sec.")
    if window.microjoules is not None:
        say(f"  Energy/Inf   : {window.per_inference_uj:>10.3f} uJ/inf")
    say(f"  m-results    : {list(window.infer.scores)}")


def accuracy(
    device: Conversation, suite: Suite, samples: Iterable[Sample], verify: bool, say: Say, progress: Progress
) -> tuple[list[Outcome], list[Window]]:
    """One inference of each sample, without warm-up; what each file came to, and every single answer. Raises LinkError."""
    answers: list[Window] = []
    for n, sample in enumerate(samples):
        progress("samples of the data set", n)
        load(device, suite, sample, say, verify)
        infer = _checked(device.run(1, 0, FIRST_S), suite)
        say(f"  m-results    : {list(infer.scores)}")
        answers.append(Window(sample, infer, infer.us / 1e6))
    found: dict[str, Outcome] = {}
    for answer in answers:
        file, label = answer.sample.file, answer.sample.label
        before = found[file].scores if file in found else ()
        found[file] = Outcome(file, label or 0, (*before, answer.infer.scores))
    return list(found.values()), answers

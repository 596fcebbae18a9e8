"""ST's X-NUCLEO-LPM01A (PowerShield): supplies the device and sends the energy of every millisecond as text.

Commands and answers: the help text of its firmware (ST's UM2269) and the official runner's power_manager_lpm.py. No instrument
was here to try it with. Whether an event's line ends in "ris" (as the runner expects) or "fal" (as the command asks for) could
not be checked: both are taken."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from mcuml.errors import LinkError
from mcuml.instruments.base import Instrument, Recording
from mcuml.link.serial.access import refused
from mcuml.link.serial.holders import held
from mcuml.link.serial.ports import named

BAUD = 3_686_400
RATE_HZ = 1000
ANSWER_S = 5.0  # for the acknowledgement of a command, and for the end of a recording
PROMPT = "PowerShield > "
END = "Acquisition completed"
# Take control, record without end and without delay, note falling edges on D7, send energy as decimal text every millisecond.
SETUP = (
    "htc", "pwr off", "acqtime inf", "trigdelay 0", "trigsrc sw", "eventsrc d7 fal", "output energy", "format ascii_dec",
    "freq 1k",
)  # fmt: skip
VOLTS = (1.8, 3.3)
_SAMPLE = re.compile(r"(\d{4})([+-]\d{2})")
_STAMP = re.compile(r"TimeStamp: *(\d+)s (\d+)ms")
_EVENT = re.compile(r"event (\d+) (?:ris|fal)")


class Lpm01a(Instrument):
    """The instrument on the serial port `device`, which supplies `volts` to the device under test from now until close().
    Raises LinkError: the port cannot be opened, the instrument does not answer or refuses a command."""

    name = "ST X-NUCLEO-LPM01A"

    def __init__(self, device: str, volts: float = VOLTS[1]):
        if not VOLTS[0] <= volts <= VOLTS[1]:
            raise LinkError(f"The LPM01A cannot supply {volts:g} V.", f"It gives {VOLTS[0]} to {VOLTS[1]} V.", "Take --volts.")
        self.volts, self._port = volts, named(device)
        self._text = bytearray()
        self._reader: threading.Thread | None = None
        self._ended, self._failed = threading.Event(), ""
        self._closed = False
        self._stack = ExitStack()
        self._stack.enter_context(held(self._port.device))
        try:
            self._line = self._stack.enter_context(self._opened())
            for command in (*SETUP, f"volt {round(volts * 1000)}m", "pwr on nostatus"):
                self._command(command)
        except BaseException:
            self._stack.close()
            raise

    def start(self) -> None:
        self._ended.clear()
        self._command("start")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> Recording:
        reader, self._reader = self._reader, None
        self._send("stop")
        deadline = time.monotonic() + ANSWER_S
        while END.encode() not in self._text and not self._failed and time.monotonic() < deadline:
            time.sleep(0.01)
        self._ended.set()
        if reader:
            reader.join(ANSWER_S)
        if END.encode() not in self._text:
            raise self._mute("stop", self._failed or self._last())
        return replace(parse(self._text.decode("ascii", "replace")), volts=self.volts)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(LinkError):
            if self._reader:
                self.stop()
        for command in ("pwr off", "hrc"):
            with contextlib.suppress(LinkError):
                self._command(command)
        self._stack.close()

    def _opened(self) -> Any:
        import serial

        try:
            return serial.Serial(self._port.device, BAUD, timeout=0.1, write_timeout=ANSWER_S)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise refused(self._port, error) from error

    def _read(self) -> None:
        """Runs beside the measurement: nobody else has time to take a sample a millisecond from the port."""
        while not self._ended.is_set():
            try:
                self._text += self._line.read(max(1, self._line.in_waiting))
            except Exception as error:  # besides pyserial's own: what a port raises that is unplugged while it is read
                self._failed = f"{type(error).__name__}: {error}"
                return

    def _send(self, command: str) -> None:
        try:
            self._line.write(f"{command}\r\n".encode("ascii"))
        except Exception as error:
            raise self._mute(command, str(error)) from error

    def _command(self, command: str) -> None:
        """Send `command` and wait until it is acknowledged; what came after that line is kept: the first samples, perhaps."""
        self._text.clear()
        self._send(command)
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            try:
                self._text += self._line.read(max(1, self._line.in_waiting))
            except Exception as error:
                raise self._mute(command, str(error)) from error
            lines = bytes(self._text).split(b"\n")
            for n, line in enumerate(lines[:-1]):
                told = line.decode("ascii", "replace").replace(PROMPT, "").strip()
                if told.startswith("ack") and command in told:
                    self._text = bytearray(b"\n".join(lines[n + 1 :]))
                    return
                if told.startswith("error"):
                    time.sleep(0.1)  # a line with the reason follows
                    self._text += self._line.read(self._line.in_waiting)
                    raise LinkError(
                        f"The LPM01A on {self._port.device} refuses '{command}'.", self._last(),
                        "Switch it off and on, and update its firmware (ST's STM32-LPM01-XN).",
                    )  # fmt: skip
        raise self._mute(command, self._last())

    def _last(self) -> str:
        lines = [line.strip() for line in self._text.decode("ascii", "replace").splitlines() if line.strip()]
        return f"Its last words: {' | '.join(lines[-3:])[-200:]!r}." if lines else "Nothing came."

    def _mute(self, command: str, evidence: str) -> LinkError:
        return LinkError(
            f"The LPM01A on {self._port.device} does not answer '{command}' within {ANSWER_S:g} s.", evidence,
            "Look whether that is its port (mcuml ports), and connect it by its USB socket for data.",
        )  # fmt: skip


def parse(text: str) -> Recording:
    """The recording in what the instrument sent between `start` and its end: samples like 6409-07 (joules, 6409e-7), the time
    about every second, events. Samples that the times say are missing, and damaged ones, become NaN."""
    joules: list[float] = []
    edges: list[int] = []
    first, before = 0, None
    for raw in text.splitlines():
        line = raw.replace(PROMPT, "").strip()
        if stamp := _STAMP.match(line):
            now = int(stamp[1]) * RATE_HZ + int(stamp[2])
            if before is not None:
                joules += [np.nan] * max(0, now - before[0] - (len(joules) - before[1]))
            before = (now, len(joules))
        elif event := _EVENT.match(line):
            first = first if edges else int(event[1])
            edges.append(len(joules))
        elif line[:1].isdigit():
            found = list(_SAMPLE.finditer(line))
            joules += [float(f"{s[1]}e{s[2]}") for s in found] if "".join(s[0] for s in found) == line else [np.nan]
    return Recording(np.array(joules), tuple(edges), RATE_HZ, first)

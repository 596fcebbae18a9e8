"""The link to a board on a serial port: opened for us alone, reset as the board's file says, never waiting without a limit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mcuml.board import Board
from mcuml.errors import LinkError
from mcuml.link.base import Kind, Link
from mcuml.link.serial import diagnosis
from mcuml.link.serial.access import refused
from mcuml.link.serial.holders import held, in_use, users
from mcuml.link.serial.ports import Port, named, wait_for, wait_until_gone

WRITE_S = 5.0  # a board that takes no byte for so long is gone
PULSE_S = 0.1  # how long a reset line is held: what esptool takes
VANISH_S = 2.0  # until a USB device that restarts is gone from the list
TOUCH_S = 0.4  # after a 1200-baud touch: what PlatformIO and the Arduino IDE leave SAM-BA
NAMED = b"m-name-dut-["
SOFT_RESET = b"%mcuml reset%"


class Vanished(LinkError):
    """The port went away while it was open; it may come back."""


class SerialLink(Link):
    """The board on the port `device`. Raises LinkError, each with its own remedy: no such port, no permission, in use by whom.

    locked=False: the caller holds the port's lock (holders.held) already."""

    name = "serial"
    kind: Kind = "measured"

    def __init__(self, device: str, board: Board, locked: bool = True):
        self.board, self.port = board, named(device)
        self._heard = bytearray()
        self._answered = False
        self._stack = ExitStack()
        if locked:
            self._stack.enter_context(held(self.port.device))
        try:
            self._line = self._opened()
        except BaseException:
            self._stack.close()
            raise

    def write(self, data: bytes) -> None:
        with self._watched("written to"):
            self._line.write(data)

    def read(self, timeout_s: float) -> bytes:
        with self._watched("read from"):
            self._line.timeout = timeout_s
            data = self._line.read(1)
            if data:
                data += self._line.read(self._line.in_waiting)
        self._heard += data
        del self._heard[: -diagnosis.KEPT_BYTES]
        if not self._answered and (at := self._heard.find(NAMED)) >= 0:
            self._answered = True  # what was said before, a boot banner perhaps, is no longer of interest
            del self._heard[:at]
        return bytes(data)

    def reset(self) -> None:
        """Restart the firmware: by the line that the board's file names, else by asking the firmware. Raises LinkError where the
        port does not come back."""
        how = RESETS.get(self.board.serial.reset)
        with self._watched("reset over"):
            if how:
                how(self._line)
            else:
                self._line.write(SOFT_RESET)
                self._line.flush()
        if not how and self.board.serial.reappears and wait_until_gone(self.port, VANISH_S):
            self._line.close()
            self.port = wait_for(self.port, self.board)
            self._line = self._opened()
        self._heard.clear()
        self._answered = False

    def close(self) -> None:
        with contextlib.suppress(Exception):  # a port that vanished cannot even be closed
            self._line.close()
        self._stack.close()

    def describe(self) -> str:
        usb = f" ({self.port.usb_id})" if self.port.usb else ""
        return f"It is on {self.port.device}{usb} at {self.board.serial.baud} baud."

    def explain(self) -> LinkError | None:
        """Why the board does not answer, from all that it has said since the port was opened or the board reset."""
        return diagnosis.explain(bytes(self._heard), self._answered, self.port.device, self.board)

    def _opened(self) -> Any:
        import serial

        if others := users(self.port.device):
            raise in_use(self.port.device, others)
        line = serial.Serial()
        line.port, line.baudrate, line.write_timeout = self.port.device, self.board.serial.baud, WRITE_S
        # Both lines of an auto-reset circuit at rest; a USB device on the other hand takes DTR for "somebody listens".
        line.dtr = line.rts = self.board.serial.reset != "dtr-rts"
        # On Windows a port is always ours alone, and pyserial does not let that be asked for.
        with contextlib.suppress(ValueError):
            line.exclusive = True
        try:
            line.open()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise refused(self.port, error) from error
        return line

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        import serial

        try:
            yield
        except serial.SerialTimeoutException as error:
            raise LinkError(
                f"The {self.board.title} on {self.port.device} takes no bytes.",
                f"None went out for {WRITE_S:g} s.",
                "Press its reset button; unplug it and plug it in again if that does not help.",
            ) from error
        except Exception as error:  # besides its own: termios.error, and TypeError on a port that is closed under it
            raise vanished(self.port, self.board, what, str(error)) from error


def vanished(port: Port, board: Board, what: str, evidence: str) -> Vanished:
    """The error for a port that is no longer there while it was `what`."""
    return Vanished(
        f"The port {port.device} vanished while it was {what}: the {board.title} was unplugged, or its firmware restarted.",
        evidence,
        "Look at cable and plug; then begin again. If it happens each time, the firmware crashes: mcuml monitor shows its words.",
    )


def _pulse_dtr(line: Any) -> None:
    line.dtr = False
    time.sleep(PULSE_S)
    line.dtr = True


def _pulse_enable(line: Any) -> None:
    """RTS pulls EN low through the auto-reset circuit, while DTR leaves the boot pin alone."""
    line.dtr = False
    line.rts = True
    time.sleep(PULSE_S)
    line.rts = False


def _break(line: Any) -> None:
    """DAPLink restarts its target on a break, as its users guide says; of ST-LINK that was not checked."""
    line.send_break(duration=0.25)


RESETS: dict[str, Callable[[Any], None]] = {"dtr": _pulse_dtr, "dtr-rts": _pulse_enable, "probe": _break}


def touch(device: str, board: Board) -> None:
    """Open the port at 1200 baud and close it: firmware with Arduino's USB stack then starts its bootloader. Raises LinkError."""
    import serial

    port = named(device)
    try:
        line = serial.Serial(port.device, 1200)
        line.dtr = False
        line.close()
    except OSError as error:
        raise refused(port, error) from error
    time.sleep(TOUCH_S)
    wait_until_gone(port, VANISH_S)

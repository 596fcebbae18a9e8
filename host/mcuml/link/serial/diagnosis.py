"""What a board that does not answer has said instead, and what that means: pure text in, one error out.

The messages of ESP32 chips are those of Espressif's documentation ("Fatal Errors", "Boot Mode Selection"); none was provoked on a
chip here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcuml.board import Board
from mcuml.errors import LinkError

KEPT_BYTES = 1 << 14  # of what was heard; a boot banner is a few hundred
BOOTS = 3  # greetings since the port was opened that make a loop: one may come from opening it, one from a reset
GARBAGE_BYTES = 16  # fewer may be a glitch on the line
_READABLE = 0.7  # share of printable bytes below which nothing was understood
_GREETING, _ROM = re.compile(rb"m-init-done"), re.compile(rb"rst:0x[0-9a-f]+ \(")  # our firmware's; that of ESP32's ROM
_OURS = re.compile(rb"^(m-|e-\[)", re.MULTILINE)


@dataclass(frozen=True)
class Sign:
    """What a chip or a framework prints when that happens. what: a sentence with {board} and {port}; try_next: what helps."""

    pattern: str
    what: str
    try_next: str


SIGNS = (
    Sign(
        r"[Bb]rownout detector was triggered|RTCWDT_BROWN_OUT_RESET|\(BROWNOUT_RST\)|\(RTCWDT_BROWN_OUT",
        "The {board} on {port} restarts because its supply voltage breaks down (brown-out).",
        "Take a shorter or better USB cable, a socket of the computer instead of a hub, and unplug what the board powers.",
    ),
    Sign(
        r"Interrupt wdt timeout|Task watchdog got triggered|\((TG\d+WDT|RTCWDT|RTC_?WDT|SUPER_WDT|INT_WDT)[A-Z_]*\)",
        "A watchdog stopped the firmware on the {board} on {port}: one inference takes longer than it allows.",
        "Lengthen it or switch it off: CONFIG_ESP_TASK_WDT_EN=n in sdkconfig; or bench a smaller model.",
    ),
    Sign(
        r"Guru Meditation Error|abort\(\) was called|MbedOS (Error|Fault) |stack overflow|HardFault",
        "The firmware on the {board} on {port} crashed.",
        "Flash it again: mcuml flash MODEL --board {name}; if it crashes again, please report it with the model and these lines.",
    ),
    Sign(
        r"waiting for download|DOWNLOAD\(|DOWNLOAD_BOOT",
        "The {board} on {port} waits in its ROM for an upload instead of running the firmware.",
        "Release the BOOT button and press reset (EN); unplug what pulls the boot pin low.",
    ),
    Sign(
        r"invalid header: 0x|flash read err|No bootable app|csum err",
        "The {board} on {port} has no valid firmware in its flash.",
        "Flash it: mcuml flash MODEL --board {name} --port {port}",
    ),
)


def explain(heard: bytes, answered: bool, device: str, board: Board) -> LinkError | None:
    """The error that `heard` stands for: all bytes since the port was opened or the board reset or, where it has `answered` to
    its name, since then. None where they tell nothing."""
    text = heard.decode("ascii", "replace")
    names = {"board": board.title, "name": board.name, "port": device}
    for sign in SIGNS:
        if found := re.search(sign.pattern, text):
            return LinkError(
                sign.what.format(**names), f"It said: {_around(text, found.start())!r}.", sign.try_next.format(**names)
            )
    boots = max(len(_GREETING.findall(heard)), len(_ROM.findall(heard)))
    if boots >= BOOTS:
        return LinkError(
            f"The {board.title} on {device} restarts again and again: {boots} times while we listened.",
            f"Its last words: {_last(text)!r}.",
            f"Look for a short circuit or a weak supply, then flash it again: mcuml flash MODEL --board {board.name}",
        )
    if answered and boots:
        return LinkError(
            f"The {board.title} on {device} restarted in the middle of its work; nothing that it said counts.",
            f"Its last words: {_last(text)!r}.",
            "Look at its supply and its cable, and begin again.",
        )
    if answered:
        return None
    if not heard:
        return LinkError(
            f"The {board.title} on {device} is silent.",
            f"Nothing came at {board.serial.baud} baud.",
            f"{_wake(board)} If it holds other firmware, flash it: mcuml flash MODEL --board {board.name} --port {device}",
        )
    if len(heard) >= GARBAGE_BYTES and _readable(heard) < _READABLE:
        return LinkError(
            f"What comes from {device} is garbage: {len(heard)} bytes, of which {100 * _readable(heard):.0f} % can be read.",
            f"It was opened at {board.serial.baud} baud. It began with {heard[:24].hex(' ')}.",
            "The firmware speaks at another rate, most likely: flash it again, or give its baud in the board's file; "
            "if not, look at the ground wire and for a second program on the port.",
        )
    if not _OURS.search(heard):
        return LinkError(
            f"The {board.title} on {device} runs other firmware than mcuml's.",
            f"It said: {_last(text)!r}.",
            f"Flash it: mcuml flash MODEL --board {board.name} --port {device}",
        )
    return None


def _wake(board: Board) -> str:
    if board.serial.reset == "touch-1200":
        return "Press its reset button once; twice within a second opens the bootloader."
    return "Press its reset button, and look at the cable."


def _readable(heard: bytes) -> float:
    return sum(32 <= byte < 127 or byte in b"\r\n\t\0" for byte in heard) / len(heard)


def _around(text: str, at: int) -> str:
    begin = text.rfind("\n", 0, at) + 1
    return text[begin : begin + 200].splitlines()[0].strip()


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-200:]

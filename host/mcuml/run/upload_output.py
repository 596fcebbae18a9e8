"""What the upload tools say when they fail, and what helps: text in, one error out.

The phrases are those of esptool, bossac, picotool, dfu-util, OpenOCD, st-flash and teensy_loader_cli, as their sources and issue
trackers have them; none was provoked on a board here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcuml.board import Board
from mcuml.errors import LinkError

_LINES = 6


@dataclass(frozen=True)
class Sign:
    """A phrase of an upload tool. why: what it means for {board} on {port}; try_next: what helps; silent: the tool found no
    bootloader, so that asking for one by a 1200-baud touch is worth a try."""

    pattern: str
    why: str
    try_next: str
    silent: bool = False


SIGNS = (
    Sign(
        r"Permission denied|Access is denied|LIBUSB_ERROR_ACCESS|PermissionError",
        "the system does not let us open {port} or the probe's USB device.",
        "mcuml ports tells what to type for a port; for probes and mass-storage bootloaders install PlatformIO's udev rules: "
        "https://docs.platformio.org/en/latest/core/installation/udev-rules.html",
    ),
    Sign(
        r"[Dd]evice or resource busy|Resource temporarily unavailable|port is busy|could not exclusively lock",
        "another program has {port} open.",
        "Close serial monitors and IDEs; mcuml ports tells who it is.",
    ),
    Sign(
        r"Wrong boot mode detected|Failed to connect to ESP|No serial data received|Invalid head of packet",
        "the chip's ROM did not answer: its auto-reset circuit did not put it into download mode.",
        "Hold the BOOT button (IO0), press and release reset (EN), then begin again and let go of BOOT when the upload starts.",
        silent=True,
    ),
    Sign(
        r"No device found on|SAM-BA operation failed|No RP2\w* device|No accessible RP2\w* devices|in BOOTSEL mode were found",
        "no bootloader answered.",
        "Press the reset button twice within a second, or hold the button BOOTSEL, where there is one, while you plug the board "
        "in; then begin again.",
        silent=True,
    ),
    Sign(
        r"No DFU capable USB device|unable to (open|find) (CMSIS-DAP|ST-?LINK)|open failed|Couldn't find any ST-?Link|"
        r"LIBUSB_ERROR_NOT_FOUND|Unable to (open|find) (device|Teensy)",
        "the upload tool found no probe and no bootloader.",
        "Plug the cable into the board's probe socket (on some boards there are two), or press the board's program button.",
        silent=True,
    ),
    Sign(
        r"Couldn't find a board on the selected port|specify `upload_port`",
        "PlatformIO found no board on {port}.",
        "Press the board's reset button twice within a second, and begin again.",
        silent=True,
    ),
    Sign(
        r"MD5 of file does not match|[Vv]erif\w+ (failed|error)|Checksum mismatch",
        "what was read back from the flash is not what was written.",
        "Take another cable or a slower upload_speed; if it stays so, the flash is worn or write-protected.",
    ),
)


def found_nobody(output: str) -> bool:
    """Whether the tool found no bootloader to talk to."""
    return any(sign.silent and re.search(sign.pattern, output) for sign in SIGNS)


def explain(output: str, board: Board, port: str) -> LinkError:
    """The error that the `output` of a failed `pio run -t upload` stands for."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    last = "\n".join(lines[-_LINES:])
    for sign in SIGNS:
        if found := re.search(sign.pattern, output):
            said = next((line for line in lines if found.group() in line), last)
            why = sign.why.format(board=board.title, port=port)
            return LinkError(f"The {board.title} was not flashed: {why}", said, sign.try_next)
    return LinkError(
        f"The {board.title} was not flashed: the upload over {port} failed.",
        last,
        "Press the board's reset button and begin again; the lines above are the upload tool's own.",
    )

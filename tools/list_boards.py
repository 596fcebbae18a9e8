"""Writes docs/BOARDS.md from boards/*.toml.

usage: list_boards.py [-o FILE]
"""

import argparse
import sys
from pathlib import Path

from mcuml.board import Board, load_all

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Boards

Written from [boards/](../boards) by `make boards`; the facts' sources are named in each file.

**verified** tells how far a board's file was tried, truthfully:

- *rendered*: mcuml writes a PlatformIO project for each of its frameworks, and PlatformIO's own reader finds no fault in it;
- *compiled*: beyond that, firmware was linked for its core and memory, and its sizes were taken from the image;
- *simulated*: beyond that, that firmware ran in a simulator of the core, and its outputs were those of TFLite Micro;
- *hardware*: beyond that, firmware was flashed to such a board and measured. **No board in this table says so yet.**

Flash and RAM are what is left for an application. *reset*: what a host does so that the board starts anew. *port returns*: its
serial port vanishes and comes back, perhaps under another name, on a reset or an upload. *bare*: the firmware's port for the real
board without any framework. A figure of energy is the vendor's, for the core at work; where there is none, none was found that
could be read.
"""
TRIED = """
## What the ports were tried with

No board was attached when this was written. Beyond what the table says, each port was compiled against the framework's own
public headers, for their types and signatures, and two were linked whole; nothing ran on a framework:

| Port | Compiled against | For |
|---|---|---|
| arduino | PJRC's Teensy 4 core, linked to an image | Teensy 4.1 |
| arduino | Arduino's Mbed core | Nano 33 BLE, Portenta H7, Nicla Vision, Pico |
| arduino | stm32duino | STM32 L4, F4, F7, H7, U5, F1 |
| arduino | Adafruit's nRF52 core, as Seeed ships it | XIAO nRF52840 |
| stm32cube | ST's HAL, as stm32duino ships it, linked to an image | STM32 L4 |
| stm32cube | the same | STM32 F4, F7, H7, F1 |
| espidf | ESP-IDF 6.1-dev for the ESP32-C3 | ESP32-C3, its UART and its USB serial port |

Not compiled against its framework: the Arduino port for the ESP32 family (its functions were compared with arduino-esp32's
headers by eye), the Feather M4 and the Pico 2, and the ESP-IDF port for Xtensa cores, for which there was no compiler.
The ports for Arduino and ESP-IDF run in a test on the host, above stand-ins for the framework; that of the nRF52840 without a
framework runs on a simulated core, behind a simulated UART.
"""


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "BOARDS.md")
    ap.parse_args().output.write_text(text(), encoding="utf-8")
    return 0


def text() -> str:
    """The whole page."""
    known = load_all()
    core = ["board", "title", "core", "MHz", "flash KB", "RAM KB", "simulators", "verified"]
    use = ["board", "frameworks", "upload", "reset", "port returns", "USB ids", "drive", "bare", "energy"]
    return "\n".join(
        [
            HEAD,
            *_table(core, map(_about, known)),
            "",
            "## Flashing and talking to them",
            "",
            *_table(use, map(_use, known)),
            TRIED,
        ]
    )


def _table(heads: list[str], rows) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def _about(board: Board) -> list[str]:
    simulators = ", ".join(board.simulators.model_dump(exclude_none=True)) or "–"
    return [
        f"[{board.name}](../boards/{board.name}.toml)", board.title, board.core, f"{board.clock_hz / 1e6:g}",
        f"{board.flash_available // 1024:,}", f"{board.ram_available // 1024:,}", simulators, board.verified,
    ]  # fmt: skip


def _use(board: Board) -> list[str]:
    if not board.platformio.frameworks:
        return [board.name, "none: a simulated machine", *["–"] * 7]
    ids = ", ".join(f"{usb.vid:04X}:{usb.pid:04X} {usb.role}" for usb in board.usb)
    drive = f"{board.uf2.volume or 'UF2'}: {board.uf2.enter}" if board.uf2 else "–"
    energy = f"{board.energy.milliamps_active:g} mA at {board.energy.volts:g} V" if board.energy else "–"
    return [
        board.name, ", ".join(board.platformio.frameworks), board.platformio.upload_protocol, board.serial.reset,
        "yes" if board.serial.reappears else "no", ids, drive, board.bare or "–", energy,
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

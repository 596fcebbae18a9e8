"""The port without a framework, for an nRF52840: its image speaks over the UART's registers as Nordic's manual tells them,
here behind a UART of a few lines in Unicorn. No chip was tried."""

from collections import deque
from pathlib import Path

import pytest
import unicorn
from unicorn import arm_const as arm

from mcuml import bench, build, pipeline
from mcuml import board as boards
from mcuml.link.debug import Program

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
BARE = [b for b in boards.load_all() if b.bare]
RECEIVED, SENT, ENABLE, PIN_TX, PIN_RX, RXD, TXD, BAUD = 0x108, 0x11C, 0x500, 0x50C, 0x514, 0x518, 0x51C, 0x524
UART, CRYSTAL_RUNS = 0x2000, 0x100


class Chip:
    """A core with the registers that the port uses; it stops when it waits for a byte that nobody sends."""

    def __init__(self, elf, board):
        self.uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        uc.mem_map(0, 1 << 20)
        uc.mem_map(board.ram.origin, 1 << 18)
        uc.mem_map(0xE0000000, 1 << 20)
        uc.mmio_map(0x40000000, 0x20000, self._read, None, self._write, None)
        uc.mmio_map(0x50000000, 0x1000, lambda *_: 0, None, self._pin, None)
        self.program = Program(elf)
        for address, data in self.program.segments:
            uc.mem_write(address, data)
        self.rx, self.tx, self.set, self.pins = deque(), bytearray(), {}, []
        vectors = self.program.vectors
        uc.reg_write(arm.UC_ARM_REG_SP, self._word(vectors))
        self.pc = self._word(vectors + 4)

    def _word(self, address):
        return int.from_bytes(self.uc.mem_read(address, 4), "little")

    def _read(self, uc, offset, _size, _data):
        if offset == UART + RECEIVED:
            ready = self.running and bool(self.rx)
            if not ready:
                uc.emu_stop()
            return int(ready)
        if offset == UART + RXD:
            return self.rx.popleft()
        return 1 if offset in (UART + SENT, CRYSTAL_RUNS) else 0

    def _write(self, _uc, offset, _size, value, _data):
        self.set[offset] = value
        if offset == UART + TXD:
            assert self.running, "a byte for a UART that is not on"
            self.tx.append(value)

    def _pin(self, _uc, offset, _size, value, _data):
        self.pins.append((offset, value))

    @property
    def running(self):
        return self.set.get(UART + ENABLE) == 4

    def say(self, text):
        self.rx.extend(text.encode())
        self.tx.clear()
        self.uc.emu_start(self.pc | 1, 0xFFFFFFFE, timeout=20_000_000)
        self.pc = self.uc.reg_read(arm.UC_ARM_REG_PC)
        return self.tx.decode()


@pytest.mark.parametrize("board", BARE, ids=lambda b: b.name)
def test_its_pins_are_told(board):
    told = {word.split("=")[0] for word in board.ports[board.bare]}
    assert {"PORT_TX", "PORT_RX"} <= told


def test_it_speaks_over_the_chips_uart():
    board = BARE[0]
    plan = pipeline.prepare(DIGITS / "digits_int8.tflite")
    image = build.build_firmware(bench.firmware_files(plan, board), board, port=board.bare)
    assert image.port == board.bare
    chip = Chip(image.elf, board)
    assert "m-ready" in chip.say("")
    told = dict(word.split("=") for word in board.ports[board.bare])
    assert chip.set[UART + PIN_TX] == int(told["PORT_TX"]) and chip.set[UART + PIN_RX] == int(told["PORT_RX"])
    assert chip.set[UART + BAUD] == 0x01D7E000 and chip.set[0x1E540] == 1
    trigger = int(told["PORT_TRIGGER"])
    assert (0x300 * (trigger // 32) + 0x518, 1 << trigger % 32) in chip.pins
    reply = chip.say("mcuml id%")
    assert f'"board":"{board.name}"' in reply and '"counter":"DWT_CYCCNT"' in reply and f'"build":"{image.build}"' in reply
    assert "m-cycles-[" in chip.say("mcuml run 2%")

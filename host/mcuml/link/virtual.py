"""The virtual board: a Cortex-M in Unicorn with a serial port and a cycle counter in MMIO; the only user of Unicorn.

Everything runs inside read(), in slices of bounded time, so that no firmware can hang the host."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import unicorn
from unicorn import arm_const as uc_arm

from mcuml.board import Board, load_all
from mcuml.errors import LinkError, RequestError
from mcuml.link import interrupts, reads
from mcuml.link.base import Kind, Link
from mcuml.link.cycles import MODELS, BlockCost
from mcuml.link.debug import Program
from mcuml.link.flash import FlashTiming

MMIO = 0x4F000000
UART_DATA, UART_RX_READY, CYCLES_LO, CYCLES_HI, RESET, IDLE, TRIGGER = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
SYSTEM = (0xE0000000, 0x100000)  # private peripheral bus: plain memory, so that start-up code may switch the FPU on
SLICE_BLOCKS = 1 << 18  # entered in a slice that is counted: about a second
SLICE_S = 0.25  # of a slice that is not; long beside what a process waits for its turn, see repeats.py
PAGE = 0x1000
PORT = ("port_getc", "port_putc")  # the firmware's functions that read and write UART_DATA
_SHIFT = 20  # a block's key is address << 20 | size
_REGISTERS = {f"r{i}": getattr(uc_arm, f"UC_ARM_REG_R{i}") for i in range(13)} | {
    "sp": uc_arm.UC_ARM_REG_SP, "lr": uc_arm.UC_ARM_REG_LR, "pc": uc_arm.UC_ARM_REG_PC,
}  # fmt: skip
_FAULTS = {
    unicorn.UC_ERR_READ_UNMAPPED: "read from an address where there is no memory",
    unicorn.UC_ERR_WRITE_UNMAPPED: "write to an address where there is no memory",
    unicorn.UC_ERR_FETCH_UNMAPPED: "jump to an address where there is no memory",
    unicorn.UC_ERR_WRITE_PROT: "write to flash",
    unicorn.UC_ERR_FETCH_PROT: "jump to memory that holds no code",
    unicorn.UC_ERR_INSN_INVALID: "undefined instruction",
    unicorn.UC_ERR_EXCEPTION: "exception",
}


def check_simulated(board: Board) -> None:
    """Raise RequestError, with the boards that are, unless the virtual board serves `board`."""
    if board.simulators.virtual is None:
        served = ", ".join(b.name for b in load_all() if b.simulators.virtual)
        raise RequestError(
            f"mcuml has no simulator for {board.name} ({board.cpu.title}).",
            f"Simulated are: {served}.",
            f"Take one of these, or build the firmware alone: mcuml build MODEL --board {board.name}",
        )


def counts_cycles(board: Board) -> bool:
    """Whether the virtual board has a cycle model of `board`'s core."""
    return board.core in MODELS


class VirtualBoard(Link):
    """A simulated board that runs the ELF at `elf`. With count=False it runs free and its cycle counter stands still, as it
    does on a core without a cycle model. With waits=True the counter also counts the cycles of waiting for the flash.

    edges: (core cycles since reset, level) of each change of the pin for energy meters, which is high after reset."""

    name = "virtual"
    kind: Kind = "estimated"
    patience = 10.0  # counting the flash's waits takes seconds per command where the processor is shared with training

    def __init__(self, elf: Path, board: Board, count: bool = True, waits: bool = False):
        self.board, self.program = board, Program(elf)
        self._rx: deque[int] = deque()
        self._tx = bytearray()
        self._count = count and counts_cycles(board)
        self._waits = self._count and waits
        self._costs: dict[int, BlockCost] = {}
        self._core = MODELS[board.core]() if self._count else None
        self._dead: LinkError | None = None
        self._watched: dict[str, Callable[[int], None]] = {}
        self._start()

    # -- Link ----------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._dead:
            raise self._dead
        self._rx.extend(data)

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while not self._tx and not self._dead:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._slice(min(left, SLICE_S))
            if self._idle and not self._rx and not self._tx:
                return b""  # nothing more will come: the device waits for us
        if self._tx:
            data = bytes(self._tx)
            self._tx.clear()
            return data
        if self._dead:
            raise self._dead
        return b""

    def reset(self) -> None:
        self._rx.clear()
        self._tx.clear()
        self._dead = None
        self._start()

    def close(self) -> None:
        self._rx.clear()
        self._dead = self._dead or LinkError("The virtual board is closed.")

    def describe(self) -> str:
        """Where the core is, for a device that does not answer."""
        if self._idle and not self._rx:
            return "The virtual board waits for input."
        return f"The virtual board is at {self.program.where(self._pc)}.\n{self._dump()}"

    def on_call(self, function: str, then: Callable[[int], None]) -> None:
        """Call `then(first argument)` whenever the firmware enters `function`; it may peek and poke."""
        if function not in self.program.symbols:
            raise LinkError(f"The firmware {self.program.path} has no function {function}.", "", "Build it again: mcuml build")
        self._watched[function] = then
        self._watch(function)

    def peek(self, address: int, size: int) -> bytes:
        """`size` bytes of memory."""
        return bytes(self._uc.mem_read(address, size))

    def poke(self, address: int, data: bytes) -> None:
        """Write `data` to memory."""
        self._uc.mem_write(address, data)

    @property
    def cycles(self) -> int:
        """Core cycles since reset, with the flash's wait states if asked for; 0 when not counting."""
        self._fold()
        return self._cycles

    # -- the core ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """A machine in the state after power-up."""
        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(getattr(uc_arm, f"UC_CPU_ARM_{self.board.cpu.unicorn}"))
        flash, ram = self.board.flash, self.board.ram
        uc.mem_map(flash.origin, _pages(flash.size), unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        uc.mem_map(ram.origin, _pages(ram.size))
        uc.mem_map(*SYSTEM)
        uc.mmio_map(MMIO, PAGE, self._mmio_read, None, self._mmio_write, None)
        for address, data in self.program.segments:
            try:
                uc.mem_write(address, data)
            except unicorn.UcError as error:
                raise LinkError(
                    f"{self.program.path.name} does not fit board {self.board.name}: {len(data)} bytes at {address:#x}.",
                    str(error),
                ) from error
        uc.reg_write(uc_arm.UC_ARM_REG_SP, self._word(self.program.vectors))
        self._pc = self._word(self.program.vectors + 4)
        self._idle = self._reset_wanted = False
        self._cycles = self._latched = 0
        self.edges: list[tuple[int, int]] = []
        self._trace: list[int] = []
        self._loads: list[int] = []
        self._flash = FlashTiming(self.board.flash) if self._waits else None
        self._last = 0
        self._moved, self._again, self._byte = -1, False, 0
        for first, last in filter(None, map(self.program.span, PORT)):
            uc.hook_add(unicorn.UC_HOOK_CODE, self._in_port, begin=first, end=last)
        uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._counters = self._hook_counters() if self._count else []
        for function in self._watched:
            self._watch(function)

    def _hook_counters(self) -> list[Any]:
        """Count from now on; the hooks, for who wants to run free for a while."""
        uc, flash = self._uc, self.board.flash
        hooks = [uc.hook_add(unicorn.UC_HOOK_BLOCK, self._counter())]
        if self._waits:
            note = reads.noting(self._loads, lambda: self._trace[-1] if self._trace else self._last, self._code)
            hooks.append(uc.hook_add(unicorn.UC_HOOK_MEM_READ, note, begin=flash.origin, end=flash.origin + flash.size - 1))
        return hooks

    def _code(self, block: int) -> bytes:
        """Of a block's key."""
        return self.peek(block >> _SHIFT, block & (1 << _SHIFT) - 1)

    def _counter(self) -> Callable[..., None]:
        """The hook that counts each block before it runs. The one at which a slice ends is put off and entered again by the next
        slice: a timer would stop at blocks that were counted already, and cycles would depend on the computer's load."""
        trace, append = self._trace, self._trace.append

        def enter(uc: Any, address: int, size: int, _data: Any) -> None:
            if len(trace) < SLICE_BLOCKS:
                append(address << _SHIFT | size)
            else:
                uc.emu_stop()

        return enter

    def _watch(self, function: str) -> None:
        then = self._watched[function]
        self._at_entry(function, lambda uc: then(register(uc, "r0")))

    def _at_entry(self, function: str, then: Callable[[Any], None]) -> None:
        """Call `then(core)` before the first instruction of `function`, each time."""
        address = self.program.symbols[function] & ~1
        self._uc.hook_add(unicorn.UC_HOOK_CODE, lambda uc, *_: then(uc), begin=address, end=address)

    def _leave(self, uc: Any, result: int) -> None:
        """From the entry of a function: go on as if it had returned `result`."""
        uc.reg_write(_REGISTERS["r0"], result)
        uc.reg_write(_REGISTERS["pc"], register(uc, "lr"))

    def _slice(self, seconds: float) -> None:
        """Run until the device waits for input, or for `seconds`; where blocks are counted, for SLICE_BLOCKS: cycles must not
        depend on the computer's load."""
        self._idle = False
        limit_s = 0 if self._counters else max(seconds, 0.001)
        try:
            with interrupts.held():
                self._uc.emu_start(self._pc | 1, 0xFFFFFFFE, timeout=int(limit_s * 1e6))
        except unicorn.UcError as error:
            self._pc = self._uc.reg_read(uc_arm.UC_ARM_REG_PC)
            self._dead = self._dead or self._fault(_FAULTS.get(error.errno, str(error)))
            return
        self._pc = self._uc.reg_read(uc_arm.UC_ARM_REG_PC)
        self._again = self._pc == self._moved
        if self._reset_wanted:
            self._rx.clear()
            self._start()
        else:
            self._fold()

    def _in_port(self, *_: Any) -> None:
        """An instruction of PORT begins. Where the slice's time is up while one moves a byte (`_moved`: its address), Unicorn
        stops with the program counter still on it: the next slice runs it once more (`_again`), and it must not move a second."""
        if not self._again:
            self._moved = -1

    def _fresh(self, uc: Any) -> bool:
        """Whether this access to UART_DATA moves a byte. The core tells the address: once time is up, hooks are left out."""
        fresh, self._again, self._moved = not self._again, False, register(uc, "pc")
        return fresh

    def _interrupt(self, uc: Any, number: int, _data: Any) -> None:
        names = {1: "undefined instruction", 2: "supervisor call", 3: "prefetch abort", 4: "data abort", 7: "breakpoint"}
        self._pc = uc.reg_read(uc_arm.UC_ARM_REG_PC)
        self._dead = self._fault(names.get(number, f"exception {number}"))
        uc.emu_stop()

    def _mmio_read(self, uc: Any, offset: int, _size: int, _data: Any) -> int:
        if offset == UART_RX_READY:
            return int(bool(self._rx))
        if offset == UART_DATA:
            if self._fresh(uc):
                self._byte = self._rx.popleft() if self._rx else 0
            return self._byte
        if offset == CYCLES_LO:
            self._latched = self.cycles
            return self._latched & 0xFFFFFFFF
        if offset == CYCLES_HI:
            return self._latched >> 32
        return 0

    def _mmio_write(self, uc: Any, offset: int, _size: int, value: int, _data: Any) -> None:
        if offset == UART_DATA:
            if self._fresh(uc):
                self._tx.append(value & 0xFF)
        elif offset == IDLE:
            if not self._rx:
                self._idle = True
                uc.emu_stop()
        elif offset == TRIGGER:
            if value != (self.edges[-1][1] if self.edges else 1):
                self.edges.append((self.cycles, value))
        elif offset == RESET:
            self._reset_wanted = True
            uc.emu_stop()

    # -- cycles --------------------------------------------------------------------------------------------------------

    def _fold(self) -> None:
        """Add the blocks entered since the last time. A block whose successor does not follow it in memory has branched."""
        if not self._trace:
            return
        keys = np.array([self._last, *self._trace] if self._last else self._trace, dtype=np.int64)
        self._trace.clear()
        address, size = keys >> _SHIFT, keys & ((1 << _SHIFT) - 1)
        taken = address[:-1] + size[:-1] != address[1:]
        entered = keys[1:] if self._last else keys
        self._last = int(keys[-1])
        for key, times in zip(*np.unique(entered, return_counts=True), strict=True):
            self._cycles += self._cost(int(key)).cycles * int(times)
        for key, times in zip(*np.unique(keys[:-1][taken], return_counts=True), strict=True):
            self._cycles += self._cost(int(key)).refill * int(times)
        if self._flash:
            blocks = ((key >> _SHIFT, key & ((1 << _SHIFT) - 1), self._cost(key).cycles) for key in entered.tolist())
            self._cycles += self._flash.fetch(blocks) + self._flash.load(self._loads)
            self._loads.clear()

    def _cost(self, key: int) -> BlockCost:
        if key not in self._costs:
            assert self._core is not None, "only blocks that were counted have a cost"
            address, size = key >> _SHIFT, key & ((1 << _SHIFT) - 1)
            self._costs[key] = self._core.block(bytes(self._uc.mem_read(address, size)), address)
        return self._costs[key]

    # -- faults --------------------------------------------------------------------------------------------------------

    def _fault(self, what: str) -> LinkError:
        said = self._tx.decode("ascii", "replace").strip().splitlines()
        bottom, sp = self.program.symbols.get("__stack_bottom"), self._uc.reg_read(uc_arm.UC_ARM_REG_SP)
        if bottom is not None and sp < bottom:
            what = f"the stack overflowed by {bottom - sp} bytes ({what})"
        return LinkError(
            f"The firmware on virtual board {self.board.name} faulted: {what}, at {self.program.where(self._pc)}.",
            self._dump() + (f"\nIts last line was: {said[-1]}" if said else ""),
            "Look at that line; the ELF is " + str(self.program.path),
        )

    def _dump(self) -> str:
        values = [f"{name}={self._uc.reg_read(register):08x}" for name, register in _REGISTERS.items()]
        caller = self.program.where(self._uc.reg_read(uc_arm.UC_ARM_REG_LR) - 1)
        return " ".join(values) + f"\nCalled from {caller}."

    def _word(self, address: int) -> int:
        with contextlib.suppress(unicorn.UcError):
            return int.from_bytes(self._uc.mem_read(address, 4), "little")
        raise LinkError(f"{self.program.path.name} has no vector table at {address:#x}.", "", "Build it again: mcuml build")


def register(core: Any, name: str) -> int:
    """What the register r0 to r12, sp, lr or pc holds."""
    return int(core.reg_read(_REGISTERS[name]))


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE

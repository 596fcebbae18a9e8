"""A virtual board that counts an inference once and runs its repetitions free, each for the same cycles.

MLPerf Tiny repeats one inference, on the same input and from the same state, until ten seconds have passed: the same
blocks in the same order each time, so that what one costs, all cost. All of them are executed; only the hooks that count
blocks are taken out meanwhile. What is left out is the state of the flash's cache from one repetition to the next, and the
few cycles from the last repetition's end to the byte or the edge that tells of it.

Nor is anything counted while `db` loads an input, of which vision has 27,648 bytes: nobody takes the time of that."""

from __future__ import annotations

from typing import Any

from mcuml.link.virtual import TRIGGER, UART_DATA, VirtualBoard, register

# The firmware's functions: one inference; who writes the input asks here; a command's first word is looked at.
INFERENCE, INPUT, COMMAND = "device_infer", "device_buffer", "mlperf_command"
LOADING = b"db\0"


class RepeatingBoard(VirtualBoard):
    """As VirtualBoard with count=True. `mcuml run`, which reads the counter around each inference, is always counted: only
    calls of one place in the firmware that follow each other with no byte sent in between are repetitions."""

    def _start(self) -> None:
        super()._start()
        self._free = self._arriving = self._switch = self._loading = False
        self._cost_of_one: int | None = None
        self._entered: int | None = None  # cycles at the last inference's begin, where nothing was sent since
        self._repeating: set[int] = set()  # return addresses of the calls that repeat
        for name, then in ((INFERENCE, self._inference), (INPUT, self._new_input), (COMMAND, self._command)):
            if self._count and name in self.program.symbols:
                self._at_entry(name, then)

    def _command(self, uc: Any) -> None:
        loading = self.peek(register(uc, "r0"), len(LOADING)) == LOADING
        if loading != self._loading:
            self._loading, self._switch = loading, True
            uc.emu_stop()

    def _new_input(self, _uc: Any) -> None:
        self._cost_of_one = self._entered = None

    def _inference(self, uc: Any) -> None:
        if self._arriving:  # the instruction at which the switch stopped the core, once more
            self._arriving = False
            return
        if self._free:
            self._cycles += self._cost_of_one or 0
            return
        caller, now = register(uc, "lr"), self.cycles
        if self._entered is not None:
            self._cost_of_one = now - self._entered
            self._repeating.add(caller)
        self._entered = now
        if self._cost_of_one is not None and caller in self._repeating:
            self._free = self._arriving = self._switch = True
            uc.emu_stop()

    def _mmio_write(self, uc: Any, offset: int, size: int, value: int, data: Any) -> None:
        if offset in (UART_DATA, TRIGGER):
            self._entered = None
            if self._free:
                self._cycles += self._cost_of_one or 0
                self._free, self._switch = False, True
                uc.emu_stop()
        super()._mmio_write(uc, offset, size, value, data)

    def _slice(self, seconds: float) -> None:
        if self._switch:
            self._switch = False
            uc: Any = self._uc
            for hook in self._counters:
                uc.hook_del(hook)
            uc.ctl_flush_tb()  # blocks that were translated with the hooks in, or without
            self._counters = [] if self._free or self._loading else self._hook_counters()
        super()._slice(seconds)

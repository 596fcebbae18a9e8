"""A virtual board that counts an inference once and gives its repetitions the same time.

MLPerf Tiny repeats one inference, on the same input and from the same state, until ten seconds have passed: the same
blocks in the same order each time, so that what one costs, all cost. Repetitions run without the hooks that count blocks. What
the model computes depends on its arena alone: where that is, byte for byte, what it was before the repetition before, what
that one left there is put there, and the model is not executed again. What is left out of the time is the state of the flash's
cache from one repetition to the next, and the few cycles from the last repetition's end to the byte or the edge that tells of it.

Nor is anything counted while `db` loads an input, of which vision has 27,648 bytes: nobody takes the time of that."""

from __future__ import annotations

import time
from typing import Any

from mcuml.link.virtual import TRIGGER, UART_DATA, VirtualBoard, register

# The firmware's functions: one inference; in it, the model; who writes the input asks here; a command's first word is looked at.
INFERENCE, MODEL, INPUT, COMMAND = "device_infer", "model_invoke", "device_buffer", "mlperf_command"
ARENA = "arena"
LOADING = b"db\0"
# Of a slice that no hook ends. Where the computer is busy Unicorn's timer may be up before the core has begun; then the core
# runs on, but most hooks are not called, and repetitions would be missing from the time. So it is only there for a hang.
LONGEST_S = 10.0


class RepeatingBoard(VirtualBoard):
    """As VirtualBoard with count=True. `mcuml run`, which reads the counter around each inference, is always counted: only
    calls of one place in the firmware that follow each other with no byte sent in between are repetitions."""

    def _start(self) -> None:
        super()._start()
        self._free = self._arriving = self._switch = self._loading = False
        self._until = 0.0  # when the slice is to end, by time.monotonic()
        self._cost_of_one: int | None = None
        self._entered: int | None = None  # cycles at the last inference's begin, where nothing was sent since
        self._repeating: set[int] = set()  # return addresses of the calls that repeat
        self._given: bytes | None = None  # the arena as the model last found it in a repetition, and as it left it
        self._left: bytes | None = None
        known = self.program.symbols if self._count else {}
        self._arena = known.get(ARENA, 0), self.program.sizes.get(ARENA, 0)
        for name, then in ((INFERENCE, self._inference), (INPUT, self._new_input), (COMMAND, self._command)):
            if name in known:
                self._at_entry(name, then)
        if ARENA in known and MODEL in known:
            self._at_entry(MODEL, self._model)

    def _command(self, uc: Any) -> None:
        loading = self.peek(register(uc, "r0"), len(LOADING)) == LOADING
        if loading != self._loading:
            self._loading, self._switch = loading, True
            uc.emu_stop()

    def _new_input(self, _uc: Any) -> None:
        self._cost_of_one = self._entered = None

    def _inference(self, uc: Any) -> None:
        if self._arriving:  # the instruction at which the core was stopped, once more
            self._arriving = False
            return
        if self._free:
            self._cycles += self._cost_of_one or 0
            if self._given is not None and self._left is None:
                self._left = self.peek(*self._arena)
            if time.monotonic() >= self._until:
                self._arriving = True
                uc.emu_stop()
            return
        caller, now = register(uc, "lr"), self.cycles
        if self._entered is not None:
            self._cost_of_one = now - self._entered
            self._repeating.add(caller)
        self._entered = now
        if self._cost_of_one is not None and caller in self._repeating:
            self._free = self._arriving = self._switch = True
            uc.emu_stop()

    def _model(self, uc: Any) -> None:
        if not self._free:
            return
        given = self.peek(*self._arena)
        if self._left is not None and given == self._given:
            self.poke(self._arena[0], self._left)
            self._leave(uc, 0)
        else:
            self._given, self._left = given, None

    def _mmio_write(self, uc: Any, offset: int, size: int, value: int, data: Any) -> None:
        if offset in (UART_DATA, TRIGGER):
            self._entered = None
            if self._free:
                self._cycles += self._cost_of_one or 0
                self._free, self._switch, self._given, self._left = False, True, None, None
                uc.emu_stop()
        super()._mmio_write(uc, offset, size, value, data)

    def _slice(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        if self._switch:
            self._switch = False
            uc: Any = self._uc
            for hook in self._counters:
                uc.hook_del(hook)
            uc.ctl_flush_tb()  # blocks that were translated with the hooks in, or without
            self._counters = [] if self._free or self._loading else self._hook_counters()
        super()._slice(LONGEST_S if self._count else seconds)

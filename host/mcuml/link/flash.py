"""Cycles that a core waits for its flash: caches, prefetch and wait states of a board's file, along the trace of a run.

Instructions: the blocks that were entered are cut into flash reads (`width_bits` each); a read that misses the cache waits
for all wait states, or, behind the read before it where the flash prefetches, for those that executing that one did not
hide. Data: every load from flash goes through the data cache, or waits by itself where there is none. What is left out: a
load and a fetch that want the flash at once, writes, DMA."""

from __future__ import annotations

from collections.abc import Iterable

from mcuml.board import Cache, Flash

WORD = 4


class FlashTiming:
    """The state of one board's flash interface: what lies in its caches. Begins empty, as after reset."""

    def __init__(self, flash: Flash):
        self._wait, self._width = flash.wait_states, flash.width_bits // 8
        self._first, self._end = flash.origin, flash.origin + flash.size
        self._prefetch = flash.prefetch
        self._code = _Lines(flash.cache, self._width)
        self._data = _Lines(flash.data_cache, self._width)
        self._reads: dict[int, tuple[int, ...]] = {}
        self._last = -1

    def covers(self, address: int) -> bool:
        """Whether `address` is in the flash."""
        return self._first <= address < self._end

    def fetch(self, blocks: Iterable[tuple[int, int, int]]) -> int:
        """Cycles of waiting for the instructions of `blocks`, each (address, bytes, cycles of its execution) as it is entered."""
        waited, width, before = 0, self._width, (-1, -1, -1)
        for block in blocks:
            if block == before and block[1] < self._code.bytes:
                continue  # a loop's turn right behind another: its code is there
            before = address, size, cycles = block
            if not self.covers(address):
                continue
            reads = self._reads.get(address)
            if reads is None or len(reads) != (address + size - 1) // width - address // width + 1:
                reads = self._reads[address] = tuple(range(address // width, (address + size - 1) // width + 1))
            hidden = cycles // len(reads) if self._prefetch else 0
            for read in reads:
                if read != self._last and not self._code.hit(read):
                    waited += max(0, self._wait - hidden) if read == self._last + 1 else self._wait
                self._last = read
        return waited

    def load(self, addresses: Iterable[int]) -> int:
        """Cycles of waiting for loads from flash `addresses`, in their order."""
        return self._wait * sum(not self._data.hit(address // self._width) for address in addresses)


class _Lines:
    """A cache with least-recently-used replacement, or, without one, the flash's one read buffer. A line is filled read by
    read, as each is asked for."""

    def __init__(self, cache: Cache | None, width: int):
        self.bytes = cache.bytes if cache else width
        per_line = max(1, cache.line_bytes // width) if cache else 1
        lines = cache.bytes // (per_line * width) if cache else 1
        self._ways = min(cache.ways, lines) if cache else 1
        self._per_line, self._sets = per_line, max(1, lines // self._ways)
        self._held: list[dict[int, set[int]]] = [{} for _ in range(self._sets)]

    def hit(self, read: int) -> bool:
        """Whether flash read number `read` is held; it is afterwards."""
        line = read // self._per_line
        held = self._held[line % self._sets]
        reads = held.pop(line, None)
        if reads is None:
            if len(held) == self._ways:
                del held[next(iter(held))]
            held[line] = {read}
            return False
        held[line] = reads  # the youngest again
        if read in reads:
            return True
        reads.add(read)
        return False

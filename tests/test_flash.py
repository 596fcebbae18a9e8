"""Waiting for the flash, against cases that are counted by hand, and on the virtual board."""

import pytest

from device import BOARD, build
from mcuml.board import Board, Cache, Flash, load, load_all
from mcuml.link.flash import FlashTiming
from mcuml.link.virtual import VirtualBoard

KB = 1024


def flash(wait: int = 5, width: int = 64, prefetch: bool = False, cache: Cache | None = None, data: Cache | None = None) -> Flash:
    return Flash(origin=0x1000, size=64 * KB, wait_states=wait, width_bits=width, prefetch=prefetch, cache=cache, data_cache=data)  # type: ignore[arg-type]


def board(held: Flash) -> Board:
    """One of the Nano's core with this flash, at the addresses for which the firmware is linked."""
    held = held.model_copy(update={"origin": BOARD.flash.origin, "size": BOARD.flash.size})
    return load("nano33ble").model_copy(update={"flash": held, "ram": BOARD.ram})


def lines(count: int, ways: int, size: int = 8) -> Cache:
    return Cache(bytes=count * size, line_bytes=size, ways=ways)


NEAR, FAR = (0x1000, 8, 4), (0x1020, 8, 4)
BLOCK = (0x1000, 32, 16)  # four reads of 8 bytes, 4 cycles each


@pytest.mark.parametrize(
    ("case", "held", "blocks", "waited"),
    [
        ("each read waits", flash(), [BLOCK], 20),
        ("no wait states", flash(wait=0), [BLOCK], 0),
        ("reads of 16 bytes", flash(width=128), [BLOCK], 10),
        ("prefetch hides all but one cycle of the reads behind the first", flash(prefetch=True), [BLOCK], 5 + 3),
        ("without a cache again at each turn", flash(), [BLOCK, (0x2000, 8, 4), BLOCK], 20 + 5 + 20),
        ("a cache holds the loop", flash(cache=lines(8, 8)), [BLOCK, (0x2000, 8, 4), BLOCK], 25),
        ("five lines go in turn through a cache of four", flash(cache=lines(4, 4)), [BLOCK, (0x2000, 8, 4)] * 2, 50),
        ("two addresses share the one line of a direct-mapped cache", flash(cache=lines(4, 1)), [NEAR, FAR] * 2, 20),
        ("and have room in two ways", flash(cache=lines(4, 2)), [NEAR, FAR] * 2, 10),
        ("a line is filled read by read", flash(cache=lines(2, 2, 32)), [BLOCK, (0x2000, 8, 4), BLOCK], 25),
        ("a block that goes on in the same read", flash(), [(0x1000, 4, 2), (0x1004, 4, 2)], 5),
        ("code in RAM", flash(), [(0x20000000, 32, 16)], 0),
        ("a turn right behind another", flash(cache=lines(4, 4)), [BLOCK] * 9, 20),
        ("but not of a loop that the cache cannot hold", flash(cache=lines(2, 2)), [BLOCK] * 3, 60),
    ],
)  # fmt: skip
def test_fetches(case: str, held: Flash, blocks: list[tuple[int, int, int]], waited: int) -> None:
    assert FlashTiming(held).fetch(blocks) == waited, case


def test_loads() -> None:
    words = range(0x3000, 0x3020, 4)
    assert FlashTiming(flash()).load(words) == 20, "the second word of each read is at hand"
    assert FlashTiming(flash(width=32)).load(words) == 40
    assert FlashTiming(flash()).load([0x3000, 0x3100] * 4) == 40
    assert FlashTiming(flash(data=lines(2, 2))).load([0x3000, 0x3100] * 4) == 10
    assert FlashTiming(flash(cache=lines(2, 2))).load([0x3000, 0x3100] * 4) == 40, "an instruction cache holds no data"


def test_the_virtual_board_counts_waits_when_asked() -> None:
    cycles = {}
    for waits in (False, True):
        for wait in (0, 5):
            with VirtualBoard(build("virtual"), board(flash(wait)), waits=waits) as link:
                link.write(b"name%")
                while link.read(1):
                    pass
                cycles[waits, wait] = link.cycles
    without = [cycles[False, 0], cycles[False, 5], cycles[True, 0]]
    assert max(without) < 1.02 * min(without), "but for how often the device asks whether there is more"
    assert cycles[True, 5] > 1.5 * max(without)


def test_the_counter_may_be_read_within_a_block_that_reads_the_flash() -> None:
    """ldr r0, [pc]; bx lr; and a word."""
    seen: list[int] = []
    with VirtualBoard(build("virtual"), board(flash()), waits=True) as link:
        link.poke(link.program.symbols["device_infer"] & ~1, bytes.fromhex("00487047 00000000"))
        link.on_call("device_infer", lambda _: seen.append(link.cycles))
        link.write(b"infer 1 0%")
        while link.read(1):
            pass
        assert len(seen) == 1 and seen[0] < link.cycles


def test_every_board_with_a_latency_says_how_far_it_is_off() -> None:
    assert all(board.cycle_error for board in load_all())
    assert "TFLM" in load("nucleo_l4r5zi").cycle_error

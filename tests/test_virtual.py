"""The virtual board: cycles, faults with their place, firmware that hangs, and free running."""

from __future__ import annotations

import re
import sys
import time

import pytest
import unicorn
from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from elftools.elf.elffile import ELFFile

from device import BOARD, SHA256, build, device, replies
from mcuml.errors import LinkError
from mcuml.link import reads, virtual
from mcuml.link.cycles import CortexM4
from mcuml.link.virtual import VirtualBoard
from mcuml.run.session import Limits, Session

INPUT = bytes(range(16))
# (id, stub defect, the words that the error must hold)
FAULTS = [
    ("bad pointer", 1, r"write to an address where there is no memory, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("undefined", 4, r"undefined instruction, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("write to flash", 5, r"write to flash, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
]
# (assembled Thumb code, cycles, refill when taken): Arm's Cortex-M4 TRM, zero wait states
COSTS = [
    ("nop", "00bf", 1, 2),
    ("ldr r0, [r1]", "0868", 2, 2),
    ("ldr r0, [r1]; ldr r2, [r1]", "08680a68", 3, 2),
    ("ldr r0, [r1]; ldr r2, [r0]", "08680268", 5, 2),
    ("str r0, [r1]", "0860", 1, 2),
    ("str r0, [r1, r2]", "8850", 2, 2),
    ("push {r4, r5, lr}", "30b5", 4, 2),
    ("ldrd r0, r1, [r2]", "d2e90001", 3, 2),
    ("sdiv r0, r0, r1", "90fbf1f0", 7, 2),
    ("smlad r0, r1, r2, r3", "21fb0230", 1, 2),
    ("vfma.f32 s0, s1, s2", "a0ee810a", 3, 2),
    ("vadd.f32 s0, s1, s2; vadd.f32 s3, s0, s0", "30ee810a70ee001a", 3, 2),
    ("bx lr", "7047", 1, 2),
]  # fmt: skip


@pytest.mark.parametrize(("code", "cycles", "refill"), [row[1:] for row in COSTS], ids=[row[0] for row in COSTS])
def test_cost(code, cycles, refill):
    cost = CortexM4().block(bytes.fromhex(code), 0)
    assert (cost.cycles, cost.refill) == (cycles, refill)


def test_cycles_do_not_depend_on_the_slices(monkeypatch):
    """Wherever the simulator pauses, in the midst of an inference too, no block is counted twice or left out."""
    counted = set()
    for blocks in (10, 23, 97, virtual.SLICE_BLOCKS):
        monkeypatch.setattr(virtual, "SLICE_BLOCKS", blocks)
        with VirtualBoard(build("virtual"), BOARD) as board:
            session = Session(board)
            session.identify(SHA256)
            session.load_input(INPUT)
            counted.add(session.infer(3).runs)
    assert len(counted) == 1 and min(counted.pop()) > 100


@pytest.mark.parametrize("value", [0, 5])
def test_noting_a_conditional_read_skips_nothing(value):
    """cmp r0, #1; ite gt; ldrgt r1, [pc, #8]; ldrle r1, [pc, #8]; b next; next: adds r2, #1; adds r2, #1; nop"""
    code, noted = bytes.fromhex("0128ccbf02490249ffe7 0132013200bf") + bytes(16), []
    core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    core.mem_map(0, 0x1000)
    core.mem_write(0, code)
    core.hook_add(unicorn.UC_HOOK_MEM_READ, reads.noting(noted, lambda: 0, lambda block: code[:10]))
    core.reg_write(unicorn.arm_const.UC_ARM_REG_R0, value)
    core.emu_start(1, 14)
    assert (noted, core.reg_read(unicorn.arm_const.UC_ARM_REG_R2)) == ([16], 2)


def test_a_byte_that_moves_when_the_time_is_up_moves_once(monkeypatch):
    """On a busy computer the slice's time runs out while Python handles the byte: here at every fourth or so."""
    read, write = VirtualBoard._mmio_read, VirtualBoard._mmio_write

    def slow_read(self, uc, offset, *rest):
        got = read(self, uc, offset, *rest)
        time.sleep(3e-4 if offset == virtual.UART_DATA else 0)
        return got

    def slow_write(self, uc, offset, *rest):
        write(self, uc, offset, *rest)
        time.sleep(3e-4 if offset == virtual.UART_DATA else 0)

    with VirtualBoard(build("virtual"), BOARD, count=False) as board:
        session = Session(board)
        expected = session.identify(SHA256)
        session.load_input(INPUT)
        session.infer()
        outputs = session.output()
    monkeypatch.setattr(virtual, "SLICE_S", 1e-3)
    monkeypatch.setattr(VirtualBoard, "_mmio_read", slow_read)
    monkeypatch.setattr(VirtualBoard, "_mmio_write", slow_write)
    with VirtualBoard(build("virtual"), BOARD, count=False) as board:
        session = Session(board, Limits(attempts=1, reply_s=120, wake_s=240))
        assert session.identify(SHA256) == expected
        for _ in range(5):
            session.load_input(INPUT)
            session.infer()
            assert session.output() == outputs


def test_agrees_with_the_independent_yardstick(shared, monkeypatch):
    """Every run of 1, 2, 3 and 6 instructions of the firmware costs the same in shared/tools/m4cycles.py."""
    monkeypatch.syspath_prepend(str(shared / "tools"))
    import m4cycles

    core = CortexM4()
    with build("virtual").open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        code, base = text.data(), text["sh_addr"]
    instructions = list(Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS).disasm(code[16:], base + 16))
    assert len(instructions) > 500
    for i, first in enumerate(instructions):
        for length in (1, 2, 3, 6):
            block = b"".join(bytes(x.bytes) for x in instructions[i : i + length])
            mine = core.block(block, first.address)
            assert (mine.instructions, mine.cycles, mine.refill) == m4cycles.block_cost(block, first.address)[:3]
    sys.modules.pop("m4cycles", None)


def test_cycles_are_the_same_every_run():
    with device("virtual") as board:
        session = Session(board)
        session.load_input(INPUT)
        runs = session.infer(5, warmup=1).runs
        assert len(runs) == 5 and len(set(runs)) == 1 and 50 < runs[0] < 2000


def test_free_running_gives_the_same_bytes_and_no_cycles():
    with VirtualBoard(build("virtual"), BOARD, count=False) as board:
        session = Session(board)
        assert session.identify(SHA256).board == "stub"
        session.load_input(INPUT)
        assert session.infer().cycles == 0
        assert session.output() == (bytes([0, 2, 4, 6]),)
        assert board.cycles == 0


@pytest.mark.parametrize(("fault", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_fault_names_function_and_line(fault, words):
    with device("virtual", fault) as board:
        session = Session(board)
        session.load_input(INPUT)
        with pytest.raises(LinkError) as raised:
            session.infer()
        assert re.search(words, str(raised.value)) and "pc=" in str(raised.value) and raised.value.exit_code == 6
        with pytest.raises(LinkError):
            board.write(b"name%")
        board.reset()
        assert b"m-ready" in replies(board, b"")


def test_stack_overflow_is_named():
    with device("virtual", 3) as board:
        session = Session(board)
        session.load_input(INPUT)
        with pytest.raises(LinkError) as raised:
            session.infer()
        assert "stack" in str(raised.value) and "recurse" in str(raised.value)


def test_endless_loop_ends_at_the_limit_and_says_where():
    with device("virtual", 2) as board:
        session = Session(board, Limits(run_s=0.5))
        session.load_input(INPUT)
        started = time.monotonic()
        with pytest.raises(LinkError, match=r"did not answer 'mcuml run 1' within 0.5 s") as raised:
            session.infer()
        assert time.monotonic() - started < 60  # a slice of the counted board may take seconds on a busy computer
        assert re.search(r"in model_invoke \(model\.c:\d+\)", str(raised.value))


def test_not_an_elf_is_a_link_error(tmp_path):
    path = tmp_path / "firmware.elf"
    path.write_bytes(b"not an ELF")
    with pytest.raises(LinkError, match=r"firmware\.elf"):
        VirtualBoard(path, BOARD)

"""A fault on the device, told with cause, function and line: firmware that faults on purpose on QEMU's machines, whose cores take
the exception as hardware does, and the decoder alone for what those cannot do."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from commandline import cache_folder
from device import STUB
from mcuml import board as boards
from mcuml import build
from mcuml.errors import LinkError
from mcuml.link import panic, qemu
from mcuml.run import device
from mcuml.run.firmware import config_header
from mcuml.run.session import Session

ARM, RISCV = "mps2_an386", "riscv_virt"
# (id, board, defect of stub_model/model.c, the words). The RISC-V machine has its code below its stack: an overflow there ends
# before any exception does.
FAULTS = [
    ("arm write", ARM, 1, r"read or write of address 0x90000000, where nothing is, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("arm undefined", ARM, 4, r"undefined instruction, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("arm division", ARM, 6, r"divide by zero, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("arm stack", ARM, 3, r"stack overflow: sp 0x\w+ is [\d,]+ bytes below the stack's end"),
    ("riscv write", RISCV, 1, r"write to address 0x90000000, where nothing is, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
    ("riscv undefined", RISCV, 4, r"undefined instruction, at 0x\w+ in model_invoke \(model\.c:\d+\)"),
]  # fmt: skip


@cache
def image(name: str, profile: bool = False) -> build.Image:
    """The stub model, with all defects, in the firmware of QEMU's machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCUML_CACHE", str(cache_folder()))
        board = boards.load(name)
        about = {"board": name, "vendor": "mcuml", "clock_hz": board.clock_hz, "model_id": "stub01", "input_bytes": 16}
        header = config_header(**about, model_sha256="5" * 64)  # type: ignore[arg-type]
        files = {"model.h": (STUB / "model.h").read_text(), "model_weights.c": "typedef int none;\n", "mcuml_config.h": header,
                 "model.c": "#define STUB_FAULT 7\n" + (STUB / "model.c").read_text()}  # fmt: skip
        return build.build_firmware(files, board, profile=profile, port=device.way("qemu").firmware_port(board, False))


def fault(held: build.Image, elf: Path, defect: int) -> LinkError:
    """The error of a session with the firmware in `held`, of which the session takes `elf` to be the ELF."""
    program = qemu.PROGRAMS[held.board.cpu.arch]
    if program.missing:
        pytest.skip(f"{program.name} is not here. {program.missing}")
    with qemu.Qemu(held.elf, held.board) as link:
        session = Session(link, elf=elf)
        session.identify()
        session.load_input(bytes([defect]) + bytes(15))
        with pytest.raises(LinkError) as raised:
            session.infer()
    assert raised.value.exit_code == 6
    return raised.value


@pytest.mark.parametrize(("board", "defect", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_told_with_cause_function_and_line(board, defect, words):
    held = image(board)
    error = fault(held, held.elf, defect)
    assert re.search(words, error.what) and "e-[Fault build=" in error.evidence, error


def test_the_elf_of_another_build_is_not_asked():
    error = fault(image(ARM), image(ARM, profile=True).elf, 1)
    assert "model_invoke" not in str(error) and "would be the wrong ones" in error.evidence and "0x90000000" in error.what


# (registers, words): a Cortex-M's CFSR bit by bit, a RISC-V's mcause, and cores that say nothing
CAUSES = [
    ("cfsr=02000000", "divide by zero"),
    ("cfsr=01000000", "unaligned access"),
    ("cfsr=00020000", "jump to an address without the Thumb bit"),
    ("cfsr=00080000", "an instruction of a coprocessor or FPU that is off"),
    ("cfsr=00008200 bfar=12345678", "read or write of address 0x12345678, where nothing is"),
    ("cfsr=00000400", "write to an address where nothing is, somewhat before"),
    ("cfsr=00000082 mmfar=00000010", "read or write of address 0x00000010, which is not allowed"),
    ("cfsr=00000001", "jump to memory that holds no code"),
    ("cfsr=00001000", "the stack lies where nothing is"),
    ("cfsr=00000000 hfsr=00000002", "the vector table cannot be read"),
    ("pc=00000000", "the core does not tell why"),
    ("mcause=00000005 mtval=00000040", "read of address 0x00000040, where nothing is"),
    ("mcause=00000004 mtval=00000041", "unaligned read of address 0x00000041"),
    ("mcause=00000018", "mcause 24"),
]


@pytest.mark.parametrize(("registers", "words"), CAUSES)
def test_causes(registers, words):
    error = panic.told(f"e-[Fault build=0123456789abcdef {registers}]", "serial", None)
    assert words in error.what and "addr2line" in error.try_next


def test_a_cut_fault_line_is_still_one():
    assert "faulted" in panic.told("e-[Fault bui", "serial", None).what

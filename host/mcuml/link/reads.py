"""The flash's reads by the virtual board's core, noted one by one, without leaving the core in a wrong state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from unicorn import arm_const

IT_STATE = 0x0600FC00  # of XPSR


def noting(reads: list[int], running: Callable[[], int], code: Callable[[int], bytes]) -> Callable[..., None]:
    """A hook for Unicorn's UC_HOOK_MEM_READ that appends each address to `reads`. running: the block that runs; code: the
    Thumb code of a block.

    To call a hook Unicorn restores the core's state as of the reading instruction. If that stands in an IT block, its state stays
    behind when the block has ended, and the next block's first instructions are skipped where the condition does not hold: so
    it is cleared."""
    note = reads.append

    @cache
    def conditional(block: int) -> bool:
        """Whether it has an IT instruction, or a half word that looks like one."""
        words = code(block)
        return any(high == 0xBF and low & 15 for low, high in zip(words[::2], words[1::2], strict=False))

    def read(uc: Any, _kind: int, address: int, *_: Any) -> None:
        note(address)
        if conditional(running()):
            uc.reg_write(arm_const.UC_ARM_REG_XPSR, uc.reg_read(arm_const.UC_ARM_REG_XPSR) & ~IT_STATE)

    return read

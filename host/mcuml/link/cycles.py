"""Cycles of one basic block on a Cortex-M4, memory without wait states; the only user of Capstone.

The numbers are those of the instruction table in Arm's Cortex-M4 Technical Reference Manual (DDI 0439, 3.3), with these
conventions where it gives a range: the refill after a taken branch is 2 cycles (1 to 3), a division 7 (2 to 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import capstone
from capstone import arm_const as arm

REFILL = 2  # pipeline refill after a taken branch
DIVIDE, FLOAT_DIVIDE, FLOAT_FUSED = 7, 14, 3
_NARROW_LOADS = {arm.ARM_INS_LDR, arm.ARM_INS_LDRB, arm.ARM_INS_LDRH, arm.ARM_INS_LDRSB, arm.ARM_INS_LDRSH, arm.ARM_INS_VLDR}
_NARROW_STORES = {arm.ARM_INS_STR, arm.ARM_INS_STRB, arm.ARM_INS_STRH, arm.ARM_INS_VSTR}
_MANY_LOADS = {arm.ARM_INS_LDM, arm.ARM_INS_LDMDB, arm.ARM_INS_POP, arm.ARM_INS_VLDMIA, arm.ARM_INS_VLDMDB, arm.ARM_INS_VPOP}
_MANY_STORES = {arm.ARM_INS_STM, arm.ARM_INS_STMDB, arm.ARM_INS_PUSH, arm.ARM_INS_VSTMIA, arm.ARM_INS_VSTMDB, arm.ARM_INS_VPUSH}
_TABLE_BRANCHES = {arm.ARM_INS_TBB, arm.ARM_INS_TBH}
_SLOW = {
    arm.ARM_INS_SDIV: DIVIDE, arm.ARM_INS_UDIV: DIVIDE, arm.ARM_INS_VDIV: FLOAT_DIVIDE, arm.ARM_INS_VSQRT: FLOAT_DIVIDE,
    **dict.fromkeys((arm.ARM_INS_VMLA, arm.ARM_INS_VMLS, arm.ARM_INS_VFMA, arm.ARM_INS_VFMS, arm.ARM_INS_VFNMA, arm.ARM_INS_VFNMS,
                     arm.ARM_INS_VNMLA, arm.ARM_INS_VNMLS), FLOAT_FUSED),
}  # fmt: skip


@dataclass(frozen=True)
class BlockCost:
    """One basic block. cycles: when its last branch falls through; refill: cycles more when that branch is taken."""

    instructions: int
    cycles: int
    refill: int


_COSTS: dict[bytes, BlockCost] = {}


@dataclass(frozen=True)
class _Step:
    """What the next instruction must know of this one."""

    memory: bool = False
    loaded: frozenset[int] = frozenset()  # registers that arrive too late to address the next access
    float_result: frozenset[int] = frozenset()


class CortexM4:
    """The Cortex-M4's instruction costs."""

    def __init__(self) -> None:
        self._disassembler = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._disassembler.detail = True

    def block(self, code: bytes, address: int) -> BlockCost:
        """Cost of the straight-line `code` at `address`, which changes no cost: each code is looked at once per process."""
        if code not in _COSTS:
            _COSTS[code] = self._cost(code, address)
        return _COSTS[code]

    def _cost(self, code: bytes, address: int) -> BlockCost:
        instructions, cycles, refill = 0, 0, REFILL
        before = _Step()
        for insn in self._disassembler.disasm(code, address):
            cost, before = self._instruction(insn, before, first=instructions == 0)
            cycles += cost
            instructions += 1
            if insn.id in _NARROW_LOADS and insn.operands[0].reg == arm.ARM_REG_PC:
                refill = REFILL + 1  # the target arrives from memory one cycle after a branch would know it
        return BlockCost(instructions, cycles, refill)

    def _instruction(self, insn: Any, before: _Step, first: bool) -> tuple[int, _Step]:
        """(cycles, what it leaves for the next one). A load's or store's second cycle overlaps a neighbour's first."""
        reads, writes = (frozenset(registers) for registers in insn.regs_access())
        name = insn.mnemonic
        if insn.id in _NARROW_LOADS | _NARROW_STORES or insn.id in (arm.ARM_INS_LDRD, arm.ARM_INS_STRD):
            memory = [op.mem for op in insn.operands if op.type == arm.ARM_OP_MEM]
            address = frozenset(r for m in memory for r in (m.base, m.index) if r)
            stall = bool(before.loaded & address)
            if insn.id in (arm.ARM_INS_LDRD, arm.ARM_INS_STRD):
                cost, load = 3 + stall, insn.id == arm.ARM_INS_LDRD
            elif insn.id in _NARROW_LOADS:
                # Behind another access it is pipelined (1); waiting for its address, it is not (2, and the wait).
                cost, load = (3 if stall and before.memory else 1 if before.memory else 2), True
            else:
                indexed = any(m.index for m in memory)
                cost, load = (2 if indexed and not before.memory else 1) + stall, False
            late = writes - address if insn.writeback else writes
            return cost, _Step(True, late if load else frozenset())
        if insn.id in _MANY_LOADS | _MANY_STORES:
            listed = sum(op.type == arm.ARM_OP_REG for op in insn.operands)
            listed -= 0 if insn.id in (arm.ARM_INS_POP, arm.ARM_INS_PUSH, arm.ARM_INS_VPOP, arm.ARM_INS_VPUSH) else 1  # the base
            return 1 + listed, _Step(True, writes if insn.id in _MANY_LOADS else frozenset())
        if insn.id == arm.ARM_INS_IT:
            return (1 if first else 0), _Step()  # folded into the 16-bit instruction before it
        floating = name.startswith("v")
        cost = 2 if insn.id in _TABLE_BRANCHES else _SLOW.get(insn.id, 1)
        if floating and before.float_result & reads:
            cost += 1
        return cost, _Step(float_result=writes if floating else frozenset())


MODELS = {"cortex-m4f": CortexM4}  # core -> its cycle model

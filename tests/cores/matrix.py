"""One core, one compiler, one simulator: its models' outputs against TFLite Micro's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cores import qemu
from cores.cases import Chosen
from mcuml import toolchain
from mcuml.cores import CORES
from mcuml.errors import BuildError
from ops.builds import build

COMPILERS = ("gcc", "zig")


@dataclass(frozen=True)
class Outcome:
    """What a run gave. identical: samples with the oracle's bytes, of `samples`; wrong: name -> what differs; skipped: why
    nothing ran."""

    core: str
    compiler: str
    simulator: str
    models: int = 0
    samples: int = 0
    identical: int = 0
    wrong: dict[str, str] = field(default_factory=dict)
    skipped: str = ""


def combinations() -> list[tuple[str, str, str]]:
    """(core, compiler, simulator) of all that is run; Xtensa has neither compiler nor simulator here."""
    found = []
    for name, core in CORES.items():
        places = ["this computer"] if name == "host" else ["Unicorn"] if core.unicorn else []
        places += ["QEMU"] if name in qemu.MACHINES else []
        compilers = [c for c in COMPILERS if name == "host" or (core.gcc if c == "gcc" else core.zig_target)]
        found += [(name, compiler, place) for place in places for compiler in compilers]
    return found


def run(core: str, compiler: str, simulator: str, chosen: Sequence[Chosen]) -> Outcome:
    """Build and run `chosen`. `compiler` "" is the usual one of this machine. A case that faults or differs is in `wrong`."""
    try:
        tools = toolchain.host(compiler) if core == "host" else toolchain.find(CORES[core], compiler)
    except BuildError as error:
        return Outcome(core, compiler, simulator, skipped=f"{error.what} {error.try_next}")
    title = f"{tools.name} {tools.version}"
    where = f"QEMU {qemu.MACHINES[core].title}" if simulator == "QEMU" else simulator
    if simulator == "QEMU" and (lacks := qemu.missing(core)):
        return Outcome(core, title, where, skipped=lacks)
    wrong: dict[str, str] = {}
    identical = 0
    runner = None if simulator == "QEMU" else build(core, [c.case for c in chosen], compiler)
    everything = [] if runner else qemu.run(core, [c.case for c in chosen], compiler)
    for number, one in enumerate(chosen):
        try:
            answers = runner.sequence(one.case, one.case.inputs, number) if runner else everything[number]
            identical += one.identical(answers)
        except AssertionError as error:
            wrong[one.name] = str(error)
    return Outcome(core, title, where, len(chosen), sum(c.samples for c in chosen), identical, wrong)

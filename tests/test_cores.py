"""Every core that mcuml compiles for runs the generated C, and gives TFLite Micro's outputs. `make cores` runs all of it."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache

import pytest
import unicorn

from commandline import DIGITS, in_process
from cores import cases, matrix, qemu
from mcuml import pio, toolchain
from mcuml.cores import CORES
from mcuml.errors import BuildError
from ops.builds import Simulated
from ops.harness import Case
from ops.test_harness import relu, spoil

FAST = [  # what tests/ops does not run: it has the host, the M4F and the M0+
    ("cortex-m3", "Unicorn"),
    ("cortex-m7", "Unicorn"),
    ("cortex-m33", "Unicorn"),
    ("rv32imc", "Unicorn"),
    ("aarch64", "Unicorn"),
    ("cortex-m55", "QEMU"),
]


@cache
def chosen(per_table: int) -> list[cases.Chosen]:
    return cases.choose(per_table)


def check(core: str, compiler: str, simulator: str, of: list[cases.Chosen]) -> None:
    outcome = matrix.run(core, compiler, simulator, of)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert not outcome.wrong, "\n\n".join(f"{name}: {told}" for name, told in outcome.wrong.items())
    assert outcome.models == len(of) and outcome.identical > 0.9 * outcome.samples  # floats may differ in their last bits


@pytest.mark.parametrize("core, simulator", FAST)
def test_outputs_are_the_oracles(core, simulator):
    """Each core its share of the cases, and all of them the digits."""
    everything = chosen(1)
    part = [everything[0], *everything[1 + FAST.index((core, simulator)) :: len(FAST)]]
    check(core, "", simulator, part)


@pytest.mark.slow
@pytest.mark.parametrize("core, compiler, simulator", matrix.combinations())
def test_whole_matrix(core, compiler, simulator):
    check(core, compiler, simulator, chosen(2))


def test_the_cases_use_every_kernel():
    used = {node.kernel.template for one in chosen(1) for node in one.case.planned.graph.nodes if node.kernel}
    known = {path.name.removesuffix(".c.j2") for path in (cases.ROOT / "templates" / "kernels").glob("*.c.j2")}
    assert known <= used


def test_every_core_is_run():
    run = {core for core, _, _ in matrix.combinations()}
    assert set(CORES) - run == {"xtensa-lx6", "xtensa-lx7"}
    assert run - {"host", "x86-64"} == set(qemu.MACHINES)


def unaligned(models: list[Case]) -> set[str]:
    """Words that are not at a multiple of their size, where a RISC-V core accesses them: it may trap, Unicorn and QEMU do not."""
    runner = Simulated("rv32imc", models)
    seen: set[str] = set()

    def access(_uc, kind, address, size, _value, _data):
        if address % size:
            seen.add(f"{size} bytes at {address:#x}, {runner._place()}")

    runner._uc.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, access)
    for model in models:
        runner.sequence(model, model.inputs[:1], 0)
    return seen


def test_no_access_is_unaligned():
    assert not unaligned([one.case for one in chosen(1) if one.case.planned.arena_bytes < 2000][::4])


def test_an_unaligned_access_is_seen():
    spoiled = spoil(relu(), "uint32_t x = load32(in);", "uint32_t x = *(const uint32_t *)(in + (elements > 4));")
    assert any("lut8" in told for told in unaligned([spoiled]))


FEATURES = {  # what a compiler defines -> whether the core has it
    "__ARM_FEATURE_DSP": lambda core: core.dsp,
    "__ARM_FEATURE_MVE": lambda core: core.mve,
    "__ARM_FP": lambda core: core.arch in ("arm", "aarch64") and core.fpu != "none",
    "__ARM_PCS_VFP": lambda core: core.arch == "arm" and core.fpu != "none",
    "__riscv_mul": lambda core: core.arch == "riscv",
    "__riscv_compressed": lambda core: core.arch == "riscv",
    "__riscv_flen": lambda core: False,
}


@pytest.mark.parametrize(
    "name, compiler",
    [
        (name, kind)
        for name, core in CORES.items()
        for kind in matrix.COMPILERS
        if (core.gcc if kind == "gcc" else core.zig_target)
    ],
)
def test_flags_give_the_cores_features(name, compiler):
    try:
        tools = toolchain.find(CORES[name], compiler)
    except BuildError as error:
        pytest.skip(f"{error.what} {error.try_next}")
    command = [*tools.command, *tools.machine, *tools.compile, "-dM", "-E", "-x", "c", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, env=pio.environment(), check=True)
    defined = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("#define")}
    told = {feature: feature in defined for feature in FEATURES}
    assert told == {feature: has(CORES[name]) for feature, has in FEATURES.items()}


@pytest.mark.parametrize("name", CORES)
def test_compile_tells_the_cores_flags(name, tmp_path):
    """`--core` changes what a user must know to compile, and nothing in the C, which asks the compiler what there is."""
    told = {}
    for folder, options in (("plain", []), ("core", ["--core", name])):
        assert in_process("compile", DIGITS, *options, "-o", tmp_path / folder).exit_code == 0
        told[folder] = json.loads((tmp_path / folder / "model.json").read_text())
    assert "core" not in told["plain"] and told["core"]["core"] == name
    assert told["core"]["compiler_flags"] == [*CORES[name].gcc_flags, *told["plain"]["compiler_flags"]]
    for file in ("model.c", "model.h", "model_weights.c"):
        assert (tmp_path / "core" / file).read_bytes() == (tmp_path / "plain" / file).read_bytes()

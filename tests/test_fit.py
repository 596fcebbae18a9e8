"""What `mcuml inspect --board` tells beforehand, against linked images: flash to 2 %, RAM to the byte (to 8 of them for
models that need a C library's variables)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest import mock

import pytest

from commandline import DIGITS, ROOT, cache_folder, in_process
from mcuml import bench, build, code_size, pipeline, toolchain
from mcuml.board import Board, load, load_all
from mcuml.code_size import Function, read
from mcuml.errors import FitError
from mcuml.fit import advice, check_fit, fit, peak
from mcuml.render import render_model
from test_models import MODELS

WITHIN = 0.02
PLAN = pipeline.prepare(DIGITS)
CORES = {b.core: b.name for b in load_all() if b.cpu.zig_target or b.cpu.gcc}  # boards of one core differ in memory alone
MEASURE = "run: python tools/measure_code.py examples/digits MODELS --cases"


def link(plan, board: Board) -> build.Image:
    with mock.patch.dict(os.environ, {"MCUML_CACHE": str(cache_folder())}):
        return build.build_firmware(bench.firmware_files(plan, board), board)


def judge(plan, board: Board) -> None:
    told, image = fit(plan, board), link(plan, board)
    assert told.flash_needed == pytest.approx(image.flash_bytes, rel=WITHIN), f"the code has changed; {MEASURE}"
    assert told.estimate.weights == image.weights_bytes
    off = 0 if plan.graph.scheme == "int8" else 8  # expf's errno and its alignment, in GNU's library
    assert abs(told.estimate.ram - image.ram_bytes) <= off and told.ram_needed == told.estimate.ram + build.STACK_BYTES


@pytest.mark.parametrize("board", ["nano33ble", "pico"])
def test_the_digits_are_told_to_two_percent(board: str) -> None:
    judge(PLAN, load(board))


def test_a_float_model_is_told_to_two_percent(shared: Path) -> None:
    judge(pipeline.prepare(shared / "models" / "cnn_on_mcu" / "10_fashion_mnist_float16_model.tflite"), load("nano33ble"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gcc", "zig"])
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_on_every_core(name: str, core: str, kind: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(toolchain.FORCE, kind)
    board = load(CORES[core])
    if not toolchain.preferred(board.cpu):
        pytest.skip(f"There is no {kind} for {core} here; CONTRIBUTING.md tells how to get one.")
    judge(pipeline.prepare(shared / "models" / f"{name}.tflite"), board)


def shrunk(tmp_path: Path, name: str, flash: int, ram: int) -> Board:
    """A board like the default one, with these bytes for a program."""
    text = (ROOT / "boards" / "nano33ble.toml").read_text(encoding="utf-8").replace('name = "nano33ble"', f'name = "{name}"')
    text = text.replace("size = 0x10_0000", f"size = {flash + 0x10000}").replace("size = 0x4_0000", f"size = {ram}")
    (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return load(tmp_path / f"{name}.toml")


def test_the_linker_is_of_the_same_opinion(tmp_path: Path) -> None:
    """RAM to the byte: what the estimate accepts links, and with eight bytes less neither does it."""
    needs = fit(PLAN, load("nano33ble"))
    enough = shrunk(tmp_path, "nano33bla", 1 << 16, needs.ram_needed)
    check_fit(PLAN, enough)
    link(PLAN, enough)
    scarce = shrunk(tmp_path, "nano33blb", 1 << 16, needs.ram_needed - 8)
    with pytest.raises(FitError, match=r"RAM .* \(8 too many\)"):
        check_fit(PLAN, scarce)
    with pytest.raises(FitError, match="no room for its stack"):
        link(PLAN, scarce)


@pytest.mark.parametrize(("share", "refused"), [(0.97, True), (0.985, False), (1.0, False), (1.015, False), (1.2, False)])
def test_what_is_close_is_left_to_the_linker(share: float, refused: bool, tmp_path: Path) -> None:
    needs = fit(PLAN, load("nano33ble"))
    board = shrunk(tmp_path, "nano33bld", round(needs.flash_needed * share) // 4 * 4, 1 << 16)
    assert fit(PLAN, board).close == (0.98 < share < 1.02)
    if refused:
        with pytest.raises(FitError, match="flash"):
            check_fit(PLAN, board)
    else:
        check_fit(PLAN, board)


def test_inspect_tells_all_about_one_board(tmp_path: Path) -> None:
    done = in_process("inspect", DIGITS, "--board", "nano33ble")
    assert done.exit_code == 0 and "fits" in done.stdout and "pico" not in done.stdout
    needs = fit(PLAN, load("nano33ble"))
    for number in (needs.flash_needed, needs.estimate.code, needs.estimate.weights, needs.ram_needed, PLAN.arena_bytes):
        assert f"{number:,}" in done.stdout
    board = shrunk(tmp_path, "tiny", 9000, needs.ram_needed - 100)
    done = in_process("inspect", DIGITS, "--board", tmp_path / "tiny.toml")
    top = peak(PLAN)
    assert done.exit_code == 4 and board.name == "tiny"
    assert f"peaks at operator {top.node.index} ({top.node.code})" in " ".join(done.stdout.split())
    assert "It fits: " in done.stderr and "100 too many" in done.stderr and "The constants alone are 2,748 bytes" in done.stderr


def test_the_peak_names_what_is_alive() -> None:
    top = peak(PLAN)
    assert sum(size for _, size in top.held) == PLAN.live_bytes[PLAN.peak_node] > 0
    assert not advice(PLAN, fit(PLAN, load("nano33ble")))


def test_a_core_without_a_compiler_says_whose_figures_it_has() -> None:
    boards = [b for b in load_all() if not b.cpu.gcc and not b.cpu.zig_target]
    assert boards and all("for want of a compiler" in fit(PLAN, b).estimate.basis for b in boards)


def test_every_core_that_builds_was_measured() -> None:
    table = code_size._table()["figures"]
    assert {f"zig {core}" for core in CORES} | {f"gcc {core}" for core in CORES} <= set(table)


def test_functions_are_read_from_the_c() -> None:
    functions, (calls, arguments, numbers) = read(render_model(PLAN)["model.c"])
    held = {f.name: f for f in functions}
    assert calls == sum(not n.kernel.view for n in PLAN.graph.nodes) and arguments > 3 * calls and numbers > 10
    softmax = held["softmax_s8"]
    assert softmax.stands and softmax.signature[2:4] == (1, 10)  # one row of ten
    assert not held["clamp_s32"].stands


FAMILIES = {"gemm_s8_16": "gemm_s8", "gemm_f32_1x8": "gemm_f32", "depthwise_3x3_1": "depthwise", "widen_s8": "widen_s8"}


@pytest.mark.parametrize("name", FAMILIES)
def test_variants_are_of_one_family(name: str) -> None:
    assert Function(name, "", (), 1, True).family == FAMILIES[name]


def test_a_function_that_was_never_measured_widens_the_margin() -> None:
    known = code_size.demand(PLAN)
    longer = [f for f in known.functions if f.stands]
    other = tuple(Function("quite_new", "0", (), 4000, True) if f is longer[0] else f for f in known.functions)
    board = load("nano33ble")
    plain = code_size.estimate(known, board.cpu, board.name)
    guessed = code_size.estimate(type(known)(**{**vars(known), "functions": other}), board.cpu, board.name)
    assert not plain.guessed and guessed.guessed == ("quite_new",) and guessed.margin > 1.5 * plain.margin
    assert re.search("gcc|zig", plain.basis)

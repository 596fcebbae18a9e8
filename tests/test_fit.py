"""What `mcuml inspect --board` tells beforehand, against linked images: to the byte where a compiler serves the core, and
where the figures of data/code_sizes.json must do, flash within the margin that is told with it (4 % of what was measured) and
RAM to the byte (to 8 of them for models that need a C library's variables)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from commandline import DIGITS, ROOT, cache_folder, in_process
from mcuml import bench, build, code_size, pio, pipeline, toolchain, trial_link
from mcuml.board import Board, load, load_all
from mcuml.code_size import Function, read
from mcuml.errors import FitError
from mcuml.fit import Fit, advice, check_fit, fit, fit_linked, peak
from mcuml.render import render_model
from test_models import MODELS

PLAN = pipeline.prepare(DIGITS)
CORES = {b.core: b.name for b in load_all() if b.cpu.zig_target or b.cpu.gcc}  # boards of one core differ in memory alone
MEASURE = "run: python tools/measure_code.py examples/digits MODELS --cases"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUML_CACHE", str(cache_folder()))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that holds the digits as they are now, whatever data/code_sizes.json does."""
    held = code_size._table()
    columns = len(held["cores"])
    functions: dict[str, list] = {}
    for f in code_size.demand(PLAN).functions:
        entry = {"text": f.text, "signature": list(f.signature), "length": f.length, "size": [100] * columns}
        functions.setdefault(f.family, []).append({**entry, "needs": {}, "code": {}})
    figures = {name: {**known, "firmware": code_size.firmware_digest()} for name, known in held["figures"].items()}
    monkeypatch.setattr(code_size, "_table", lambda: {**held, "figures": figures, "functions": functions})


def link(plan, board: Board) -> build.Image:
    return build.build_firmware(bench.firmware_files(plan, board), board)


def linked(plan, board: Board) -> Fit:
    return fit_linked(bench.firmware_files(plan, board), board)


def judge(plan, board: Board) -> None:
    told, known, image = fit(plan, board), linked(plan, board), link(plan, board)
    assert (known.flash_needed, known.estimate.weights) == (image.flash_bytes, image.weights_bytes)
    assert known.estimate.ram == image.ram_bytes and known.ram_needed == image.ram_bytes + build.STACK_BYTES
    assert told.estimate.weights == image.weights_bytes
    off = told.flash_needed - image.flash_bytes
    about = f"estimated {100 * off / image.flash_bytes:+.1f} % off, {len(told.estimate.guessed)} guesses; {MEASURE}"
    print(about)
    assert abs(off) <= told.estimate.margin, about
    assert abs(told.estimate.ram - image.ram_bytes) <= (0 if plan.graph.scheme == "int8" else 8)  # expf's errno, in GNU's library


@pytest.mark.parametrize("board", ["nano33ble", "pico"])
def test_the_digits_are_told_to_the_byte(board: str) -> None:
    judge(PLAN, load(board))


def test_a_float_model_is_told_to_the_byte(shared: Path) -> None:
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


def test_what_was_linked_once_starts_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    board = load("nano33ble")
    before = linked(PLAN, board)
    toolchain.find(board.cpu)
    monkeypatch.setattr(pio, "call", mock.Mock(side_effect=AssertionError("a compiler was started")))
    assert linked(PLAN, board) == before
    other = replace(PLAN, graph=replace(PLAN.graph, name="other"))
    with pytest.raises(AssertionError, match="a compiler was started"):
        linked(other, board)


@pytest.mark.parametrize("damage", ["", "{", '{"flash": 1}', "[]"])
def test_damaged_sizes_are_found_anew(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUML_CACHE", str(tmp_path))
    board = load("nano33ble")
    before = linked(PLAN, board)
    (kept,) = (tmp_path / "sizes").glob("*.json")
    kept.write_text(damage, encoding="utf-8")
    assert linked(PLAN, board) == before


def test_objects_of_the_firmware_are_shared_but_for_those_that_know_the_model() -> None:
    project = {"src/a.c": '#include "b.h"\n', "src/b.h": '#include "../model.h"\n', "lib/model/model.h": "", "src/c.h": ""}
    assert trial_link._included(project["src/a.c"], project) == {"b.h", "model.h"}


def test_a_model_that_fits_nowhere_is_told_to_the_byte(tmp_path: Path) -> None:
    needs = linked(PLAN, load("nano33ble"))
    least = (needs.flash_needed, needs.ram_needed)
    exact = shrunk(tmp_path, "nano33bla", *least)
    assert linked(PLAN, exact).fits and link(PLAN, exact).flash_bytes == least[0]
    scarce = linked(PLAN, shrunk(tmp_path, "nano33blb", least[0] - 4, least[1] - 8))
    assert (scarce.flash_over, scarce.ram_over, scarce.close) == (4, 8, False)


def test_without_a_compiler_inspect_says_that_it_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_gcc", lambda core: None)
    monkeypatch.setattr(toolchain, "_zig", lambda core: None)
    done = in_process("inspect", DIGITS, "--board", "nano33ble")
    assert done.exit_code == 0 and "code estimated from figures of" in done.stdout and "as linked" not in done.stdout
    assert "The sizes are estimates: There is no C compiler for Arm Cortex-M4F." in done.stderr


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


@pytest.mark.parametrize(("share", "refused"), [(0.95, True), (0.97, False), (1.0, False), (1.03, False), (1.2, False)])
def test_what_is_close_is_left_to_the_linker(share: float, refused: bool, tmp_path: Path, measured: None) -> None:
    needs = fit(PLAN, load("nano33ble"))
    board = shrunk(tmp_path, "nano33bld", round(needs.flash_needed * share) // 4 * 4, 1 << 16)
    assert fit(PLAN, board).close == (0.96 < share < 1.04)
    if refused:
        with pytest.raises(FitError, match="flash"):
            check_fit(PLAN, board)
    else:
        check_fit(PLAN, board)


def test_inspect_tells_all_about_one_board(tmp_path: Path) -> None:
    done = in_process("inspect", DIGITS, "--board", "nano33ble")
    assert done.exit_code == 0 and "fits" in done.stdout and "pico" not in done.stdout
    needs = linked(PLAN, load("nano33ble"))
    assert f"as linked with {needs.estimate.basis}" in done.stdout
    for number in (needs.flash_needed, needs.estimate.code, needs.estimate.weights, needs.ram_needed, PLAN.arena_bytes):
        assert f"{number:,}" in done.stdout
    board = shrunk(tmp_path, "tiny", 9000, needs.ram_needed - 100)
    done = in_process("inspect", DIGITS, "--board", tmp_path / "tiny.toml")
    top = peak(PLAN)
    assert done.exit_code == 4 and board.name == "tiny"
    assert f"peaks at operator {top.node.index} ({top.node.code})" in " ".join(done.stdout.split())
    assert "It fits: " in done.stderr and "100 too many" in done.stderr
    assert f"The constants alone are {needs.estimate.weights:,} bytes" in done.stderr


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


def test_the_figures_are_of_this_code(shared: Path) -> None:
    """Stale figures widen the margin of an estimate and make nothing wrong; hence a notice, no failure."""
    told = {name: fit(pipeline.prepare(shared / "models" / f"{name}.tflite"), load("nano33ble")).estimate for name in MODELS}
    stale = {name: estimate.guessed for name, estimate in told.items() if estimate.guessed}
    if stale:
        names = next(iter(stale.values()))
        pytest.xfail(f"data/code_sizes.json lacks functions of {len(stale)} models, such as {names}; {MEASURE}")


def test_functions_are_read_from_the_c() -> None:
    functions, (calls, arguments, numbers) = read(render_model(PLAN)["model.c"])
    held = {f.name: f for f in functions}
    assert calls == sum(not n.kernel.view for n in PLAN.graph.nodes) and arguments > 3 * calls and numbers > 10
    softmax = held["softmax_s8"]
    assert softmax.stands and softmax.signature[2:4] == (1, 10)  # one row of ten
    assert not held["clamp_s32"].stands


TEXT = """#define LIMIT 3
static const int8_t steps[2] = {1, 2};
#if FAST
static inline int32_t help(int32_t x)
{
    return x + LIMIT;
}
#else
static inline int32_t help(int32_t x)
{
    return x - -LIMIT;
}
#endif
static MCU_NOINLINE int32_t first(int32_t x)
{
    return help(x) + steps[1];
}
static MCU_NOINLINE int32_t second(int32_t x)
{
    return x;
}
int model_invoke(void *arena)
"""
CHANGES = {"LIMIT 3": "LIMIT 4", "{1, 2}": "{1, 3}", "x + LIMIT": "LIMIT + x", "- -LIMIT": "+ LIMIT", "+ steps": "- steps"}


@pytest.mark.parametrize("part", CHANGES)
def test_a_function_is_another_when_anything_that_it_uses_is(part: str) -> None:
    before, after = ({f.name: f.text for f in read(text)[0]} for text in (TEXT, TEXT.replace(part, CHANGES[part])))
    assert before["first"] != after["first"] and before["second"] == after["second"]


FAMILIES = {
    "gemm_s8_16": "gemm_s8", "gemm_f32_1x8": "gemm_f32", "depthwise_3x3_1": "depthwise", "widen_s8": "widen_s8",
    "conv_pool_s8_3x1x2_4_8_rows": "conv_pool_s8_rows", "max_pool_2d_s8": "max_pool_2d_s8", "softmax_s16_s16": "softmax_s16_s16",
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_variants_are_of_one_family(name: str) -> None:
    assert Function(name, "", (), 1, True).family == FAMILIES[name]


def test_a_function_that_was_never_measured_widens_the_margin(measured: None) -> None:
    known = code_size.demand(PLAN)
    longer = [f for f in known.functions if f.stands]
    other = tuple(Function("quite_new", "0", (), 4000, True) if f is longer[0] else f for f in known.functions)
    board = load("nano33ble")
    plain = code_size.estimate(known, board.cpu, board.name)
    guessed = code_size.estimate(type(known)(**{**vars(known), "functions": other}), board.cpu, board.name)
    assert not plain.guessed and guessed.guessed == ("quite_new",) and guessed.margin > 1.5 * plain.margin
    assert re.search("gcc|zig", plain.basis)


def test_a_changed_firmware_widens_the_margin(measured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fit(PLAN, load("nano33ble")).estimate
    monkeypatch.setattr(code_size, "firmware_digest", lambda: "another")
    changed = fit(PLAN, load("nano33ble")).estimate
    assert changed.code == plain.code and "firmware" in changed.guessed and changed.margin > 1.5 * plain.margin

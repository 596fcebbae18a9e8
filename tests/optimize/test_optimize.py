"""The whole command on a tiny network: every component, what it leaves in its folder, what a second run takes over, and that
nothing is chosen by the test set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")
import tiny

from commandline import environment, mcuml
from mcuml.errors import RequestError
from mcuml.optimize import Recipe, choose, prune, ptq, recipe, run
from mcuml.optimize.report import Report
from mcuml.optimize.runner import LOG
from mcuml.optimize.steps import Step, all_steps

SHORT = [word for name, step in all_steps().items() if "epochs" in step.model_fields for word in ("--set", f"{name}.epochs=1")]
SHORT += ["--set", "prune.scope=layer", "--set", "prune.sparsity=0.5"]  # more would empty whole channels of so small a network
OTHERS = "train(epochs=1)+finetune(epochs=1)+fold+int8"  # what `all` leaves out
FORMATS = {"float32", "dynamic", "float16", "int8", "int16x8"}
BOARD = "nano33ble"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def out(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--recipe all` leaves behind."""
    folder = tmp_path_factory.mktemp("all")
    done = mcuml(
        "optimize", files[0], "--data", files[1], "-r", "all", "-r", OTHERS, *SHORT, "--jobs", 2, "-o", folder, limit_s=900
    )
    assert done.returncode == 0, done.stderr
    (folder / "told.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def report(out: Path) -> Report:
    return Report.model_validate_json((out / "report.json").read_text(encoding="utf-8"))


def steps_of(report: Report) -> dict[str, tuple[Step, ...]]:
    return {row.recipe: recipe.parse(row.steps).steps for row in report.rows}


def work(folder: Path) -> dict[str, int]:
    """The models in the work folder, and when each was written."""
    return {p.name: p.stat().st_mtime_ns for p in (folder / "work").iterdir() if p.name != LOG}


def test_every_component_ran_in_every_format(report: Report) -> None:
    ran = [step for steps in steps_of(report).values() for step in steps]
    assert {type(step) for step in ran} == set(all_steps().values())
    assert {step.format for step in ran if isinstance(step, ptq)} == FORMATS
    assert {row.recipe for row in report.rows} == {recipe.BASELINE, OTHERS, *(r.name for r in recipe.every_recipe())} - {
        "float32"
    }
    assert not report.failures and not report.unmet


def test_every_model_gives_the_oracles_outputs_on_the_virtual_board(report: Report) -> None:
    for row in report.rows:
        for account in row.accounts:
            (held,) = account.boards
            assert held.board == BOARD and held.fits and held.agrees, row.recipe
            assert held.identical or account.scheme not in ("int8", "int16x8"), row.recipe


def test_report_lock_file_and_models_agree(out: Path, report: Report) -> None:
    page, told = (out / "report.md").read_text(encoding="utf-8"), (out / "told.txt").read_text(encoding="utf-8")
    locked = recipe.load(out / "recipe.lock.toml")
    assert [(r.name, r.steps) for r in locked.recipes] == list(steps_of(report).items())[1:]
    assert (locked.locked.model_sha256, locked.locked.data_sha256) == (report.model_sha256, report.data_sha256)
    for row in report.rows:
        (account,) = row.accounts
        name = row.recipe + (" *" if row.pareto else "")
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        assert f"{100 * account.test_accuracy:.2f}" in line and f"{account.boards[0].flash_bytes:,}" in line
        assert name in told
        stem = row.recipe.replace("(", "_").replace(")", "_").replace("=", "_")
        assert (out / "models" / f"{stem}-s0.tflite").stat().st_size == account.tflite_bytes
        assert any((out / "models" / f"{stem}-s0{suffix}").is_file() for suffix in (".keras", ".h5"))


def test_four_are_recommended_with_reasons_that_its_figures_bear_out(report: Report) -> None:
    kinds = {r.kind: r for r in report.recommended}
    assert list(kinds) == ["smallest", "most accurate", "fastest", "best trade-off"]
    rows = {row.recipe: row for row in report.rows}
    best = max(row.accounts[0].validation_accuracy for row in report.rows)
    assert rows[kinds["most accurate"].name].accounts[0].validation_accuracy == best
    for r in report.recommended:
        assert r.reason.endswith(".") and rows[r.name]
    flash = f"{rows[kinds['smallest'].name].accounts[0].boards[0].flash_bytes:,} bytes"
    assert flash in kinds["smallest"].reason


def test_the_report_tells_what_mcumls_own_passes_are_worth(out: Path, report: Report) -> None:
    assert report.passes and report.passes.recipe == report.recommended[-1].name and report.passes.board == BOARD
    row = next(row for row in report.rows if row.recipe == report.passes.recipe)
    assert report.passes.full.cycles == row.accounts[0].boards[0].cycles
    assert "mcuml's own graph passes" in (out / "report.md").read_text(encoding="utf-8")
    assert "What the graph passes save on" in (out / "told.txt").read_text(encoding="utf-8")


def test_a_step_that_recipes_share_ran_once(out: Path, report: Report) -> None:
    begun = {steps[:count] for steps in steps_of(report).values() for count in range(1, len(steps) + 1)}
    assert len(work(out)) == 1 + len(begun)


def test_the_lock_file_repeats_the_run_and_all_is_taken_over(files: tuple[Path, Path], out: Path, report: Report) -> None:
    before, accounts = work(out), [row.accounts for row in report.rows]
    done = mcuml("optimize", files[0], "--data", files[1], "-r", out / "recipe.lock.toml", "-o", out, "--quiet")
    assert done.returncode == 0, done.stderr
    again = Report.model_validate_json((out / "report.json").read_text(encoding="utf-8"))
    assert work(out) == before
    assert [row.accounts for row in again.rows] == accounts and again.recommended == report.recommended
    assert again.passes == report.passes


def test_a_model_of_it_goes_into_bench(out: Path, report: Report) -> None:
    name = report.recommended[0].name
    done = mcuml("bench", out / "models" / f"{name}-s0.tflite", "--samples", 2)
    assert done.returncode == 0, done.stderr


FEW = [Recipe("thin", (prune(sparsity=0.5, epochs=1), ptq(format="int8"))), "int8", "dynamic"]


def test_nothing_is_chosen_by_the_test_set(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Other labels of the test set: other accuracies told, the same models chosen."""
    held = tiny.arrays()
    held["y_test"] = np.random.default_rng(1).permutation(held["y_test"])
    np.savez(tmp_path / "other.npz", **held)
    one, other = (
        run(files[0], data, FEW, BOARD, tmp_path / str(n), jobs=2) for n, data in enumerate((files[1], tmp_path / "other.npz"))
    )
    for a, b in zip(one.rows, other.rows, strict=True):
        assert abs(a.accounts[0].test_accuracy - b.accounts[0].test_accuracy) > 0.1
        assert (a.recipe, a.pareto, a.accounts[0].correct_validation) == (b.recipe, b.pareto, b.accounts[0].correct_validation)
    assert one.recommended == other.recommended and len(one.recommended) == 4
    assert [field for field in choose.Seen.__dataclass_fields__ if "test" in field] == []

    # A second seed is added to what there is.
    before = work(tmp_path / "0")
    more = run(files[0], files[1], FEW, BOARD, tmp_path / "0", jobs=2, seeds=2)
    assert before.items() <= work(tmp_path / "0").items()
    for a, b in zip(one.rows, more.rows, strict=True):
        assert a.accounts[0] == b.accounts[0] and len(b.accounts) == 2
    thin = next(row for row in more.rows if row.recipe == "thin")
    assert thin.accounts[0].gzip_bytes != thin.accounts[1].gzip_bytes


def test_steps_have_their_names_and_tensorflow_is_not_imported_for_them() -> None:
    """Each in small letters, from the package; a word that is none is an AttributeError."""
    names = ", ".join(all_steps())
    script = (
        f"import sys; from mcuml.optimize import Recipe, run, {names}; assert not {{'tensorflow', 'tf_keras'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], env=environment(), check=True)
    assert Recipe("small", (prune(sparsity=0.9), ptq(format="int8"))).text == "prune(sparsity=0.9)+int8"
    with pytest.raises(RequestError, match="does not end in an export"):
        Recipe("open", (prune(),))
    with pytest.raises(ImportError):
        from mcuml.optimize import shrink  # noqa: F401

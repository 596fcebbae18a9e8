"""What goes wrong while recipes run is told in a sentence, costs no other recipe, and leaves no process and no half file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")
import tiny

from commandline import COMMAND, environment, mcuml
from mcuml.optimize.report import Report

QUICK = ("-r", "int8")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny.write(tmp_path_factory.mktemp("tiny"))


def arguments(files: tuple[Path, Path], out: Path, *words: object) -> list[str]:
    return ["optimize", *map(str, (files[0], "--data", files[1], "-o", out, *words))]


def report(out: Path) -> Report:
    return Report.model_validate_json((out / "report.json").read_text(encoding="utf-8"))


WRONG_BEFORE = {  # id: (words, exit code, what is said): known before anything runs
    "unknown-board": (["--board", "no-such-board"], 2, "no-such-board"),
    "illegal-order": (["-r", "int8+prune"], 2, "prune cannot come after ptq"),
    "no-data": (["--data", "absent.npz"], 2, "There is no data absent.npz"),
    "no-recipe-file": (["-r", "absent.toml"], 2, "Cannot read absent.toml"),
    "few-samples": (["-r", "int8(samples=1)"], 2, "ptq does not take samples"),
    "goal": (["--goal", "min beauty"], 2, "beauty"),
}


@pytest.mark.parametrize("case", WRONG_BEFORE)
def test_what_is_wrong_from_the_start_is_told_before_anything_runs(case: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    words, status, said = WRONG_BEFORE[case]
    done = mcuml(*arguments(files, tmp_path / "out", *QUICK, *words))
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert not (tmp_path / "out" / "report.json").exists()
    assert not list((tmp_path / "out").glob("work/*.tflite"))


DATA = {  # id: (changes to the arrays, what is said)
    "nan": ("x_train", np.nan, "sample 7 holds nan"),
    "label": ("y_train", 3, "the label of sample 7 is 3; the model has 3 classes"),
}


@pytest.mark.parametrize("case", DATA)
def test_bad_data_is_refused_by_its_sample(case: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    name, value, said = DATA[case]
    held = tiny.arrays()
    held[name][7] = value
    np.savez(tmp_path / "bad.npz", **held)
    done = mcuml(*arguments((files[0], tmp_path / "bad.npz"), tmp_path / "out", *QUICK))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_the_output_folder_is_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = mcuml(*arguments(files, tmp_path / "out", *QUICK))
    assert done.returncode == 2 and f"Cannot use {tmp_path / 'out'}" in done.stderr


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tf_keras"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def test_without_tensorflow_one_line_names_the_extra(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = mcuml(*arguments(files, tmp_path / "out", *QUICK), PYTHONPATH=path)
    assert done.returncode == 2 and "mcuml optimize needs TensorFlow, which is not installed" in done.stderr
    assert "pip install 'mcuml[optimize]'" in done.stderr


def test_a_recipe_that_fails_takes_no_other_along(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Samples at which the loss is no number; and a goal that nobody meets, beside it."""
    words = ("-r", "finetune(epochs=1)+float32", "-r", "dynamic", "--goal", "accuracy>=100.5%")
    held = tiny.arrays()
    held["x_train"] *= np.float32(5e37)
    np.savez(tmp_path / "huge.npz", **held)
    done = mcuml(*arguments((files[0], tmp_path / "huge.npz"), tmp_path / "out", *words))
    assert done.returncode == 7, done.stderr
    told = report(tmp_path / "out")
    assert [row.recipe for row in told.rows] == ["baseline", "dynamic"]
    ((name, seed, why),) = told.failures
    assert name.startswith("finetune") and seed == 0 and "finetune" in why and "epoch" in why, why
    assert "No candidate meets" in done.stderr and "No candidate meets" in told.unmet and "baseline" in told.unmet
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "No candidate meets" in page and why.splitlines()[0] in page


def processes(out: Path) -> list[Path]:
    """Processes that were started with `out` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                if f"MCUML_TEST={out}\0".encode() in (folder / "environ").read_bytes():
                    found.append(folder)
            except OSError:
                continue  # it has just ended
    return found


def workers(out: Path) -> list[Path]:
    return [p for p in processes(out) if b"spawn_main" in (p / "cmdline").read_bytes()]


def start(files: tuple[Path, Path], out: Path, *words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *arguments(files, out, *words)], env=environment(MCUML_TEST=str(out)), start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(what, limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline, "what the test waits for did not come"
        time.sleep(0.05)


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc")
LONG = "prune(epochs=4000)+int8"


@linux
@pytest.mark.parametrize("group", [True, False])
def test_interrupted_leaves_nothing_running_and_goes_on_later(group: bool, files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    started = start(files, out, *QUICK, "-r", LONG, "--jobs", 2)
    until(lambda: list(out.glob("work/*.tflite")))
    (os.killpg if group else os.kill)(started.pid, signal.SIGINT)
    _, stderr = started.communicate(timeout=30)
    assert started.returncode == 130 and stderr.splitlines()[-1] == "Interrupted.", stderr
    assert "Traceback" not in stderr
    until(lambda: not processes(out), 10)
    assert not list(out.glob("work/.*"))
    kept = {p: p.stat().st_mtime_ns for p in out.glob("work/*.tflite")}
    done = mcuml(*arguments(files, out, *QUICK))
    assert done.returncode == 0, done.stderr
    assert kept.items() <= {p: p.stat().st_mtime_ns for p in out.glob("work/*.tflite")}.items()


@linux
def test_interrupted_while_a_worker_starts(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Ctrl-C of a terminal reaches the worker too, which has not come to ignore it yet."""
    started = start(files, tmp_path / "out", *QUICK)
    until(lambda: workers(tmp_path / "out"))
    os.kill(int(workers(tmp_path / "out")[0].name), signal.SIGINT)
    until(lambda: (tmp_path / "out" / "work" / "tensorflow.log").exists(), 30)  # it has begun
    os.killpg(started.pid, signal.SIGINT)
    _, stderr = started.communicate(timeout=30)
    assert started.returncode == 130 and stderr.splitlines() == ["Interrupted."], stderr
    until(lambda: not processes(tmp_path / "out"), 10)


@linux
def test_a_worker_that_is_killed_is_a_sentence(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    started = start(files, out, "-r", LONG)
    until(lambda: list(out.glob("work/*.tflite")))
    os.kill(int(workers(out)[0].name), signal.SIGKILL)
    _, stderr = started.communicate(timeout=30)
    assert started.returncode == 7 and "A worker process ended without a word" in stderr, stderr
    assert "Traceback" not in stderr
    until(lambda: not processes(out), 10)


@pytest.fixture(scope="session")
def finished(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    done = mcuml(*arguments(files, out, "-r", "equalize+int8", "-r", "prune(epochs=1)+int8"))
    assert done.returncode == 0, done.stderr
    return out


def test_a_lock_file_of_another_model_is_refused(files: tuple[Path, Path], finished: Path, tmp_path: Path) -> None:
    lock = finished / "recipe.lock.toml"
    text = lock.read_text(encoding="utf-8")
    sha = report(finished).model_sha256
    other = tmp_path / "other.toml"
    other.write_text(text.replace(sha, "0" * 64), encoding="utf-8")
    done = mcuml(*arguments(files, tmp_path / "out", "-r", other))
    assert done.returncode == 2 and "tiny.keras is not what the lock file was made with" in done.stderr


def test_damaged_work_is_made_again_or_named(files: tuple[Path, Path], finished: Path) -> None:
    """Exported files that accounts tell the size of are made anew; others are named, and made anew once they are gone."""
    names, accounts = ("-r", "equalize+int8", "-r", "prune(epochs=1)+int8"), [row.accounts for row in report(finished).rows]
    with sqlite3.connect(finished / "results.sqlite") as connection:
        connection.execute("DELETE FROM accounts WHERE recipe LIKE 'equalize%'")
    root = next(finished.glob("work/*-*.keras"))
    for path in finished.glob("work/*.*"):
        if path.suffix in (".keras", ".tflite") and path != root:
            path.write_bytes(path.read_bytes()[:100])
    removed = []
    while (done := mcuml(*arguments(files, finished, *names))).returncode:
        assert done.returncode == 7 and "is made anew" in done.stderr, done.stderr
        damaged = {word.rstrip(";") for word in done.stderr.split() if "/work/" in word}
        assert damaged and len(removed) < 3, done.stderr
        for path in map(Path, damaged):
            path.unlink()
            removed.append(path.suffix)
    assert sorted(removed) == [".keras", ".keras", ".tflite"]
    assert [row.accounts for row in report(finished).rows] == accounts
    assert all(p.stat().st_size > 100 for p in finished.glob("models/*"))
    (finished / "results.sqlite").write_bytes(b"no database" * 100)
    done = mcuml(*arguments(files, finished, *names))
    assert done.returncode == 2 and f"Cannot use {finished / 'results.sqlite'}" in done.stderr


FULL = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.argv = ["mcuml", *sys.argv[1:]]
runpy.run_module("mcuml", run_name="__main__")
"""


@linux
def test_a_full_disk_is_a_sentence_and_leaves_no_half_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    """No file may be larger than 20,000 bytes: a .keras file is."""
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", FULL, *arguments(files, out, *QUICK)], env=environment(), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "Cannot write" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not list(out.glob("work/*.keras")) and not list(out.glob("work/.*"))

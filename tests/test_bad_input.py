"""What a user may get wrong or meet, on the command line: the exit status, a sentence with the facts, never a traceback."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import modelmaker as mm
from commandline import COMMAND, DIGITS, DIGITS_DATA, cache_folder, environment, in_process, mcuml
from test_tflite import CHANGES, SMALL, changed


def refused(status: int, words: list[str], *command: object, **changes: str | None) -> str:
    """stderr of a command that must end with `status` and name all `words`, with nothing on stdout."""
    done = in_process(*command, **changes)
    assert done.exit_code == status, (done.exit_code, done.stdout, done.stderr)
    assert done.stdout == "" and done.stderr.startswith("error: ")
    assert not [word for word in words if word not in done.stderr], done.stderr
    return done.stderr


MODELS: dict[str, tuple[Callable[[], bytes], int, list[str]]] = {  # id: (bytes, exit status, words)
    "text": (lambda: b"hello, I am a text file\n" * 9, 3, ["bad.tflite", "not a TFLite model"]),
    "empty": (lambda: b"", 3, ["bad.tflite", "empty"]),
    "truncated": (lambda: DIGITS.read_bytes()[:3000], 3, ["bad.tflite", "of 3000", "damaged or incomplete"]),
    "index-out-of-range": (lambda: changed(CHANGES["operator-input-out-of-range"][0]), 3, ["bad.tflite", "tensor 99"]),
    "cyclic": (lambda: changed(CHANGES["cycle"][0]), 3, ["cycle", "CONV_2D"]),
    "negative-shape": (lambda: changed(CHANGES["negative-shape"][0]), 3, ["[1, -6, 6, 3]", "'x'"]),
    "unknown-operator": (lambda: changed(CHANGES["unknown-operator"][0]), 3, ["UNKNOWN_5000", "'conv'"]),
}


@pytest.mark.parametrize("case", MODELS)
def test_models_that_are_none(case: str, tmp_path: Path) -> None:
    data, status, words = MODELS[case]
    (tmp_path / "bad.tflite").write_bytes(data())
    refused(status, words, "inspect", tmp_path / "bad.tflite")


REQUESTS: dict[str, tuple[list[object], list[str]]] = {  # id: (command, words); exit status 2
    "no-such-model": (["bench", "no/such.tflite"], ["no/such.tflite"]),
    "model-is-a-folder": (["inspect", "."], ["'.'"]),
    "unknown-board": (["bench", DIGITS, "--board", "nano33bel"], ["nano33bel", "nano33ble"]),
    "unknown-board-of-boards": (["boards", "pico3"], ["pico3", "pico2"]),
    "unknown-core": (["compile", DIGITS, "-o", "c", "--core", "cortex-m4x"], ["cortex-m4x", "cortex-m4f"]),
    "board-and-core": (["compile", DIGITS, "-o", "c", "--core", "cortex-m4f", "--board", "pico"], ["--board", "--core"]),
    "prefix": (["compile", DIGITS, "-o", "c", "--prefix", "3x"], ["3x"]),
    "samples": (["bench", DIGITS, "--samples", "many"], ["many", "all"]),
    "no-such-data": (["bench", DIGITS, "--data", "no.npz"], ["no.npz"]),
    "data-shape": (["bench", DIGITS, "--data", "shape.npy"], ["shape.npy", "[9, 9]", "[1, 8, 8, 1]"]),
    "data-type": (["bench", DIGITS, "--data", "type.npy"], ["type.npy", "complex64", "int8"]),
    "data-text": (["bench", DIGITS, "--data", "text.npz"], ["text.npz"]),
    "labels-count": (
        ["bench", DIGITS, "--data", DIGITS_DATA, "--labels", "labels.npy", "--samples", "all"],
        ["100", "labels.npy"],
    ),
    "labels-range": (["bench", DIGITS, "--data", DIGITS_DATA, "--labels", "labels.npy", "--samples", "1"], ["77", "10 outputs"]),
    "no-virtual-board": (["bench", DIGITS, "--board", "esp32dev"], ["esp32dev", "nano33ble"]),
    "output-in-a-file": (["compile", DIGITS, "-o", "text.npz/c"], ["text.npz/c", "-o"]),
    "json-in-a-file": (["bench", DIGITS, "--json", "text.npz/r.json"], ["text.npz/r.json"]),
    "json-is-a-folder": (["bench", DIGITS, "--json", "."], ["Cannot write ."]),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with data that does not fit the digits' model."""
    folder = tmp_path_factory.mktemp("desk")
    np.save(folder / "shape.npy", np.zeros((3, 9, 9), np.float32))
    np.save(folder / "type.npy", np.zeros((3, 8, 8, 1), np.complex64))
    np.save(folder / "labels.npy", np.array([77, 1, 2]))
    (folder / "text.npz").write_text("no archive")
    return folder


@pytest.mark.parametrize("case", REQUESTS)
def test_requests_that_cannot_be_met(case: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    before = sorted(desk.iterdir())
    refused(2, REQUESTS[case][1], *REQUESTS[case][0])
    assert sorted(desk.iterdir()) == before, "something was written all the same"


@pytest.mark.parametrize(
    "words", [["bench"], ["nosuch"], ["bench", "a", "b"], ["boards", "--nosuch"], ["bench", DIGITS, "--runs", "0"]]
)
def test_wrong_words_show_the_usage(words: list[object]) -> None:
    done = in_process(*words)
    assert done.exit_code == 2 and done.stdout == "" and "Usage: mcuml" in done.stderr


def wide(units: int) -> bytes:
    """A layer of 1000 x `units` int8 weights."""
    rng = np.random.default_rng(1)
    layer = mm.fully_connected(rng, x := mm.tensor("x", "int8", (1, 1000), 0.05, -3), units)
    return mm.model([layer], [x], layer.outputs)


def tall(size: int) -> bytes:
    """A layer on a picture of `size` x `size` x 3."""
    rng = np.random.default_rng(1)
    layer = mm.conv(rng, x := mm.tensor("x", "int8", (1, size, size, 3), 0.05, -3), 4, stride=(4, 4))
    return mm.model([layer], [x], layer.outputs)


@pytest.mark.parametrize(
    ("verb", "kind"), [("bench", "flash"), ("bench", "RAM"), ("build", "RAM"), ("simulate", "flash"), ("compile", "flash")]
)
def test_too_large_for_the_board_is_said_before_any_compiler_runs(verb: str, kind: str, tmp_path: Path) -> None:
    """The only compiler on PATH leaves a mark when it is called, and the cache is a file: any build would fail otherwise."""
    compiler = tmp_path / "arm-none-eabi-gcc"
    compiler.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\nexit 1\n")
    compiler.chmod(0o755)
    (tmp_path / "cache").write_text("in the way")
    (tmp_path / "big.tflite").write_bytes(wide(1200) if kind == "flash" else tall(256))
    output = ["-o", tmp_path / "c"] if verb == "compile" else []
    told = refused(
        4, ["big does not fit nano33ble", f"{kind} 1,2" if kind == "flash" else "RAM ", " too many)", "It fits: ", "pico2"],
        verb, tmp_path / "big.tflite", "--board", "nano33ble", *output,
        PATH=str(tmp_path), MCUML_TOOLCHAIN="gcc", MCUML_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert "nano33ble" not in told.split("It fits: ")[1]
    assert not (tmp_path / "called").exists() and not (tmp_path / "c").exists()


def test_a_model_for_no_board_at_all(tmp_path: Path) -> None:
    (tmp_path / "huge.tflite").write_bytes(tall(2000))
    refused(4, ["huge does not fit", "none of the boards"], "bench", tmp_path / "huge.tflite")


def test_no_compiler_at_all(tmp_path: Path) -> None:
    """PATH is empty and the ziglang package is out of sight."""
    hidden = "import sys; sys.modules['ziglang'] = None; from mcuml.cli import main; main()"
    for verb in ("build", "bench"):
        done = subprocess.run([sys.executable, "-c", hidden, verb, str(DIGITS)], capture_output=True, text=True, check=False,
                              env=environment(PATH=str(tmp_path), MCUML_CACHE=str(tmp_path / "cache")))  # fmt: skip
        assert done.returncode == 5 and done.stdout == "", done.stderr
        assert "There is no C compiler for Arm Cortex-M4F" in done.stderr and "pip install ziglang==" in done.stderr


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    compiler = tmp_path / "arm-none-eabi-gcc"
    compiler.write_text(
        "#!/bin/sh\ncase \"$*\" in *-dump*) echo 99.1;; *' -E '*) ;; "
        "*) echo 'model.c:3:1: error: no, I will not' >&2; exit 1;; esac\n"
    )
    compiler.chmod(0o755)
    refused(5, ["no, I will not"], "build", DIGITS, "--quiet", MCUML_TOOLCHAIN="gcc", MCUML_CACHE=str(tmp_path / "cache"),
            PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")  # fmt: skip


@pytest.mark.parametrize("place", ["file/below", "/proc/mcuml"])
def test_a_cache_that_cannot_be_written(place: str, tmp_path: Path) -> None:
    """Tests may run as root, whom no permission bits stop: a file in the folder's place and /proc stop root too."""
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("There is no /proc here; the other case of this test covers the same path.")
    (tmp_path / "file").write_text("in the way")
    refused(2, ["Cannot build in", "MCUML_CACHE"], "build", DIGITS, MCUML_CACHE=str(tmp_path / place))


# a full disk


@pytest.fixture
def full() -> Iterator[Path]:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("There is no /dev/full here; run this on Linux.")
    yield device
    assert stat.S_ISCHR(device.stat().st_mode), "the device was replaced by a file"


def test_json_to_a_full_disk(full: Path) -> None:
    done = mcuml("bench", DIGITS, "--quiet", "--json", full)
    assert (
        (done.returncode, done.stdout) == (2, "") and "Cannot write /dev/full" in done.stderr and "No space left" in done.stderr
    )


@pytest.mark.parametrize("unbuffered", [None, "1"])
def test_stdout_on_a_full_disk(full: Path, unbuffered: str | None) -> None:
    with full.open("w") as file:
        done = subprocess.run(
            [*COMMAND, "boards"], env=environment(PYTHONUNBUFFERED=unbuffered), stdout=file, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2 and done.stderr == "error: No space left on device\n"


def limited(limit: int, *words: object, cache: Path) -> subprocess.CompletedProcess[str]:
    """mcuml where no file can grow beyond `limit` bytes: what a full disk looks like, without one."""
    resource = pytest.importorskip("resource", reason="Limits on file sizes are POSIX's; run this on Linux or macOS.")
    done = subprocess.run(
        [*COMMAND, *map(str, words)], env=environment(MCUML_CACHE=str(cache)), capture_output=True, text=True, timeout=120,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("words", [["compile", DIGITS, "-o"], ["bench", DIGITS, "--json"]], ids=["compile", "json"])
def test_output_that_runs_out_of_space_leaves_no_half_file(words: list[object], tmp_path: Path) -> None:
    cache = cache_folder()
    mcuml("bench", DIGITS, "--quiet")  # so that nothing but the output has to be written
    target = tmp_path / "out"
    done = limited(1000, *words, target, cache=cache)
    assert done.returncode == 2 and "Cannot write" in done.stderr, done.stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(("limit", "status"), [(1000, 2), (60_000, 5)], ids=["sources", "objects"])
def test_a_build_that_runs_out_of_space_can_be_repeated(limit: int, status: int, tmp_path: Path) -> None:
    done = limited(limit, "build", DIGITS, cache=tmp_path)
    assert done.returncode == status and done.stderr.startswith(("error: ", "build: ")) and done.stdout == "", done.stderr
    again = mcuml("build", DIGITS, MCUML_CACHE=str(tmp_path))
    assert again.returncode == 0 and "built with" in again.stderr, again.stderr


def test_small_is_a_good_model(tmp_path: Path) -> None:
    """The models above fail for what was changed in them."""
    (tmp_path / "good.tflite").write_bytes(SMALL)
    assert in_process("inspect", tmp_path / "good.tflite").exit_code == 0

"""`mcuml tune` and --tuned: what was measured decides, the file says for which core, and without it nothing changes."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from commandline import COMMAND, DIGITS, environment, mcuml
from mcuml import tuned
from mcuml.errors import RequestError
from mcuml.pipeline import lowered, prepare
from mcuml.schedule import names
from modelmaker import conv, model, op, random_tensor, tensor


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two convolutions that several kernels serve, and a sum that one serves."""
    rng = np.random.default_rng(5)
    x = random_tensor(rng, "x", "int8", (1, 9, 8, 8))
    first = conv(rng, x, 8, name="first")
    second = conv(rng, first.outputs[0], 12, name="second")
    for layer in (first, second):
        layer.outputs[0].scale = (1.0,)  # a shift to the right, which the quick kernels need
    y = tensor("y", "int8", second.outputs[0].shape, 2.0, 3)
    file = tmp_path_factory.mktemp("tune") / "two.tflite"
    file.write_bytes(model([first, second, op("ADD", [second.outputs[0], second.outputs[0]], [y])], [x], [y]))
    return file


@pytest.fixture(scope="module")
def outcome(path: Path) -> tuple[str, tuned.Tuned]:
    """(stdout, the file) of one tuning."""
    file = path.with_suffix(".json")
    done = mcuml("tune", path, "-o", file, "--optimize", "speed")
    assert done.returncode == 0 and f"--tuned {file}" in done.stderr, done.stderr
    return done.stdout, tuned.load(file, "cortex-m4f")


def test_every_kernel_is_measured_and_the_quickest_taken(path: Path, outcome: tuple[str, tuned.Tuned]) -> None:
    text, held = outcome
    several = [node for node in lowered(path).nodes if len(node.candidates) > 1]
    assert len(several) == len(held.cycles) == 2
    for node, (layer, cycles) in zip(several, sorted(held.cycles.items(), key=lambda item: "[12," in item[0]), strict=True):
        assert layer.startswith("CONV_2D int8[1,9,8,8]") and set(cycles) == set(names(node))
        assert min(cycles.values()) > node.kernel.macs // 4 and len(set(cycles.values())) == len(cycles)
        best = min(cycles, key=cycles.__getitem__)
        for name, spent in cycles.items():
            assert re.search(rf"{re.escape(name)} +{spent:,} .*{'taken' if name == best else ''}", text), text
    assert text.count("taken") == 2


@pytest.mark.parametrize("objective", ["speed", "size", "ram"])
def test_the_file_decides(path: Path, outcome: tuple[str, tuned.Tuned], tmp_path: Path, objective: str) -> None:
    """Turned round, it makes the choice by speed turn round, and no other."""
    highest = max(max(c.values()) for c in outcome[1].cycles.values())
    turned = {layer: {name: 2 * highest - n for name, n in c.items()} for layer, c in outcome[1].cycles.items()}
    file = tmp_path / "turned.json"
    file.write_text(tuned.to_json(outcome[1].model_copy(update={"cycles": turned})), encoding="utf-8")
    kernels = []
    for held in (path.with_suffix(".json"), file):
        made = prepare(path, objective, tuned.load(held).cycles)
        kernels.append([node.kernel.template for node in made.graph.nodes if node.kernel])
    assert (kernels[0] != kernels[1]) == (objective == "speed")


def test_compile_takes_the_file_and_tells_so(path: Path, outcome: tuple[str, tuned.Tuned], tmp_path: Path) -> None:
    file = path.with_suffix(".json")
    for words, folder in (([], "plain"), (["--tuned", file], "tuned"), (["--tuned", file], "again")):
        done = mcuml("compile", path, "-o", tmp_path / folder, *words)
        assert done.returncode == 0, done.stderr
    plain, first, second = ((tmp_path / f / "model.c").read_text(encoding="utf-8") for f in ("plain", "tuned", "again"))
    assert first == second and f"--tuned {file.name}" in first and "--tuned" not in plain


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compile", "--core", "cortex-m0plus"], "measured on a cortex-m4f, not on a cortex-m0plus"),
        (["build", "--board", "pico"], "measured on a cortex-m4f, not on a cortex-m0plus"),
        (["inspect", "--board", "nucleo_h743zi"], "measured on a cortex-m4f, not on a cortex-m7"),
    ],
)
def test_a_file_of_another_core_is_refused(path: Path, outcome: object, tmp_path: Path, words: list[str], said: str) -> None:
    more = ["-o", tmp_path / "c"] if words[0] == "compile" else []
    done = mcuml(words[0], path, *words[1:], *more, "--tuned", path.with_suffix(".json"))
    assert done.returncode == 2 and said in done.stderr, done.stderr


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema": 1, "core": "x", "compiler": "y", "cycles": {"a": 3}}', "\0"])
def test_a_file_that_is_none_is_refused(path: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match="holds no measured kernels"):
        tuned.load(file)
    for verb in (["tune", path, "-o", file], ["inspect", path, "--tuned", file]):
        assert mcuml(*verb).returncode == 2
    assert file.read_text(encoding="utf-8") == text


def test_a_file_serves_several_models() -> None:
    old = tuned.Tuned(schema=1, core="a", compiler="gcc 1", cycles={"one": {"k": 1}, "two": {"k": 2}})
    new = old.model_copy(update={"cycles": {"two": {"k": 3}}})
    assert tuned.merged(old, new).cycles == {"one": {"k": 1}, "two": {"k": 3}}
    assert tuned.merged(None, new) is new
    assert tuned.merged(old, new.model_copy(update={"compiler": "", "cycles": {}})) is old
    assert tuned.merged(old, new.model_copy(update={"compiler": "gcc 2"})).cycles == {"two": {"k": 3}}


def test_a_model_without_a_choice(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = random_tensor(rng, "x", "float32", (1, 10))
    y = tensor("y", "float32", (1, 10))
    (tmp_path / "m.tflite").write_bytes(model([op("SOFTMAX", [x], [y], beta=1.0)], [x], [y]))
    done = mcuml("tune", tmp_path / "m.tflite", "-o", tmp_path / "t.json")
    assert done.returncode == 0 and "No layer of m.tflite has more than one kernel" in done.stderr and not done.stdout
    assert tuned.load(tmp_path / "t.json").cycles == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--board", "pico"], 2, "no cycle model of a cortex-m0plus"),
        (["--board", "esp32dev"], 2, "no simulator"),
        (["--optimize", "best"], 2, "balanced, speed, size, ram"),
        (["-o", "/"], 2, "Cannot write"),
    ],
)
def test_what_cannot_be_tuned(words: list[str], code: int, said: str) -> None:
    done = mcuml("tune", DIGITS, *words)
    assert done.returncode == code and said in done.stderr, done.stderr


def test_ctrl_c_leaves_the_file_as_it_was(path: Path, tmp_path: Path) -> None:
    file, cache = tmp_path / "t.json", tmp_path / "cache"
    started = subprocess.Popen(
        [*COMMAND, "tune", str(path), "-o", str(file)], env=environment(MCUML_CACHE=str(cache)), start_new_session=True,
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not cache.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    _, stderr = started.communicate(timeout=20)
    assert started.returncode == 130 and "Traceback" not in stderr and not list(tmp_path.glob("*.json*"))


def test_the_file_is_sorted_so_that_it_can_be_compared(outcome: tuple[str, tuned.Tuned], path: Path) -> None:
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"

"""The runtime tflm: which library, which operators, which files, how big an arena; and the whole way with a library that has only
TensorFlow Lite Micro's interface. The last test wants the real one."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

import modelmaker as mm
import stub_tflm
from commandline import DIGITS, in_process, mcuml
from mcuml import board as boards
from mcuml import build, pio, pipeline, reference, runtimes, tflite, toolchain, vendor
from mcuml.errors import BuildError, FitError, ModelError, RequestError
from mcuml.run import device
from mcuml.tflm import arena, files, library, operators

RNG = np.random.default_rng(5)
X = mm.tensor("x", "int8", (1, 6, 6, 3), 0.05, -3)
CONV = mm.conv(RNG, X, 4, stride=(2, 2), activation="RELU")
FC = mm.fully_connected(RNG, CONV.outputs[0], 5)
FC2 = mm.fully_connected(RNG, FC.outputs[0], 3)
MODEL = mm.model([CONV, FC, FC2], [X], FC2.outputs)
NANO = boards.load("nano33ble")
needs_cpp = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-g++"), reason="needs apt install gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib"
)


@pytest.fixture
def stub(tmp_path, monkeypatch) -> Path:
    """The stub as the library to use; the cache is the test's own."""
    monkeypatch.setenv("MCUML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(library.SETTING, str(stub_tflm.write(tmp_path / "stub")))
    return tmp_path / "stub"


# the library


def test_a_folder_is_the_library(stub):
    found = library.find()
    assert (found.root, found.title) == (stub / "src", "Stub_TensorFlowLite 1.2.3")
    assert found.calls == stub_tflm.OPERATORS
    assert found.of_framework == (stub_tflm.MICRO + "serial.cpp",), "it needs Arduino.h by a header of the library"
    before = found.sha256
    (stub / "src" / stub_tflm.MICRO / "answer.cpp").write_text("int constructed = 42;\n")
    assert library.find().sha256 != before


def test_platformio_brings_the_library(stub, tmp_path, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", stub)
    monkeypatch.setenv(library.SETTING, f"file://{archive}")
    first = library.find()
    assert first.title == "Stub_TensorFlowLite 1.2.3" and first.calls == stub_tflm.OPERATORS
    monkeypatch.setattr(pio, "run", lambda *_: (1, "asked again"))
    assert library.find().root == first.root, "it is brought once"


def test_a_library_that_cannot_be_brought(stub, tmp_path, monkeypatch):
    monkeypatch.setenv(library.SETTING, f"file://{tmp_path / 'missing.zip'}")
    with pytest.raises(BuildError, match=r"(?s)missing\.zip.*MCUML_TFLM=/path"):
        library.find()
    monkeypatch.setenv(library.SETTING, "someone/TensorFlowLite")
    monkeypatch.setattr(pio, "run", lambda *_: (1, "Resolving\nHTTPClientError: no such host\n"))
    with pytest.raises(BuildError, match=r"(?s)someone/TensorFlowLite.*HTTPClientError: no such host.*MCUML_TFLM=/path"):
        library.find()


WRONG = {  # id: (what is done to the stub's folder, words of the error)
    "missing": (shutil.rmtree, "There is no folder"),
    "another": (lambda f: shutil.rmtree(f / "src"), "is not TensorFlow Lite Micro"),
    "old": (
        lambda f: (f / "src" / stub_tflm.MICRO / "micro_interpreter.h").write_text("ErrorReporter* error_reporter);"),
        "older than mcuml can use",
    ),
    "file": (lambda f: (shutil.rmtree(f), f.write_text("no library")), "neither a folder nor an archive"),
    "no resolver": (lambda f: (f / "src" / operators.HEADER).unlink(), "micro_mutable_op_resolver.h, which is missing"),
    "no operators": (lambda f: (f / "src" / operators.HEADER).write_text(""), "micro_mutable_op_resolver.h, which has none"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_library_is_told(case, stub):
    change, words = WRONG[case]
    change(stub)
    done = in_process("bench", DIGITS, "--runtime", "tflm")
    assert done.exit_code == 5 and words in done.stderr, done.stderr


def test_a_copy_of_the_default_is_told_to_be_it(stub, monkeypatch):
    found = library.find()
    assert found.about == {"library": "Stub_TensorFlowLite 1.2.3", "library_sha256": found.sha256}
    monkeypatch.setattr(library, "default", {"tflm_sha256": found.sha256, "tflm": "https://x.y/z#a1"}.__getitem__)
    assert found.about["library_source"] == "https://x.y/z#a1"


def test_the_default_is_one_line_of_a_file():
    spec = library.default("tflm")
    assert re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+\.git#[0-9a-f]{40}", spec), "a commit, so that it stays the same"


# operators


def raw(data: bytes = MODEL) -> Any:
    return tflite.read(data, "m")


def test_each_operator_is_registered_once_in_the_order_of_use():
    assert operators.calls(raw(), stub_tflm.OPERATORS, "stub") == ("AddConv2D", "AddFullyConnected")


def test_an_operator_that_the_library_lacks(stub):
    stub_tflm.write(stub, operators={"CONV_2D": "AddConv2D"})
    done = in_process("bench", DIGITS, "--runtime", "tflm")
    assert done.exit_code == 3
    assert "FULLY_CONNECTED (operator" in done.stderr and "Stub_TensorFlowLite 1.2.3 does not have" in done.stderr
    assert "registers 1 operators: CONV_2D" in done.stderr and "--runtime aot" in done.stderr


def test_a_custom_operator_is_registered_by_its_name():
    x, y = mm.tensor("x", "int8", (1, 4), 0.1, 0), mm.tensor("y", "int8", (1, 4), 0.1, 0)
    model = raw(mm.model([mm.custom("MyOp", [x], [y])], [x], [y]))
    assert operators.calls(model, stub_tflm.OPERATORS, "stub") == ("AddMyOp",)
    with pytest.raises(ModelError, match="MyOp"):
        operators.calls(model, {"CONV_2D": "AddConv2D"}, "stub")


# files


def test_a_library_that_takes_one_scale_for_all_outputs_is_told(stub):
    digits = tflite.read(DIGITS.read_bytes(), "digits")
    (doubt,) = files.doubts(digits, library.find())
    assert "FULLY_CONNECTED (operator 5" in doubt and "has 10" in doubt and "Stub_TensorFlowLite 1.2.3" in doubt
    assert not files.doubts(tflite.read(MODEL, "m"), library.find()), "its weights have one scale each"
    newer = stub / "src" / files.FULLY_CONNECTED
    newer.parent.mkdir(parents=True)
    newer.write_text("bool is_per_channel;")
    assert not files.doubts(digits, library.find())


def test_the_files_hold_the_model(stub, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(MODEL)
    data, model = files.read(path)
    plan = pipeline.prepare(path)
    held = files.render(data, model, plan, library.find())
    numbers = re.search(r"\{\n(.*)\n\};", held["model_weights.c"], re.DOTALL)
    assert numbers and bytes(map(int, numbers[1].replace("\n", "").split(","))) == MODEL
    assert f"model_data[{len(MODEL)}] __attribute__((aligned(16)))" in held["model_weights.c"]
    assert f"#define MODEL_ARENA_BYTES {plan.arena_bytes}\n" in held["model.h"] and "#define MODEL_LAYERS 3\n" in held["model.h"]
    assert "MicroMutableOpResolver<2>" in held["model.cpp"]
    assert re.findall(r"resolver\.(\w+)\(\)", held["model.cpp"]) == ["AddConv2D", "AddFullyConnected"]


# the arena


@pytest.mark.parametrize(
    ("start", "enough", "expected", "sizes"),
    [
        (4096, 1000, 1008, [4096, 1008]),  # shrunk, in steps of the alignment
        (1008, 1000, 1008, [1008]),  # nothing to shrink
        (512, 1000, 1008, [512, 1024, 1008]),  # grown, then shrunk
        (4096, 900, 4096, [4096, 912]),  # what the first image told does not hold for the second
    ],
)
def test_the_arena_is_the_smallest_that_is_enough(start, enough, expected, sizes):
    made: list[int] = []

    def make(size: int, trial: bool) -> Any:
        made.append(size)
        return SimpleNamespace(size=size, trial=trial)

    def probe(image: Any) -> arena.Use:
        return arena.Use(enough if (image.trial or image.size >= 1000) and image.size >= enough else 0)

    assert arena.fitted(make, probe, start, 1 << 16) == expected
    assert made == sizes


@pytest.mark.parametrize(
    ("start", "expected", "sizes"),
    [
        (4096, 1136, [4096, 4096, 1008, 1072, 1136]),
        (512, 1136, [512, 512, 1024, 1024, 2048, 2048, 1008, 1072, 1136]),
        (1104, 1104, [1104, 1104, 1008, 1072]),  # nothing smaller is enough
    ],
)
def test_a_device_that_faults_where_its_arena_is_too_small(start, expected, sizes):
    """It takes 1,000 bytes, and 1,090 before; the image that tries sizes by itself always meets one that is too small."""
    made: list[int] = []

    def make(size: int, trial: bool) -> Any:
        made.append(size)
        return SimpleNamespace(size=size, faults=trial or size < 1090)

    assert arena.fitted(make, lambda i: arena.Use(0 if i.faults else 1000, "", i.faults), start, 1 << 16) == expected
    assert made == sizes


def test_an_arena_that_no_ram_has_room_for():
    image: Any = SimpleNamespace(board=NANO)
    with pytest.raises(FitError, match=r"(?s)in 2,000 bytes, all that nano33ble has.*missing: 7"):
        arena.fitted(lambda *_: image, lambda _: arena.Use(0, "missing: 7"), 512, 2000)
    with pytest.raises(FitError, match="no RAM left"):
        arena.fitted(lambda *_: image, lambda _: arena.Use(0), 512, -16)


def test_the_host_tells_its_arena():
    taken = reference.arena_bytes(MODEL)
    assert taken is not None and 1000 < taken < 20_000
    assert arena.first_guess(taken, 0) > taken and arena.first_guess(None, 500) > 500


# the whole way, with the stub


def result(*words: object, code: int = 0) -> Any:
    """The Result of `mcuml bench` on the digits with this runtime."""
    done = mcuml("bench", DIGITS, "--runtime", "tflm", "--samples", 2, "--json", "-", *words)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@needs_cpp
def test_bench_builds_shrinks_and_counts(stub):
    raw_digits = tflite.read(DIGITS.read_bytes(), "digits")
    inputs, outputs = (sum(raw_digits.tensors[t].bytes for t in ends) for ends in (raw_digits.inputs, raw_digits.outputs))
    layers = len(raw_digits.operators)
    stub_tflm.write(stub, arena=2000, more=90, input_bytes=inputs, output_bytes=outputs, layers=layers)
    run = result(code=7)  # the stub's outputs are not the oracle's
    assert (run["runtime"], run["memory"]["arena_bytes"]) == ("tflm", 2128), "2000 and 2064 are not enough, 2128 is"
    assert run["memory"]["weights_bytes"] >= DIGITS.stat().st_size and run["toolchain"]["library"] == "Stub_TensorFlowLite 1.2.3"
    assert [layer["op"] for layer in run["layers"]] == [op.code for op in raw_digits.operators]
    assert all(layer["cycles"] > 10 * outputs for layer in run["layers"]) and run["latency"]["cycles"] > 5 * outputs * layers
    assert "optimize" not in run and not run["verify"]["identical"]
    (doubt,) = run["warnings"]
    assert "takes the first scale of its weights for all outputs" in doubt
    built = mcuml("build", DIGITS, "--runtime", "tflm")
    assert built.returncode == 0 and f"warning: {doubt}" in built.stderr, built.stderr


@needs_cpp
def test_an_arena_too_small_at_run_time_says_so(stub):
    stub_tflm.write(stub, arena=1 << 20)
    done = mcuml("bench", DIGITS, "--runtime", "tflm", "--samples", 1)
    assert done.returncode == 4, done.stderr
    assert "all that nano33ble has" in done.stderr and "Failed to resize buffer.  Requested: 1048576" in done.stderr


@needs_cpp
def test_the_arena_where_the_library_faults_in_one_that_is_too_small(stub):
    stub_tflm.write(stub, arena=2000, more=90, faults=True)
    assert result(code=7)["memory"]["arena_bytes"] == 2128


@needs_cpp
def test_a_model_that_is_laid_out_and_not_run(stub):
    stub_tflm.write(stub, refuses=True)
    done = mcuml("build", DIGITS, "--runtime", "tflm")
    assert done.returncode == 3 and "Stub_TensorFlowLite 1.2.3 does not run this model" in done.stderr, done.stderr
    assert "Hybrid models are not supported" in done.stderr


# errors before any build


@needs_cpp
def test_a_build_with_the_library_that_does_not_end(stub, monkeypatch):
    monkeypatch.setattr(build, "LIBRARY_SECONDS", 0.1)
    cache = build.cache_folder()  # the stub's, not the one that tests share
    (cache / "objects").mkdir(parents=True)
    with FileLock(cache / "objects" / ".lock"):
        done = in_process("build", DIGITS, "--runtime", "tflm", MCUML_CACHE=str(cache))
    assert done.exit_code == 5, done.stderr
    assert "Another build with Stub_TensorFlowLite 1.2.3 has not ended for 0.1 seconds" in done.stderr


def test_an_unknown_runtime():
    done = in_process("bench", DIGITS, "--runtime", "onnx")
    assert done.exit_code == 2 and "The runtimes are aot and tflm" in done.stderr


def test_no_cplusplus_compiler_is_told_with_what_brings_it(stub):
    done = in_process("build", DIGITS, "--runtime", "tflm", MCUML_TOOLCHAIN="zig")
    assert done.exit_code == 5, done.stderr
    assert "apt install gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib" in done.stderr


def test_a_model_bigger_than_the_flash(stub, tmp_path):
    small = tmp_path / "small.toml"
    text = Path(boards.assets.folder("boards") / "nano33ble.toml").read_text().replace('"nano33ble"', '"small"', 1)
    small.write_text(re.sub(r"size = 0x10_0000", "size = 0x1_0800", text))
    done = in_process("build", DIGITS, "--runtime", "tflm", "--board", small)
    assert done.exit_code == 4 and "the model file alone has" in done.stderr and "too few" in done.stderr, done.stderr


def test_a_core_without_a_cplusplus_library():
    with pytest.raises(BuildError, match="--runtime aot"):
        toolchain.cplusplus(toolchain.Toolchain("gcc", "none gcc", "0", ("/no/such/none-gcc",)), boards.load("esp32c3").cpu)


# projects with a vendor's framework


VENDORED = {  # id: (board, framework, library, file, words)
    "arduino": ("nano33ble", "arduino", "DEFAULT", "platformio.ini", "lib_deps = https://github.com/"),
    "named": ("nano33ble", "arduino", "someone/TFLM@^2", "platformio.ini", "lib_deps = someone/TFLM@^2\n"),
    "espidf": ("esp32s3", "espidf", "DEFAULT", "src/idf_component.yml", 'version: "^1.'),
    "espidf-git": ("esp32s3", "espidf", "https://x.y/z#a1", "src/idf_component.yml", 'git: "https://x.y/z"\n    version: "a1"'),
}  # fmt: skip


def calling(spec: str) -> build.Sources:
    """A model's code that calls the library of that spec."""
    return build.Sources({"model.cpp": ""}, build.CppLibrary(spec, Path("unused"), (), (), (), (), {}, (files.STATIC_MEMORY,)))


@pytest.mark.parametrize("case", VENDORED)
def test_a_vendors_project_names_the_library(case, tmp_path):
    name, framework, spec, file, words = VENDORED[case]
    spec = library.default("tflm") if spec == "DEFAULT" else spec
    project = vendor.vendor_project(calling(spec), boards.load(name), tmp_path / "project", framework)
    assert words in (project.folder / file).read_text(encoding="utf-8")
    defined = f"-D {files.STATIC_MEMORY}\n" in (project.folder / "platformio.ini").read_text(encoding="utf-8")
    assert defined == (framework == "arduino"), "tensors as large as on the virtual board, which told the arena's size"
    assert pio.check_config(project.folder) == []
    assert "-std=c99" not in (project.folder / "lib" / "model" / "library.json").read_text()


def test_a_framework_that_takes_no_library_of_arduinos_is_refused(stub, tmp_path):
    done = in_process("build", DIGITS, "--runtime", "tflm", "--board", "nucleo_l4r5zi", "--framework", "stm32cube")
    assert done.exit_code == 2, done.stderr
    assert "stm32cube on nucleo_l4r5zi cannot use it" in done.stderr and "--framework arduino." in done.stderr, done.stderr
    board = boards.load("nucleo_l4r5zi")
    with pytest.raises(RequestError, match="for Arduino's core"):
        vendor.vendor_project(calling(library.default("tflm")), board, tmp_path / "project", "stm32cube")
    (stub / "library.json").write_text("{}")  # which may say that it is for any framework
    assert vendor.vendor_project(calling(str(stub)), board, tmp_path / "project", "stm32cube").framework == "stm32cube"


def test_the_framework_that_takes_the_library_is_the_default():
    board = boards.load("nucleo_l4r5zi")
    assert vendor.framework_of(board) == "stm32cube" and vendor.framework_of(board, library=True) == "arduino"
    serial = device.way("serial")
    assert serial.firmware_port(board, False) == "stm32cube" and serial.firmware_port(board, True) == "arduino"


@needs_cpp
def test_flash_takes_that_framework_too(stub):
    stub_tflm.write(stub)
    done = in_process("flash", DIGITS, "--runtime", "tflm", "--board", "nucleo_l4r5zi", "--port", "/dev/null/none")
    assert done.exit_code == 6, f"it came to look for the port, past the framework: {done.stderr}"


def test_a_project_without_a_library_names_none(tmp_path):
    project = vendor.vendor_project({"model.c": ""}, NANO, tmp_path, "arduino")
    text = (project.folder / "platformio.ini").read_text(encoding="utf-8")
    assert "lib_deps" not in text and "lib_archive = no\n" in text


def test_a_folder_is_linked_to_from_a_vendors_project(stub, tmp_path):
    project = vendor.vendor_project(calling(str(stub)), NANO, tmp_path / "project", "arduino")
    assert f"lib_deps = symlink://{stub}\n" in (project.folder / "platformio.ini").read_text(encoding="utf-8")


def test_check_names_the_runtimes():
    assert runtimes.check("tflm") == "tflm"
    with pytest.raises(RequestError, match="no runtime 'TFLM'"):
        runtimes.check("TFLM")


# the real library


@needs_cpp
@pytest.mark.slow
def test_the_real_library_is_identical_to_the_oracle(tmp_path):
    if not os.environ.get(library.SETTING):
        pytest.skip(
            f"needs TensorFlow Lite Micro: git clone {library.default('tflm').partition('#')[0]}, "
            f"then name the folder in {library.SETTING}"
        )
    path = tmp_path / "m.tflite"
    path.write_bytes(MODEL)  # its fully connected layers have one scale: the published library knows no more (docs/TFLM.md)
    done = mcuml("bench", path, "--runtime", "tflm", "--samples", 3, "--json", "-", limit_s=3600)  # the first build compiles it
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verify"]["identical"]

"""A user's own operators: the example of CONTRIBUTING.md against numpy, and what is said where something is missing or wrong."""

import re
from pathlib import Path

import numpy as np
import pytest
from flatbuffers import flexbuffers

from commandline import in_process
from mcuml import flexbuf, pipeline
from mcuml.errors import ModelError, RequestError
from mcuml.render import render_model
from modelmaker import custom, model, tensor
from ops.builds import build
from ops.harness import Case

GUIDE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYTHON, TEMPLATE = (
    re.search(rf"`hysteresis\.{end}`:\n\n```{kind}\n(.*?)```\n", GUIDE, re.DOTALL)[1]
    for end, kind in (("py", "python"), (r"c\.j2", "jinja"))
)


@pytest.fixture
def operators(tmp_path, monkeypatch):
    """A folder with the operator of CONTRIBUTING.md, in use."""
    folder = tmp_path / "operators"
    folder.mkdir()
    (folder / "hysteresis.py").write_text(PYTHON)
    (folder / "hysteresis.c.j2").write_text(TEMPLATE)
    monkeypatch.setenv("MCUML_OPERATORS", str(folder))
    return folder


def written(folder: Path, **options: object) -> Path:
    """A model of that operator on six values."""
    x, y = tensor("level", "float32", (2, 3)), tensor("on", "float32", (2, 3))
    path = folder / "m.tflite"
    path.write_bytes(model([custom("Hysteresis", [x], [y], **options)], [x], [y]))
    return path


def expected(samples: list[np.ndarray], low: float, high: float) -> list[list[float]]:
    on, answers = False, []
    for sample in samples:
        answers.append([])
        for value in sample.reshape(-1):
            on = bool(value > high or (on and value >= low))
            answers[-1].append(float(on))
    return answers


@pytest.mark.parametrize("kind", ["host", "cortex-m0plus"])
def test_the_example_computes_what_numpy_computes(operators, tmp_path, kind):
    rng = np.random.default_rng(4)
    samples = [rng.normal(0, 1, (2, 3)).astype(np.float32) for _ in range(20)]
    case = Case(written(tmp_path, low=-0.5, high=0.5).read_bytes())
    answers = build(kind, [case]).sequence(case, [[sample] for sample in samples], 0)
    assert [np.frombuffer(answer[0], np.float32).tolist() for answer in answers] == expected(samples, -0.5, 0.5)


def test_the_command_line_serves_it(operators, tmp_path):
    done = in_process("compile", written(tmp_path, low=0.0, high=1.0), "-o", tmp_path / "c")
    assert done.exit_code == 0, done.stderr
    assert "memset" in (tmp_path / "c" / "model.c").read_text()


def test_without_a_folder_the_operator_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("MCUML_OPERATORS", raising=False)
    done = in_process("compile", written(tmp_path, low=0.0, high=1.0), "-o", tmp_path / "c")
    assert done.exit_code == 3
    for word in ("CUSTOM 'Hysteresis' (operator 0, output 'on')", "$MCUML_OPERATORS", "A custom operator"):
        assert word in done.stderr


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("hysteresis.py", "import nothing_of_this_name", "cannot be loaded"),
        ("hysteresis.py", "class Half(", "cannot be loaded"),
        ("hysteresis.py", "x = 1", "no file defines an operator"),
        ("hysteresis.py", PYTHON.replace("CUSTOM:Hysteresis", "ADD"), "mcuml has an operator of this name"),
        ("hysteresis.py", PYTHON.replace("CUSTOM:Hysteresis", "CUSTOM:SignalRfft"), "mcuml has an operator of this name"),
        ("hysteresis.py", PYTHON.replace("CUSTOM:Hysteresis", "Hysteresis"), "begins with 'CUSTOM:'"),
        ("hysteresis.py", PYTHON.replace('"hysteresis"', '"other"'), "other.c.j2"),
        ("hysteresis.c.j2", TEMPLATE.replace("p.low", "p.lower"), "lower"),
        ("hysteresis.c.j2", TEMPLATE.replace("macro call", "macro calls"), "call"),
        ("hysteresis.c.j2", "{% macro", "fault"),
    ],
)
def test_faults_in_the_folder_are_named(operators, tmp_path, monkeypatch, file, text, message):
    again = tmp_path / "again"
    operators.rename(again)
    (again / file).write_text(text)
    monkeypatch.setenv("MCUML_OPERATORS", str(again))  # another name: a folder is loaded once
    with pytest.raises(RequestError) as error:
        render_model(pipeline.prepare(written(tmp_path, low=0.0, high=1.0)))
    assert message in str(error.value)


@pytest.mark.parametrize("options", [{}, {"low": 1.0}, {"low": "deep", "high": 1.0}, {"low": 2.0, "high": 1.0}])
def test_options_that_the_operator_cannot_use(operators, tmp_path, options):
    with pytest.raises(ModelError, match="operator 0, output 'on'"):
        pipeline.prepare(written(tmp_path, **options))


VALUES = {
    "a": 1, "b": -(1 << 40), "f": 0.1, "half": 0.5, "no": False, "text": "\N{GREEK SMALL LETTER MU}", "yes": True,
    "v": [1, 2, 300], "w": [0.5, 2.0], "mixed": [1, 2.5, True], "zero": [],
}  # fmt: skip


def test_flexbuffers_are_read():
    assert flexbuf.read(bytes(flexbuffers.Dumps(VALUES))) == VALUES
    assert flexbuf.read(bytes(flexbuffers.Dumps({"deep": {"a": 1}, "b": 2}))) == {"b": 2}
    assert flexbuf.read(bytes(flexbuffers.Dumps([1, 2]))) == {}


def test_damaged_flexbuffers_are_no_options():
    data, rng = bytes(flexbuffers.Dumps(VALUES)), np.random.default_rng(5)
    for n in range(len(data)):
        flexbuf.read(data[:n])
    for _ in range(3000):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[at] = rng.integers(0, 256)
        assert isinstance(flexbuf.read(bytes(changed)), dict)
    for size in range(40):
        assert isinstance(flexbuf.read(rng.bytes(size)), dict)

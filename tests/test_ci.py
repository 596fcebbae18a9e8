"""mcuml ci: the workflow is YAML, the Robot test one that Robot Framework parses, and nothing is overwritten."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from robot import api as robot  # TestSuite by its name would look to pytest like a class of tests
from robot.api.parsing import ModelVisitor

from commandline import DIGITS, in_process
from test_results import FULL

ENTRY = {"model": "models/m.tflite", "board": "nano33ble", "result": FULL}
# Robot keywords that our test uses and Renode 1.16.1 defines: src/Renode/RobotFrameworkEngine, tests/renode-keywords.robot.
KEYWORDS = {
    "Setup", "Teardown", "Test Teardown", "Reset Emulation", "Execute Script", "Create Terminal Tester", "Start Emulation",
    "Wait For Line On Uart", "Write To Uart",
}  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "baseline.json").write_text(json.dumps({"baseline": 1, "entries": [{**ENTRY, "board": "teensy41"}, ENTRY]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def workflow(root: Path) -> dict:
    return yaml.safe_load((root / ".github" / "workflows" / "mcuml.yml").read_text(encoding="utf-8"))


def test_the_workflow_checks_summarizes_and_comments(repository: Path) -> None:
    done = in_process("ci", "init")
    assert done.exit_code == 0 and "wrote .github/workflows/mcuml.yml" in done.stdout
    held = workflow(repository)
    assert set(held) == {"name", True, "permissions", "env", "jobs"}  # YAML 1.1 reads `on` as true; GitHub does not
    assert "pull_request" in held[True] and set(held["jobs"]) == {"check"}
    job = held["jobs"]["check"]
    assert job["permissions"]["pull-requests"] == "write" and held["permissions"] == {"contents": "read"}
    runs = [step.get("run", step.get("uses")) for step in job["steps"]]
    assert any(run.startswith("pip install 'mcuml[verify]==") for run in runs)
    assert "mcuml check --baseline baseline.json --junit mcuml.xml --summary mcuml.md" in runs
    comment = next(step for step in job["steps"] if "gh pr comment" in step.get("run", ""))
    assert comment["env"] == {"GH_TOKEN": "${{ github.token }}", "NUMBER": "${{ github.event.pull_request.number }}"}
    assert comment["if"].startswith("always() && ")
    assert not (repository / "tests").exists()


def test_the_command_of_the_workflow_is_one_that_mcuml_has(repository: Path) -> None:
    in_process("ci", "init", "--renode")
    for job in workflow(repository)["jobs"].values():
        for step in job["steps"]:
            if step.get("run", "").startswith("mcuml "):
                told = in_process(*step["run"].split()[1:2], "--help").stdout
                assert all(option in told for option in re.findall(r"--\w+", step["run"])), step


def test_the_robot_test_is_parsed_and_uses_keywords_of_renode(repository: Path) -> None:
    done = in_process("ci", "init", "--renode")
    assert done.exit_code == 0, done.stderr
    path = repository / "tests" / "mcuml.robot"
    errors, used = [], set()
    model = robot.get_model(str(path))

    class Reader(ModelVisitor):
        def generic_visit(self, node):  # type: ignore[no-untyped-def]
            errors.extend(getattr(node, "errors", ()))
            if type(node).__name__ == "KeywordCall":
                used.add(node.keyword)
            elif type(node).__name__ in ("SuiteSetup", "SuiteTeardown", "TestSetup", "TestTeardown"):
                used.add(node.name)
            super().generic_visit(node)

    Reader().visit(model)
    own = {keyword.name for section in model.sections for keyword in section.body if type(keyword).__name__ == "Keyword"}
    assert not errors and used - own == KEYWORDS, used ^ KEYWORDS
    suite = robot.TestSuite.from_file_system(str(path))
    assert [test.name for test in suite.tests] == [
        "The Firmware Tells Its Name",
        "The Firmware Holds The Model Of The Repository",
        "An Inference Ends With Results",
    ]
    text = path.read_text(encoding="utf-8")
    assert "sysbus.uart0" in text and '"model":"m"' in text and "${CURDIR}/../build/renode/mcuml.resc" in text
    job = workflow(repository)["jobs"]["renode"]
    assert "mcuml ci renode models/m.tflite --board nano33ble -o build/renode" in [step.get("run") for step in job["steps"]]
    assert job["steps"][-1]["with"]["tests-to-run"] == "tests/mcuml.robot"


def test_names_are_words_for_the_shell_and_text_for_yaml(repository: Path) -> None:
    for name in ("my models/a; rm -rf b.tflite", "a: b #c.tflite"):
        Path("base line.json").write_text(json.dumps({"baseline": 1, "entries": [{**ENTRY, "model": name}]}))
        assert in_process("ci", "init", "--renode", "--baseline", "base line.json", "-o", name[:1]).exit_code == 0
        jobs = workflow(Path(name[:1]))["jobs"]
        runs = [shlex.split(step.get("run", "")) for job in jobs.values() for step in job["steps"]]
        assert ["mcuml", "ci", "renode", name, "--board", "nano33ble", "-o", "build/renode"] in runs
        assert any(words[:4] == ["mcuml", "check", "--baseline", "base line.json"] for words in runs)


def test_what_is_there_is_not_overwritten(repository: Path) -> None:
    robot = repository / "tests" / "mcuml.robot"
    robot.parent.mkdir()
    robot.write_text("mine")
    done = in_process("ci", "init", "--renode")
    assert done.exit_code == 2 and "tests/mcuml.robot is there already" in done.stderr
    assert robot.read_text() == "mine" and not (repository / ".github").exists()


def test_without_a_baseline_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = in_process("ci", "init")
    assert done.exit_code == 2 and "mcuml check --update MODEL --board NAME" in done.stderr


def test_boards_that_renode_does_not_know(repository: Path) -> None:
    Path("baseline.json").write_text(json.dumps({"baseline": 1, "entries": [{**ENTRY, "board": "teensy41"}]}))
    done = in_process("ci", "init", "--renode")
    assert done.exit_code == 2 and "teensy41" in done.stderr and "nano33ble" in done.stderr


def test_the_files_that_renode_runs(tmp_path: Path) -> None:
    done = in_process("ci", "renode", DIGITS, "--board", "nano33ble", "-o", tmp_path / "build")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (tmp_path / "build").iterdir()} == {"firmware.elf", "mcuml.resc", "board.repl"}
    assert (tmp_path / "build" / "firmware.elf").read_bytes()[:4] == b"\x7fELF"
    assert "LoadELF $ORIGIN/firmware.elf" in (tmp_path / "build" / "mcuml.resc").read_text()


@pytest.mark.parametrize("words", [("other",), ("renode",)])
def test_a_wrong_action_is_told(words: tuple[str, ...]) -> None:
    assert in_process("ci", *words).exit_code == 2

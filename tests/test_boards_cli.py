"""mcuml boards with its filters, new board, doctor --board, build --hardware, and docs/BOARDS.md."""

import importlib.util
import re
from pathlib import Path

import pytest

from commandline import in_process
from mcuml import board as boards
from mcuml import fit, pipeline

ROOT = Path(__file__).parents[1]
DIGITS = str(ROOT / "examples" / "digits" / "digits_int8.tflite")
ALL = {b.name: b for b in boards.load_all()}


def listed(*words: str) -> set[str]:
    done = in_process("boards", *words, COLUMNS="200")
    assert done.exit_code == 0, done.output
    return {word for word in re.findall(r"^ (\w+)", done.output, re.MULTILINE) if word in ALL}


def test_the_list_tells_how_far_each_was_tried():
    done = in_process("boards", COLUMNS="120")
    for held in ALL.values():
        assert re.search(rf"^ {held.name}\b.* {held.verified}", done.output, re.MULTILINE), held.name


@pytest.mark.parametrize("core", sorted({b.core for b in ALL.values()}))
def test_boards_of_one_core(core):
    assert listed("--core", core) == {b.name for b in ALL.values() if b.core == core}


def test_a_core_that_no_board_has_is_told():
    done = in_process("boards", "--core", "cortex-m5")
    assert done.exit_code == 2 and "cortex-m4f" in done.stderr


def test_boards_with_room(monkeypatch):
    small = min(ALL.values(), key=lambda b: b.ram_available)
    assert small.name in listed("--fits", DIGITS)
    tight = small.model_copy(update={"name": "tight", "ram": boards.Memory(origin=0x2000_0000, size=3000)})
    monkeypatch.setattr(boards, "load_all", lambda: [tight])
    done = in_process("boards", "--fits", DIGITS)
    short = fit.fit(pipeline.prepare(Path(DIGITS)), tight).ram_over
    assert done.exit_code == 4 and "Nearest is tight" in done.stderr and f"RAM {short:,}" in done.stderr


def test_a_filter_beside_a_name_is_told():
    assert in_process("boards", "nano33ble", "--core", "cortex-m3").exit_code == 2


def test_a_new_board_is_told_what_it_lacks(tmp_path):
    done = in_process("new", "board", "mine", "-o", str(tmp_path))
    path = tmp_path / "mine.toml"
    assert done.exit_code == 0 and done.stdout.strip() == str(path) and [p.name for p in tmp_path.iterdir()] == ["mine.toml"]
    checked = in_process("doctor", "--board", str(path))
    assert checked.exit_code == 2
    for key in ("title", "core", "clock_hz", "flash.size", "ram.size", "sources"):
        assert key in checked.stderr, key
    assert "no such key" not in checked.stderr


def test_a_new_board_tells_of_every_key():
    """A key that the loader takes and the skeleton does not show would stay unknown."""
    text = (ROOT / "templates" / "board.toml.j2").read_text(encoding="utf-8")
    for model in (boards.Board, boards.Flash, boards.PlatformIO, boards.Usb, boards.Serial, boards.Uf2, boards.Energy):
        for key in model.model_fields.keys() - {"simulators", "notes", "cycle_error", "bare", "flags", "options"}:
            assert re.search(rf"\b{key}\b", text), key


@pytest.mark.parametrize(
    "words, told",
    [(["board", "nano33ble"], "knows a board"), (["board", "My-Board"], "cannot be a board's name"), (["car", "mine"], "'car'")],
)
def test_what_cannot_be_new_is_told(words, told, tmp_path):
    done = in_process("new", *words, "-o", str(tmp_path))
    assert done.exit_code == 2 and told in done.stderr and not list(tmp_path.iterdir())


def test_a_new_board_overwrites_nothing(tmp_path):
    (tmp_path / "mine.toml").write_text("mine")
    done = in_process("new", "board", "mine", "-o", str(tmp_path))
    assert done.exit_code == 2 and (tmp_path / "mine.toml").read_text() == "mine"


WRONG = {  # what is put into a right file: (old, new, the row or option that is then named)
    "nothing": ("", "", ""),
    "an option that PlatformIO does not know": ('"stlink"\n', '"stlink"\noptions = { uplod_speed = "9" }\n', "uplod_speed"),
    "too little RAM": ("size = 0x5000", "size = 0x0C00", "linked image"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_doctor_checks_a_boards_file(wrong, tmp_path):
    old, new, told = WRONG[wrong]
    text = (ROOT / "boards" / "bluepill_f103c8.toml").read_text(encoding="utf-8").replace("bluepill_f103c8", "mine", 1)
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1) if old else text)
    done = in_process("doctor", "--board", str(path), COLUMNS="200")
    assert done.exit_code == (5 if told else 0), done.output
    assert "arduino project" in done.output and "linked image" in done.output and told in done.output


def test_a_project_for_the_board_itself(tmp_path):
    name = next(b.name for b in ALL.values() if len(b.platformio.frameworks) > 1)
    for framework in ("", ALL[name].platformio.frameworks[1]):
        words = ["--framework", framework] if framework else []
        done = in_process("build", DIGITS, "--board", name, "--hardware", "--project", "-o", str(tmp_path / "p"), *words)
        assert done.exit_code == 0 and done.stdout.strip() == str(tmp_path / "p"), done.output
        ini = (tmp_path / "p" / "platformio.ini").read_text(encoding="utf-8")
        assert f"framework = {framework or ALL[name].platformio.frameworks[0]}\n" in ini


def test_bare_metal_on_a_board_without_a_port_for_it_is_told():
    name = next(b.name for b in ALL.values() if not b.bare and b.platformio.frameworks)
    done = in_process("build", DIGITS, "--board", name, "--framework", "bare")
    assert done.exit_code == 2 and name in done.stderr and "bare" in done.stderr


def test_the_page_of_boards_is_current():
    spec = importlib.util.spec_from_file_location("list_boards", ROOT / "tools" / "list_boards.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (ROOT / "docs" / "BOARDS.md").read_text(encoding="utf-8") == tool.text(), "write it again with: make boards"

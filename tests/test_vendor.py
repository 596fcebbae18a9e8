"""Projects with a vendor's framework: rendered for every board and framework, and as PlatformIO wants them."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcuml import bench, pio, pipeline, vendor
from mcuml import board as boards
from mcuml.errors import BuildError, FitError, RequestError

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
FIRMWARE = Path(__file__).parents[1] / "firmware"
ALL = {b.name: b for b in boards.load_all()}
EACH = [(b.name, framework) for b in ALL.values() for framework in b.platformio.frameworks]


@pytest.fixture(scope="module")
def plan():
    return pipeline.prepare(DIGITS / "digits_int8.tflite")


@pytest.mark.parametrize("name, framework", EACH, ids=lambda v: v)
def test_a_project_is_one_for_platformio(name, framework, plan, tmp_path):
    target = ALL[name]
    project = vendor.vendor_project(bench.firmware_files(plan, target), target, tmp_path / "project", framework)
    folder = project.folder
    assert pio.check_config(folder) == []
    options = pio.options(folder)
    assert (options["board"], options["framework"]) == (target.platformio.board, [framework])
    assert options.get("upload_protocol", "") == target.platformio.upload_protocol
    assert options["monitor_speed"] == target.serial.baud
    flags = " ".join(options["build_flags"])
    assert "MCUML_HOSTED" in flags and all(word in flags for word in target.ports.get(framework, ()))
    assert len(list((folder / "src" / "ports").rglob("port.c*"))) == 1
    header = (folder / "include" / "mcuml_build.h").read_text(encoding="utf-8")
    assert f'MCUML_BUILD "{project.build}"' in header and f'MCUML_PORT "{framework}"' in header
    assert f'MCUML_BOARD "{name}"' in (folder / "include" / "mcuml_config.h").read_text(encoding="utf-8")


def test_pio_itself_says_so_too(plan, tmp_path):
    name, framework = EACH[0]
    vendor.vendor_project(bench.firmware_files(plan, ALL[name]), ALL[name], tmp_path, framework)
    command = [sys.executable, "-m", "platformio", "project", "config"]
    done = subprocess.run(command, cwd=tmp_path, env=pio.environment() | {"PLATFORMIO_CORE_DIR": str(tmp_path / "core")},
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0 and f"env:{name}" in done.stdout, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    "line, told",
    [("custom_mine = 1", ""), ("uplod_protocol = stlink", "uplod_protocol"), ("default_envs = none\n", "none")],
    ids=["right", "unknown option", "unknown environment"],
)
def test_what_platformio_objects_to_is_seen(line, told, tmp_path):
    head = "[platformio]\n" if line.startswith("default") else ""
    text = f"{head}{line}\n[env:a]\nplatform = x\n" if head else f"[env:a]\nplatform = x\n{line}\n"
    (tmp_path / "platformio.ini").write_text(text, encoding="utf-8")
    found = pio.check_config(tmp_path)
    assert bool(found) == bool(told) and all(told in line for line in found), found


def test_an_unchanged_project_is_not_written_again(plan, tmp_path):
    target = ALL[EACH[0][0]]
    files = bench.firmware_files(plan, target)
    vendor.vendor_project(files, target, tmp_path)
    stranger = tmp_path / "src" / "earlier.c"
    stranger.write_text("int earlier;", encoding="utf-8")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p != stranger}
    vendor.vendor_project(files, target, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_board_without_a_framework_is_told(plan):
    simulated = next(b for b in ALL.values() if not b.platformio.frameworks)
    with pytest.raises(RequestError, match=f"{simulated.name} has no vendor's framework"):
        vendor.vendor_files(bench.firmware_files(plan, simulated), simulated)


def test_another_framework_is_told(plan):
    target = next(b for b in ALL.values() if b.platformio.frameworks == ("arduino",))
    with pytest.raises(RequestError, match="with the framework 'zephyr'") as caught:
        vendor.vendor_files(bench.firmware_files(plan, target), target, "zephyr")
    assert "arduino" in caught.value.evidence


def test_a_folder_that_cannot_be_written_is_told(plan, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    target = ALL[EACH[0][0]]
    with pytest.raises(RequestError, match="Cannot write the project"):
        vendor.vendor_project(bench.firmware_files(plan, target), target, tmp_path / "file")


@pytest.mark.parametrize(
    "output, error, words",
    [
        ("HTTPClientError: \n", BuildError, "cannot get"),
        ("src/x.c:1:1: error: no\n", BuildError, "does not build"),
        ("region `FLASH' overflowed by 12 bytes\n", FitError, "12 too few"),
    ],
)
def test_what_platformio_says_is_told(output, error, words, tmp_path):
    told = vendor.vendor_error(output, vendor.Project(tmp_path, ALL[EACH[0][0]], EACH[0][1], "0"))
    assert type(told) is error and words in told.what

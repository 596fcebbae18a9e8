"""From files to firmware that runs on a board, with two stand-ins at the edges: PlatformIO as a command, and a board of Python
that re-enumerates under another name and USB id when it is flashed."""

import json
import shlex
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("termios", reason="There are no pseudo-terminals here; run this on Linux or macOS.")

from commandline import DIGITS, in_process
from mcuml import board as boards
from mcuml import results
from mcuml.cli import _oracle
from mcuml.errors import BuildError, LinkError, RequestError
from mcuml.link.serial import ports
from mcuml.link.serial.line import Vanished
from mcuml.run import flash, on_hardware, upload_output
from stand_in_pio import RECORDED
from talker import Talker

BOARD = next(b for b in boards.load_all() if b.serial.reset == "touch-1200" and len(b.usb) == 2)
IDS = tuple((usb.vid, usb.pid) for usb in sorted(BOARD.usb, key=lambda usb: usb.role))
PORT = BOARD.platformio.frameworks[0]
FILES = {"model.c": "int model;\n", "model.h": "\n", "mcuml_config.h": "\n"}
SHA256 = "5" * 64  # the talker's


class Bench:
    """The talking board on its port, and what PlatformIO was called with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.flash, self.log, self._patch = folder / "flash.json", folder / "log", monkeypatch
        monkeypatch.setenv("MCUML_CACHE", str(folder / "cache"))
        monkeypatch.setenv("MCUML_PLATFORMIO", shlex.join([sys.executable, str(Path(__file__).with_name("stand_in_pio.py"))]))
        monkeypatch.setenv("STAND_IN_FLASH", str(self.flash))
        monkeypatch.setenv("STAND_IN_LOG", str(self.log))
        monkeypatch.setenv("STAND_IN", "ok")
        self.stages: list[str] = []

    def talker(self, **identity: object) -> Talker:
        talker = Talker(identity={"board": BOARD.name, "port": PORT, **identity}, flash=self.flash, usb=IDS)
        self._patch.setattr("serial.tools.list_ports.comports", talker.comports)
        return talker

    def uploads(self) -> list[str]:
        """The ports that were uploaded to."""
        calls = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [call[call.index("--upload-port") + 1] for call in calls if "upload" in call]

    def flashed(self, wanted: bool | None = None, board=BOARD, device: str = ""):
        """(build on the board, build of the image, the port) of a session."""
        progress = lambda stage, *_: self.stages.append(stage)  # noqa: E731
        with flash.on_port(FILES, board, SHA256, device, wanted, PORT, progress) as (session, image, port):
            return session.identify().build, image.build, port


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize("before", [{}, {"sha256": "6" * 64}, {"board": "other"}, {"protocol": 1}], ids=lambda v: "-".join(v))
def test_a_board_is_flashed_and_found_again_under_its_new_name(bench: Bench, before: dict) -> None:
    with bench.talker(**before) as talker:
        old = talker.path
        on_board, built, port = bench.flashed()
        assert on_board == built and bench.uploads() == [old] and port.device == talker.path
    assert any(stage.startswith("upload to") for stage in bench.stages)


def test_the_same_firmware_is_not_uploaded_twice(bench: Bench) -> None:
    with bench.talker() as talker:
        bench.flashed()
        port = talker.path
        bench.flashed()
        bench.flashed(False)
        assert len(bench.uploads()) == 1 and talker.path == port
        bench.flashed(True)
        assert len(bench.uploads()) == 2


def test_in_its_bootloader_it_is_flashed_right_away(bench: Bench) -> None:
    with bench.talker() as talker:
        talker._bootloader = True
        on_board, built, _ = bench.flashed()
        assert on_board == built


def test_a_touch_opens_the_bootloader_of_a_board_that_did_not_answer(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "bossac ok")
    touched = []
    with bench.talker() as talker:

        def touch(device, board):
            touched.append(device)
            talker.alias = bench.flash.with_name("ttyBOOT")
            talker.alias.symlink_to(device)
            talker._bootloader = True

        monkeypatch.setattr(flash, "touch", touch)
        on_board, built, _ = bench.flashed()
        assert on_board == built and bench.uploads() == [*touched, str(talker.alias)]


ON_THE_DESK = sorted({b.serial.reset: b.name for b in boards.load_all() if b.platformio.frameworks and b.usb}.values())


@pytest.mark.parametrize("name", ON_THE_DESK)
def test_the_whole_way_to_a_measured_figure(name: str, bench: Bench, monkeypatch, tmp_path) -> None:
    """One board of each way to be reset. What the talking board computes is nobody's model, so nobody verifies it."""
    board = boards.load(name)
    monkeypatch.setattr(_oracle, "find_oracle", lambda: None)
    monkeypatch.setattr(on_hardware, "WALL_S", 0.3)
    monkeypatch.setattr(on_hardware, "TOLERANCE", 9.0)  # how late lines come on a busy computer is none of this test's matter
    ids = [(usb.vid, usb.pid) for usb in board.usb]
    with bench.talker(board="nobody's") as talker:
        talker.stays = not board.serial.reappears
        talker.usb = (ids[0], next((i for i, u in zip(ids, board.usb, strict=True) if u.role == "bootloader"), ids[0]))
        monkeypatch.setattr("serial.tools.list_ports.comports", talker.comports)
        words = ("bench", DIGITS, "--hardware", "--board", name, "--samples", 2, "--runs", 12, "--json", tmp_path / "r.json")
        done = in_process(*words, MCUML_CACHE=str(tmp_path / "cache"))
    assert done.exit_code == 0, done.stderr
    told = results.from_json((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert told.latency is not None and told.device is not None and told.latency.wall is not None
    assert (told.link, told.latency.kind, len(told.latency.runs), told.device.simulated) == ("serial", "measured", 12, None)
    assert told.device.usb == f"{ids[0][0]:04x}:{ids[0][1]:04x}" and told.device.firmware == board.platformio.frameworks[0]
    text = " ".join(done.stdout.split())  # without the table's line ends
    # The stand-in's ELF is some program's, with none of the model's constants in it.
    assert told.memory is not None and (told.memory.code_bytes, told.memory.weights_bytes) == (None, None)
    for words in (
        "code and weights not told apart",
        "ms measured",
        "(real board)",
        "interrupts ran and are counted",
        "spread 0.01 % over 12 runs",
    ):
        assert words in text
    assert told.warnings is None and len(bench.uploads()) == 1


NOT_FLASHED = {  # id: (identity before, what is told with --no-flash)
    "stale": ({"build": "c" * 16}, "stale firmware"),
    "other-model": ({"sha256": "6" * 64}, "holds another model than the one asked for"),
    "other-board": ({"board": "elsewhere"}, "was built for elsewhere, not for"),
    "old": ({"protocol": 1}, "speaks version 1"),
}


@pytest.mark.parametrize("case", NOT_FLASHED)
def test_without_flashing_other_firmware_is_told(case: str, bench: Bench) -> None:
    before, told = NOT_FLASHED[case]
    with bench.talker(**before), pytest.raises(LinkError, match=told):
        bench.flashed(False)
    assert bench.uploads() == []


def test_a_simulated_device_is_not_flashed(bench: Bench) -> None:
    with bench.talker(simulated=1), pytest.raises(LinkError, match="is simulated, and holds other firmware") as caught:
        bench.flashed()
    assert "mcuml simulate" in caught.value.try_next and bench.uploads() == []


def test_an_upload_that_went_elsewhere_is_noticed(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "other")
    with bench.talker(), pytest.raises(LinkError, match="stale firmware"):
        bench.flashed()


FAILED = {  # id: what is told
    "bossac": "no bootloader answered",
    "esptool": "did not put it into download mode",
    "denied": "does not let us open",
    "busy": "another program has",
    "openocd": "found no probe and no bootloader",
    "verify": "is not what was written",
    "strange": "the upload over",
}


@pytest.mark.parametrize("case", FAILED)
def test_why_an_upload_failed(case: str) -> None:
    error = upload_output.explain(RECORDED[case], BOARD, "/dev/ttyX")
    assert f"The {BOARD.title} was not flashed: " in error.what and FAILED[case] in error.what
    assert error.exit_code == 6 and error.try_next and error.evidence.splitlines()[0] in RECORDED[case]


def test_a_board_that_is_unplugged_while_it_is_flashed(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "strange")
    with bench.talker() as talker:

        def gone(stage: str, *_: object) -> None:
            talker.listed = talker.listed and not stage.startswith("upload to")

        with (
            pytest.raises(Vanished, match="vanished while it was flashed"),
            flash.on_port(FILES, BOARD, SHA256, "", None, PORT, gone),
        ):
            pass


def test_a_failed_upload_ends_the_session_and_frees_the_port(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "denied ok")
    with bench.talker():
        with pytest.raises(LinkError, match="does not let us open"):
            bench.flashed()
        bench.flashed()


def test_an_upload_tool_that_cannot_be_had_is_a_matter_of_the_build(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "registry")
    with bench.talker(), pytest.raises(BuildError, match="PlatformIO cannot get"):
        bench.flashed()


def test_an_upload_has_a_limit(bench: Bench, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "hang")
    monkeypatch.setattr(flash, "UPLOAD_S", 2.0)
    began = time.monotonic()
    with bench.talker(), pytest.raises(LinkError, match="took more than 2 s and was stopped"):
        bench.flashed()
    assert time.monotonic() - began < 20


def test_a_board_that_does_not_come_back(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(ports.wait_for, "__defaults__", (0.5, lambda _: True))
    with bench.talker() as talker:
        talker._reflash = lambda: setattr(talker, "listed", False)  # type: ignore[method-assign]
        with pytest.raises(LinkError, match=r"did not come back within 0\.5 s"):
            bench.flashed()


def test_a_board_that_platformio_cannot_flash(bench: Bench) -> None:
    bare = BOARD.model_copy(update={"platformio": boards.PlatformIO()})
    with bench.talker(), pytest.raises(RequestError, match=f"mcuml cannot flash {BOARD.name}"):
        bench.flashed(board=bare)
    assert bench.uploads() == []

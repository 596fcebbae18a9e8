"""From generated files to firmware that runs on a board: built for the real board, uploaded by PlatformIO, found again."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from mcuml import build, pio, vendor
from mcuml.assets import cache_folder
from mcuml.board import Board
from mcuml.build import Image
from mcuml.elf_sizes import sizes
from mcuml.errors import LinkError, RequestError
from mcuml.link.serial import holders, ports
from mcuml.link.serial.line import SerialLink, touch, vanished
from mcuml.link.serial.ports import Port
from mcuml.run import upload_output
from mcuml.run.measure import Progress
from mcuml.run.protocol import Identity
from mcuml.run.session import Limits, Session

UPLOAD_S = 180.0  # a megabyte over SAM-BA or a slow UART takes about one minute
BOOTLOADER_S = 10.0  # until a touched board shows its bootloader
ASK_S = 3.0  # for a board that may hold other firmware; one that has just been reset by opening its port needs about one
BUILD_LOCK_S = 900.0  # the first build with a vendor's framework downloads it
CONSTANT = re.compile(r"^const \w+ (\w+)\[", re.MULTILINE)  # a definition in model_weights.c, of either runtime


@dataclass(frozen=True)
class Told:
    """What a device answered: who it is or, None, why it did not say."""

    identity: Identity | None
    trouble: LinkError | None = None


def ask(port: Port, board: Board) -> Told:
    """Who is on `port`, within ASK_S. A device that does not answer is no error; a port that cannot be opened is: LinkError."""
    if "bootloader" in {found.role for found in ports.recognized(port, [board])}:
        return Told(
            None, LinkError(f"The {board.title} on {port.device} is in its bootloader.", "", f"Flash it: {_flash(board)}")
        )
    with SerialLink(port.device, board, locked=False) as link:
        try:
            return Told(Session(link, Limits(wake_s=ASK_S)).identify())
        except LinkError as error:
            return Told(None, error)


@contextmanager
def built(files: Mapping[str, str], board: Board, firmware: str, profile: bool = False) -> Iterator[Image]:
    """An image of `files` for `board` with the firmware's port of that name: a vendor's framework, or one of ours. It stays as
    it is while this lasts: a framework takes minutes to compile, so that its folder serves all models in turn.

    Raises RequestError, BuildError, FitError."""
    if firmware not in board.platformio.frameworks:
        yield build.build_firmware(files, board, profile=profile, port=firmware)
        return
    folder = cache_folder() / "vendor" / f"{board.name}-{firmware}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"), timeout=BUILD_LOCK_S)
    try:
        lock.acquire()
    except Timeout:
        raise RequestError(
            f"Another build in {folder} has not ended for {BUILD_LOCK_S:g} s.", "", "Wait for it, or stop it."
        ) from None
    try:
        project = vendor.vendor_project(files, board, folder, firmware)
        elf = vendor.vendor_build(project)
        took = sizes(elf, CONSTANT.findall(files.get("model_weights.c", "")))
        about = {"name": board.platformio.platform, "version": "as PlatformIO resolved it", "framework": firmware}
        yield Image(elf, board, took.flash, took.flash - took.weights, took.weights, took.ram, about, False, folder,
                    project.build, firmware)  # fmt: skip
    finally:
        lock.release()


def check_uploadable(board: Board, firmware: str) -> None:
    """Raise RequestError unless PlatformIO can flash firmware with the port `firmware` onto `board`."""
    if firmware not in board.platformio.frameworks:
        known = " and ".join(board.platformio.frameworks) or "no vendor's framework"
        raise RequestError(
            f"mcuml cannot flash {board.name}" + (f" with the firmware's port '{firmware}'." if firmware else "."),
            f"Its file names {known} for PlatformIO. {board.notes}".strip(),
            "Build the firmware, flash its ELF with your own tool, and give --no-flash." if firmware else "See: mcuml boards",
        )


def upload(image: Image, port: Port, progress: Progress) -> Port:
    """Flash `image`, in built(), onto the board on `port`, whose lock the caller holds; return the port under which the board is
    back. A board that shows no bootloader is asked for it by a 1200-baud touch, where its file says so, and flashed once more.

    Raises LinkError: the upload failed or took over UPLOAD_S, the port did not come back."""
    board = image.board
    if others := holders.users(port.device):
        raise holders.in_use(port.device, others)
    progress(f"upload to {port.device}")
    status, output = _pio_upload(image, port)
    if status and board.serial.reset == "touch-1200" and upload_output.found_nobody(output):
        touch(port.device, board)
        status, output = _pio_upload(image, _bootloader(port, board))
    if status:
        if vendor.lacks_packages(output):
            raise vendor.vendor_error(output, vendor.Project(image.folder, board, image.port, image.build))
        error = upload_output.explain(output, board, port.device)
        if port.usb and not any(found.is_device_of(port) for found in ports.all_ports()):
            raise vanished(port, board, "flashed", error.evidence)
        raise error
    progress("wait for the board")
    if board.serial.reappears:
        ports.wait_until_gone(port, 1.0)
    return ports.wait_for(port, board)


def _pio_upload(image: Image, port: Port) -> tuple[int, str]:
    try:
        return pio.run_vendor(["run", "-t", "upload", "--upload-port", port.device], image.folder, UPLOAD_S)
    except subprocess.TimeoutExpired:
        raise LinkError(
            f"The upload to {port.device} took more than {UPLOAD_S:g} s and was stopped.",
            "",
            "Press the board's reset button, and begin again; its flash may hold half of the firmware.",
        ) from None


def _bootloader(port: Port, board: Board) -> Port:
    """The port of the touched board's bootloader; `port` itself where none shows up in time."""
    deadline = time.monotonic() + BOOTLOADER_S
    while time.monotonic() < deadline:
        for found in ports.all_ports():
            if found.is_device_of(port) and "bootloader" in {r.role for r in ports.recognized(found, [board])}:
                return found
        time.sleep(ports.POLL_S)
    return port


@contextmanager
def on_port(
    files: Mapping[str, str], board: Board, sha256: str, device: str, flash: bool | None, firmware: str, progress: Progress
) -> Iterator[tuple[Session, Image, Port]]:
    """A session with `board` on the port `device` ("": found by its USB id) that runs `files`, whose model has that sha256.

    flash: True uploads in any case, False never, None unless the board holds just this build already. firmware: the port of the
    firmware to upload. The port is locked for as long as this lasts. Raises LinkError: no such port, in use, the wrong or a
    stale firmware where it must not be flashed; RequestError, BuildError."""
    port = ports.find(board, device)
    with holders.held(port.device):
        progress(f"ask who is on {port.device}")
        told = ask(port, board)
        there = told.identity
        mine = there is not None and there.sha256 == sha256 and there.board == board.name
        if flash is False and not mine:
            raise _not_flashed(there, told, board, sha256, port)
        if there and mine and not flash:
            progress("build")
            with built(files, board, there.port or firmware) as image:
                if flash is False or image.build == there.build:
                    with _opened(port, board, sha256, image) as session:
                        yield session, image, port
                    return
        _check_flashable(there, board, firmware, port)
        progress("build")
        with built(files, board, firmware) as image:
            now = upload(image, port, progress)
            with _opened(now, board, sha256, image, locked=now.device != port.device) as session:
                yield session, image, now


def _check_flashable(there: Identity | None, board: Board, firmware: str, port: Port) -> None:
    check_uploadable(board, firmware)
    if there and there.simulated:
        raise LinkError(
            f"The device on {port.device} is simulated, and holds other firmware than the one asked for.",
            f"It says: board {there.board}, model '{there.model}', build {there.build}.",
            f"A simulator cannot be flashed. Start it anew: mcuml simulate MODEL --board {board.name} --pty",
        )


@contextmanager
def _opened(port: Port, board: Board, sha256: str, image: Image, locked: bool = False) -> Iterator[Session]:
    with SerialLink(port.device, board, locked) as link:
        session = Session(link, elf=image.elf)
        session.identify(sha256, image.build)
        yield session


def _not_flashed(there: Identity | None, told: Told, board: Board, sha256: str, port: Port) -> LinkError:
    if there is None:
        return told.trouble or LinkError(f"Nothing answers on {port.device}.", "", f"Flash it: {_flash(board)}")
    if there.board != board.name:
        return LinkError(
            f"The firmware on {port.device} was built for {there.board}, not for {board.name}.",
            f"It says: model '{there.model}', by mcuml {there.mcuml}.",
            f"Give --board {there.board}, or leave --no-flash out.",
        )
    return LinkError(
        f"The board on {port.device} holds another model than the one asked for.",
        f"On the board: '{there.model}', sha256 {there.sha256}. Asked for: sha256 {sha256}.",
        f"Leave --no-flash out, or flash it: {_flash(board)}",
    )


def _flash(board: Board) -> str:
    return f"mcuml flash MODEL --board {board.name}"

"""A session with a firmware image over the link asked for: the one place that knows which links there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

from mcuml.board import Board
from mcuml.build import Image
from mcuml.errors import RequestError
from mcuml.link import qemu, renode
from mcuml.link.base import Link
from mcuml.link.serial import ports
from mcuml.link.serial.line import SerialLink
from mcuml.link.virtual import VirtualBoard, check_simulated
from mcuml.run.session import Session
from mcuml.vendor import framework_of

LinkName = Literal["virtual", "serial", "qemu", "renode"]


@dataclass(frozen=True)
class Way:
    """One way to a device. check: raises RequestError for a board that cannot be reached so; firmware_port: the folder of
    firmware/ports that its firmware is built with, from (board, whether TensorFlow Lite Micro is in it); open: a link to a device
    that runs the image, from (image, the serial port's name, count, waits), the last two as VirtualBoard's, for simulators that
    can choose."""

    check: Callable[[Board], None]
    firmware_port: Callable[[Board, bool], str]
    open: Callable[[Image, str, bool, bool], Link]


def _virtual_port(board: Board, _library: bool) -> str:
    return board.simulators.virtual.port if board.simulators.virtual else "virtual"


def _virtual(image: Image, _port: str, count: bool, waits: bool) -> Link:
    return VirtualBoard(image.elf, image.board, count, waits)


def _hardware_port(board: Board, library: bool) -> str:
    return framework_of(board, library=library) if board.platformio.frameworks else board.bare


def _any(_board: Board) -> None:
    """Whether a board can be flashed is known when it has to be."""


def _serial(image: Image, port: str, _count: bool, _waits: bool) -> Link:
    return SerialLink(ports.find(image.board, port).device, image.board)


# Simulators that count instructions have Link.kind "instructions": no latency is told of them.
WAYS: dict[str, Way] = {
    "virtual": Way(check_simulated, _virtual_port, _virtual),
    "serial": Way(_any, _hardware_port, _serial),
    "renode": Way(
        renode.check, lambda board, _: renode.platform(board).port, lambda image, *_: renode.Renode(image.elf, image.board)
    ),
    "qemu": Way(qemu.check, lambda board, _: qemu.machine(board).port, lambda image, *_: qemu.Qemu(image.elf, image.board)),
}


def way(link: str) -> Way:
    """The way of that name. Raises RequestError: there is none."""
    if link not in WAYS:
        raise RequestError(f"There is no link '{link}'.", f"There are: {', '.join(WAYS)}.")
    return WAYS[link]


def link_name(text: str) -> LinkName:
    """`text` as the name of a link that there is. Raises RequestError."""
    way(text)
    return cast(LinkName, text)


@contextmanager
def opened(
    image: Image, sha256: str, link: str = "virtual", port: str = "", count: bool = True, waits: bool = False
) -> Iterator[Session]:
    """A session with `image`, which must hold the model of that sha256 and be what the device runs, over `link`; `port`: the
    serial port's name. Raises RequestError (no such link), LinkError."""
    with way(link).open(image, port, count, waits) as line:
        session = Session(line, elf=image.elf)
        session.identify(sha256, image.build)
        yield session


def layer_cycles(profiled: Image, sha256: str, inputs: Sequence[bytes], link: str = "virtual", port: str = "") -> tuple[int, ...]:
    """The cycles of every layer of one inference on `inputs`; `profiled` is an image with layer marks."""
    with opened(profiled, sha256, link, port) as session:
        session.load_input(*inputs)
        return session.layers()

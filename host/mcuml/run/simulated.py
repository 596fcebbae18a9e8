"""Firmware images on the virtual board: a session with one, and the cycles of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mcuml.build import Image
from mcuml.link.virtual import VirtualBoard
from mcuml.run.session import Session


@contextmanager
def session(image: Image, sha256: str, count: bool = True, waits: bool = False) -> Iterator[Session]:
    """A session with `image`, which must hold the model of that sha256. `count`, `waits`: as VirtualBoard's. Raises LinkError."""
    with VirtualBoard(image.elf, image.board, count, waits) as link:
        opened = Session(link)
        opened.identify(sha256)
        yield opened


def layer_cycles(profiled: Image, sha256: str, inputs: Sequence[bytes]) -> tuple[int, ...]:
    """The cycles of every layer of one inference on `inputs`; `profiled` is an image with layer marks."""
    with session(profiled, sha256) as opened:
        opened.load_input(*inputs)
        return opened.layers()

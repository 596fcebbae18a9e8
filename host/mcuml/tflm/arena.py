"""How big the arena of a model for TensorFlow Lite Micro is: begun with what the host's interpreter takes, confirmed on the
device, and shrunk to what it took there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcuml.board import Board
from mcuml.build import STACK_BYTES, Image
from mcuml.errors import FitError
from mcuml.plan import ARENA_ALIGN

ROOM = 8192  # bytes that a board's own kernels may want for scratch memory beyond the host's reference kernels
STATICS = 4096  # bytes of RAM for the interpreter, the operators' table and the firmware's own variables, at most
STEP = 64  # bytes by which an arena that proved too small grows first, then twice as many


@dataclass(frozen=True)
class Use:
    """What a device told of its arena: the bytes it took, 0 where they were too few; then, in TFLite Micro's words, why.
    faulted: it told nothing. Some versions of TFLite Micro write to address 0 where a tensor's record finds no room."""

    bytes: int
    words: str = ""
    faulted: bool = False


def first_guess(host_bytes: int | None, planned_bytes: int) -> int:
    """The bytes to begin with: what the host's interpreter took and room for scratch memory. Pointers of 64 bits make the host's
    figure larger than a board's. Without it, from mcuml's own plan, which keeps no interpreter's records."""
    return _rounded((host_bytes if host_bytes is not None else 2 * planned_bytes + ROOM) + ROOM)


def most(board: Board, input_bytes: int) -> int:
    """The largest arena for which the board may have room."""
    return (board.ram_available - STACK_BYTES - STATICS - input_bytes) // ARENA_ALIGN * ARENA_ALIGN


def fitted(make: Callable[[int, bool], Image], probe: Callable[[Image], Use], start: int, limit: int) -> int:
    """The bytes of the smallest arena that a device found enough, to within STEP. `make` builds an image for a size; with True
    one that tries smaller sizes by itself and tells the first that is enough; where it faults over that, an image is built for
    each. `probe` runs an image on the device. Sizes begin at `start` and end at `limit`. Raises FitError where `limit` is too
    small, and what `make` and `probe` raise."""
    size = min(start, limit)
    if size < ARENA_ALIGN:
        raise FitError("The board has no RAM left for an arena.", "", "Take a board with more RAM, or a smaller model.")
    while True:
        image = make(size, True)
        use = probe(image)
        sizes = [_rounded(use.bytes)]
        if use.faulted:
            image = make(size, False)
            use = probe(image)
            sizes = [_rounded(use.bytes), *(_rounded(use.bytes + (STEP << n)) for n in range(size.bit_length()))]
        if use.bytes:
            return next((wanted for wanted in sizes if wanted < size and probe(make(wanted, False)).bytes), size)
        if size == limit:
            raise FitError(
                f"TensorFlow Lite Micro cannot lay the model out in {limit:,} bytes, all that {image.board.name} has for it.",
                use.words,
                "Take a board with more RAM, a smaller model, or --runtime aot: `mcuml inspect MODEL` tells what that needs.",
            )
        size = min(2 * size, limit)


def _rounded(size: int) -> int:
    return -(-size // ARENA_ALIGN) * ARENA_ALIGN

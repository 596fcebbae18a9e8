"""The bytes on the serial line: constants, command encoders and reply decoders. Pure; docs/PROTOCOL.md is its prose."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

VERSION = 2  # 2: replies are checked; `mcuml id` tells port, build, counter, step, interrupts, simulated; `mcuml crc` inferences
TERMINATOR = "%"
READY = "m-ready"
CHECK = "m-check-"
BOOT = "m-timestamp-mode-"  # how the first line of the greeting after power-up begins
CHUNK_BYTES = 256  # data bytes of one `mcuml put` or `mcuml get`
LINE_BYTES = 2 * CHUNK_BYTES + 48  # hex digits, command words, an offset of 10 digits, a CRC of 8
DEFAULT_WARMUPS = 10  # MLPerf Tiny's firmware, although its help text says 0
DEFAULT_BAUD = 115200
MLPERF_LOAD_BYTES = 31  # data bytes of one `db`: what the official runner sends
PROFILE = "ULPMark for tinyML Firmware V0.0.1"  # what `profile` answers: EE_FW_VERSION of the official firmware
TRIGGER_US = 10  # low time of the energy trigger: the rule is 1 at least; ten samples of a meter that takes a million a second


class BadReply(ValueError):
    """A line does not have the form that the command's reply must have."""


@dataclass(frozen=True)
class Identity:
    """What the device says it is. `inputs` and `outputs` are bytes per tensor; `chunk` the most bytes of one transfer; `port`
    the folder of firmware/ports, `build` the Image's, `counter` what counts the cycles, `step` the cycles between two readings
    that it can tell apart; `interrupts`: others' run during an inference; `simulated`: its clock is a simulator's. Firmware of
    version 1 does not tell those."""

    protocol: int
    mcuml: str
    board: str
    model: str
    sha256: str
    clock_hz: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    chunk: int
    port: str = ""
    build: str = ""
    counter: str = ""
    step: int = 1
    interrupts: int = 0
    simulated: int = 0


@dataclass(frozen=True)
class Memory:
    """Bytes: the arena, the input buffer, the stack's size (0: unknown) and its high-water mark since boot. arena_used: of an
    arena that is laid out on the device, what that took, 0 where it failed; None where the arena is laid out by mcuml."""

    arena: int
    buffer: int
    stack: int
    stack_used: int
    arena_used: int | None = None


def crc(offset: int, data: bytes) -> int:
    """CRC-32 (zlib's) of the offset, 4 bytes little-endian, and the data."""
    return zlib.crc32(data, zlib.crc32(offset.to_bytes(4, "little")))


def check(request: str, lines: Sequence[str], key: int) -> int:
    """What the device's m-check line holds: CRC-32 of the command as sent, without its terminator, the reply's lines, each with
    CR LF, and the session's key, 4 bytes little-endian; of an empty command the key is 0."""
    said = request + "".join(f"{line}\r\n" for line in lines)
    return zlib.crc32(key.to_bytes(4, "little"), zlib.crc32(said.encode("utf-8")))


def parted(lines: Sequence[str]) -> tuple[list[str], int | None]:
    """A reply's lines before its check, and the check; None where the last line is none."""
    match = re.fullmatch(CHECK + r"\[([0-9a-f]{8})\]", lines[-1]) if lines else None
    return list(lines[:-1] if match else lines), int(match[1], 16) if match else None


def command(*words: object) -> bytes:
    """One command: words joined by a space, ended by the terminator."""
    return (" ".join(str(w) for w in words) + TERMINATOR).encode("ascii")


def put(offset: int, data: bytes) -> tuple[object, ...]:
    """Words of the command that writes `data` (at most CHUNK_BYTES) into the input buffer at `offset`."""
    return "mcuml", "put", offset, data.hex(), f"{crc(offset, data):08x}"


def bracketed(line: str, prefix: str) -> str:
    """What is between the brackets of "prefix[...]"; BadReply otherwise."""
    if not (line.startswith(prefix + "[") and line.endswith("]")):
        raise BadReply(f"expected {prefix}[...], got {line!r}")
    return line[len(prefix) + 1 : -1]


def _record(line: str, prefix: str, kind: type) -> Any:
    try:
        told = json.loads(bracketed(line, prefix))
        known = {f.name for f in fields(kind)}  # a later version may tell more; what it calls itself is looked at first
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in told.items() if k in known})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadReply(f"expected {prefix}[{{...}}], got {line!r}") from error


def identity(line: str) -> Identity:
    """Decode the reply to `mcuml id`."""
    return _record(line, "m-id-", Identity)


def memory(line: str) -> Memory:
    """Decode the reply to `mcuml mem`."""
    return _record(line, "m-mem-", Memory)


def got(line: str, offset: int, count: int) -> bytes:
    """Decode the reply to `mcuml get offset count`; BadReply when anything differs, the CRC included."""
    match = re.fullmatch(r"m-get-\[([0-9]{1,10}),([0-9a-f]*),([0-9a-f]{8})\]", line)
    if not match or int(match[1]) != offset or len(match[2]) != 2 * count:
        raise BadReply(f"expected {count} bytes from offset {offset}, got {line!r}")
    data = bytes.fromhex(match[2])
    if int(match[3], 16) != crc(offset, data):
        raise BadReply(f"CRC of {count} bytes from offset {offset} is {crc(offset, data):08x}, the device sent {match[3]}")
    return data


def state(line: str) -> tuple[int, int]:
    """Decode the reply to `mcuml crc`: (CRC of offset 0 and the whole input buffer, inferences since the device started)."""
    match = re.fullmatch(r"m-crc-\[([0-9a-f]{8}),([0-9]{1,10})\]", line)
    if not match:
        raise BadReply(f"expected m-crc-[CRC,N], got {line!r}")
    return int(match[1], 16), int(match[2])


def cycles(line: str) -> int:
    """Decode one line of the reply to `mcuml run`."""
    match = re.fullmatch(r"m-cycles-\[([0-9]{1,20})\]", line)
    if not match:
        raise BadReply(f"expected m-cycles-[N], got {line!r}")
    return int(match[1])


def layer(line: str) -> tuple[int, int]:
    """Decode one line of the reply to `mcuml layers`: (index, cycles)."""
    match = re.fullmatch(r"m-layer-\[([0-9]{1,9}),([0-9]{1,20})\]", line)
    if not match:
        raise BadReply(f"expected m-layer-[INDEX,CYCLES], got {line!r}")
    return int(match[1]), int(match[2])


def results(line: str) -> list[float]:
    """Decode m-results-[...] of MLPerf Tiny."""
    try:
        # Some official reference firmware ends the list with a comma.
        return [float(v) for v in bracketed(line, "m-results-").removesuffix(",").split(",")]
    except ValueError as error:
        raise BadReply(f"expected m-results-[...], got {line!r}") from error


def laps(lines: Sequence[str], iterations: int, warmups: int, energy: bool = False) -> tuple[int, ...]:
    """The timestamps, in microseconds, in the reply to `infer iterations warmups` of MLPerf Tiny: two, or in energy mode none.
    Every line must be there, with the numbers that were asked for."""
    between = [] if energy else [r"m-lap-us-([0-9]{1,10})"] * 2
    wanted = [
        f"m-warmup-start-{warmups}",
        "m-warmup-done",
        f"m-infer-start-{iterations}",
        *between,
        "m-infer-done",
        r"m-results-.*",
    ]
    found = [re.fullmatch(want, line) for want, line in zip(wanted, lines, strict=False)]
    if len(lines) != len(wanted) or not all(found):
        raise BadReply(f"expected the {len(wanted)} lines of 'infer {iterations} {warmups}', got {list(lines)!r}")
    return tuple(int(match[1]) for match in found if match and match.re.groups)

"""Damaged files and lines against mcuml: each ends in a model (a board, a reply) or in a UserError, soon, in little memory."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import numpy as np

from fuzz import mutate
from mcuml import board, pipeline, render
from mcuml.errors import UserError
from mcuml.run import protocol

SECONDS = 2.0  # of processor time, so that a busy machine does not count
MEMORY_BYTES = 512 << 20


class TooLong(BaseException):
    """More processor time than SECONDS."""


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Address space of what this process has now and MEMORY_BYTES more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, before[1]))

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    old = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, old)
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(attempt: Callable[[], str]) -> tuple[str, str]:
    """(what came of it, text): "UserError", what `attempt` returned, or "ESCAPED" with the exception's words."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return attempt(), ""
    except UserError as error:
        return "UserError", error.what
    except TooLong:
        return "ESCAPED", f"it took more than {SECONDS} s"
    except BaseException as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if isinstance(error, KeyboardInterrupt):
            raise
        frames, last = [], error.__traceback__
        while last:
            frames.append(f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}")
            last = last.tb_next
        return "ESCAPED", f"{type(error).__name__}: {error} at {' '.join(frames[-3:])}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


Result = tuple[str, str, bytes]  # what came of it, text, the damaged bytes (of an escape)


def models(originals: Sequence[bytes], seeds: range) -> Iterator[Result]:
    """Damaged models through prepare() and, where a plan comes of it, render_model()."""
    places = [mutate.structure(data) for data in originals]
    with tempfile.TemporaryDirectory(prefix="mcuml-fuzz-") as folder, limits():
        path = Path(folder) / "damaged.tflite"

        def attempt() -> str:
            render.render_model(pipeline.prepare(path))
            return "model"

        for seed in seeds:
            rng = np.random.default_rng(seed)
            which = int(rng.integers(0, len(originals)))
            data = mutate.damaged(rng, originals[which], places[which])
            path.write_bytes(data)
            kind, text = outcome(attempt)
            yield kind, f"seed {seed}: {text}", data if kind == "ESCAPED" else b""


BOARD_WORDS = (
    b"", b"\n", b"[", b"]", b"=", b'"', b"'", b"[[flash]]", b"-1", b"0", b"1e400", b"nan", b"99999999999999999999", b"true",
    b"1979-05-27", b"{}", b"x = 1\n", b"#", b"\x00", b"\xff\xfe", b"flash.size = 1\n", b"cortex-m4f", b'"""', b"core",
)  # fmt: skip


def boards(originals: Sequence[Path], seeds: range) -> Iterator[Result]:
    """Damaged board files, each under its own name, through board.load()."""
    with tempfile.TemporaryDirectory(prefix="mcuml-fuzz-") as folder, limits():
        for seed in seeds:
            rng = np.random.default_rng(seed)
            original = originals[int(rng.integers(0, len(originals)))]
            data = mutate.garbled(rng, original.read_bytes(), BOARD_WORDS)
            path = Path(folder) / str(seed) / original.name  # a board's file has its name, and is read once
            path.parent.mkdir()
            path.write_bytes(data)

            def attempt(path: Path = path) -> str:
                board.load(path)
                return "board"

            kind, text = outcome(attempt)
            yield kind, f"seed {seed}: {text}", data if kind == "ESCAPED" else b""


REPLIES = (
    b"m-cycles-[123]", b"m-layer-[0,44]", b"m-results-[0.1,0.9]", b"m-get-[0,0a0b,d202ef8d]",
    b'm-mem-[{"arena":32,"buffer":16,"stack":9,"stack_used":1}]',
    b'm-id-[{"protocol":1,"mcuml":"1","board":"b","model":"m","sha256":"5","clock_hz":1,"inputs":[16],"outputs":[4],"chunk":256}]',
)  # fmt: skip
REPLY_WORDS = (
    b"", b"[", b"]", b"{", b"}", b",", b'"', b":", b"-1", b"1e999", b"NaN", b"null", b"[[[[", b"\xd9\xa3", b"\xff", b"\x00",
    b"9" * 5000, b"[" * 5000, b"{}", b"true", b'"x"', b"\\u0000", b"0x1", b"m-",
)  # fmt: skip
DECODERS: tuple[Callable[[str], object], ...] = (
    protocol.identity, protocol.memory, lambda line: protocol.got(line, 0, 2), protocol.cycles, protocol.layer, protocol.results,
)  # fmt: skip


def replies(seeds: range) -> Iterator[Result]:
    """Damaged lines from a device through every decoder of the host: a value or BadReply."""
    with limits():
        for seed in seeds:
            rng = np.random.default_rng(seed)
            data = mutate.garbled(rng, REPLIES[int(rng.integers(0, len(REPLIES)))], REPLY_WORDS)
            line = data.decode("utf-8", "replace")

            def attempt(line: str = line) -> str:
                for decode in DECODERS:
                    with contextlib.suppress(protocol.BadReply):
                        decode(line)
                return "reply or BadReply"

            kind, text = outcome(attempt)
            yield kind, f"seed {seed}: {text}", data if kind == "ESCAPED" else b""


COMMANDS = (
    b"name%", b"profile%", b"timestamp%", b"db load 16%", b"db 000102030405060708090a0b0c0d0e0f%", b"infer 1 0%", b"results%",
    b"mcuml id%", b"mcuml mem%", protocol.command(*protocol.put(0, bytes(range(16)))),
    protocol.command(*protocol.put(8, bytes(8))), b"mcuml key 0000002a%", b"mcuml mem #1%", b"mcuml get 0 4%", b"mcuml crc%",
    b"mcuml run 1%", b"mcuml layers%",
)  # fmt: skip
COMMAND_WORDS = (
    b"", b"%", b" ", b"  ", b"-1", b"0", b"4294967295", b"4294967296", b"99999999999999999999", b"mcuml ", b"put ", b"get ",
    b"db ", b"load ", b"\x00", b"\xff", b"\r\n", b"x" * 700, b"0" * 600, b"g", b"infer ", b"%%%%",
)  # fmt: skip
STREAM = 25  # commands for one start of the program
LONG = re.compile(rb"(infer|run)[^%]*[0-9][0-9\r\n]{3,}")  # many inferences are no fault


def commands(program: Path, seeds: range) -> Iterator[Result]:
    """Damaged commands to the host build of the firmware, STREAM at a time: it goes on, and still knows its name at the end."""
    for first in range(seeds.start, seeds.stop, STREAM):
        rng = np.random.default_rng(first)
        sent = [mutate.garbled(rng, COMMANDS[int(rng.integers(0, len(COMMANDS)))], COMMAND_WORDS) for _ in range(STREAM)]
        data = b"".join(c for c in sent if not LONG.search(c)) + b"%\nname%"
        try:
            done = subprocess.run([program], input=data, capture_output=True, timeout=10)
            good = done.returncode == 0 and done.stdout.endswith(b"m-name-dut-[mcuml]\r\nm-ready\r\n")
            said = f"status {done.returncode}, {done.stderr[:300]!r}, {done.stdout[-80:]!r}"
        except subprocess.TimeoutExpired:
            good, said = False, "no end within 10 s"
        for _ in range(STREAM - 1):
            yield "answered", "", b""
        yield ("answered", "", b"") if good else ("ESCAPED", f"seed {first}: {said}", data)


def gather(results: Iterator[Result], folder: Path, suffix: str) -> tuple[Counter, list[str]]:
    """(how often each outcome came, the escapes), their bytes written to `folder`."""
    counts: Counter = Counter()
    escapes = []
    for kind, text, data in results:
        counts[kind] += 1
        if kind == "ESCAPED":
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{len(escapes)}-{os.getpid()}{suffix}").write_bytes(data)
            escapes.append(text)
    return counts, escapes

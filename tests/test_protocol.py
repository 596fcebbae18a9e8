"""Both command sets, to the byte, on the host build of the firmware and on the virtual board."""

from __future__ import annotations

import random
import re

import pytest

from device import SHA256, device, replies
from mcuml.run import protocol

READY = "m-ready\r\n"
LOADED = b"db load 16%db 000102030405060708090a0b0c0d0e0f%"
CHUNK = bytes(range(16))

# (id, what is sent, what comes back but for m-ready after each command; a number that may vary is written <N>)
EXACT = [
    ("name", "name%", "m-name-dut-[mcuml]\r\n"),
    ("profile", "profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[stub01]\r\n"),
    ("timestamp", "timestamp%", "m-lap-us-<N>\r\n"),
    ("unknown", "nonsense 1 2%", "e-[Unknown command: nonsense]\r\n"),
    ("empty", "%", ""),
    ("blank", "   %", ""),
    ("newline", "na\r\nme\n%", "m-name-dut-[mcuml]\r\n"),
    ("control", "\x01\xffx%", "e-[Unknown command: ??x]\r\n"),
    ("db", "db%", "e-[Command 'db' requires a subcommand]\r\n"),
    ("db load", "db load%", "e-[Command 'db load' requires the # of bytes]\r\n"),
    ("db load 0", "db load 0%", "e-[Command 'db load' must be >0 bytes]\r\n"),
    ("db load -1", "db load -1%", "e-[Command 'db load' must be >0 bytes]\r\n"),
    ("db load x", "db load x%", "e-[Command 'db load' must be >0 bytes]\r\n"),
    ("db load 16", "db load 16%", "m-[Expecting 16 bytes]\r\n"),
    ("db load 17", "db load 17%", "Supplied buffer size 17 exceeds maximum of 16\n"),
    ("db odd", "db 012%", "e-[Insufficent number of hex digits]\r\n"),
    ("db bad", "db 01zz%", "e-[Invalid hex digit 'zz']\r\n"),
    ("infer 0", "infer 0%", "e-[Inference iterations must be >0]\r\n"),
    ("infer x", "infer x%", "e-[Inference iterations must be >0]\r\n"),
    ("infer 1 -1", "infer 1 -1%", "e-[Inference warmup must be >=0]\r\n"),
    ("mcuml", "mcuml%", "e-[Command 'mcuml' requires id, key, mem, put, get, crc, run, layers or reset]\r\n"),
    ("put short", "mcuml put 0 00%", "e-[Command 'mcuml put' requires OFFSET HEX CRC]\r\n"),
    ("put no number", "mcuml put x 00 00000000%", "e-[Command 'mcuml put' requires OFFSET HEX CRC]\r\n"),
    ("put bad crc", "mcuml put 0 00 00000000%", f"e-[CRC mismatch: computed {protocol.crc(0, bytes(1)):08x}]\r\n"),
    ("put short crc", "mcuml put 0 00 0000%", "e-[CRC must be 8 hex digits]\r\n"),
    ("put beyond", protocol.command(*protocol.put(8, bytes(9))).decode(), "e-[Range exceeds the 16 input bytes]\r\n"),
    ("put wraps", protocol.command(*protocol.put(0xFFFFFFFF, bytes(2))).decode(), "e-[Range exceeds the 16 input bytes]\r\n"),
    ("put", protocol.command(*protocol.put(0, CHUNK)).decode(), "m-put-[0,16]\r\n"),
    ("key", "mcuml key 0000002a%", "m-key-[0000002a]\r\n"),
    ("key short", "mcuml key 2a%", "e-[Command 'mcuml key' requires 8 hex digits]\r\n"),
    ("key none", "mcuml key%", "e-[Command 'mcuml key' requires 8 hex digits]\r\n"),
    ("get beyond", "mcuml get 1 4%", "e-[Range exceeds the 4 output bytes]\r\n"),
    ("get wraps", "mcuml get 4294967295 2%", "e-[Range exceeds the 4 output bytes]\r\n"),
    ("get too large", "mcuml get 99999999999 1%", "e-[Command 'mcuml get' requires OFFSET N]\r\n"),
    ("run 0", "mcuml run 0%", "e-[Command 'mcuml run' requires N > 0]\r\n"),
    ("run 2", "mcuml run 2%", "m-cycles-[<N>]\r\nm-cycles-[<N>]\r\n"),
    ("layers", "mcuml layers%", "m-layer-[0,<N>]\r\nm-layer-[1,<N>]\r\n"),
    ("mem", "mcuml mem%", 'm-mem-[{"arena":32,"buffer":16,"stack":<N>,"stack_used":<N>}]\r\n'),
    ("id", "mcuml id%", f'm-id-[{{"protocol":2,"mcuml":"<S>","board":"stub","model":"stub01","sha256":"{SHA256}",'
                        '"clock_hz":64000000,"inputs":[16],"outputs":[4],"chunk":256,"port":"<S>",'
                        f'"build":"{"b" * 16}","counter":"<S>","step":<N>,"interrupts":<N>,"simulated":1}}]\r\n'),
    ("too long", "x" * (protocol.LINE_BYTES + 1) + "%", f"e-[Command longer than {protocol.LINE_BYTES} bytes]\r\n"),
    ("long", "x" * protocol.LINE_BYTES + "%", f"e-[Unknown command: {'x' * protocol.LINE_BYTES}]\r\n"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["host", "virtual"])
def link(request):
    with device(request.param) as opened:
        yield opened


def matches(reply: bytes, want: str) -> bool:
    pattern = re.escape(want).replace("<N>", r"\d+").replace("<S>", r"[^\"]+")
    return re.fullmatch(pattern, reply.decode("latin1")) is not None


@pytest.mark.parametrize(("sent", "want"), [row[1:] for row in EXACT], ids=[row[0] for row in EXACT])
def test_reply(link, sent, want):
    assert matches(got := replies(link, sent.encode("latin1")), want + READY), got


# (what is sent, the lines before the check); the key is 0x2a, and that of an empty command 0
CHECKED = [
    ("mcuml get 0 2 #1", ["m-get-[0,0002," + f"{protocol.crc(0, bytes([0, 2])):08x}]"]),
    ("name #ff", ["m-name-dut-[mcuml]"]),
    ("nonsense #", ["e-[Unknown command: nonsense]"]),
    ("db load 16 #2", ["m-[Expecting 16 bytes]"]),
    ("mcuml key 0000002a #3", ["m-key-[0000002a]"]),
    ("#4", []),
]


def test_a_tag_asks_for_the_check_of_command_reply_and_key(link):
    replies(link, LOADED + b"infer 1 0%", 3)
    replies(link, b"mcuml key 0000002a%")
    for request, lines in CHECKED:
        key = 0 if request == "#4" else 0x2A
        want = "".join(f"{line}\r\n" for line in [*lines, f"m-check-[{protocol.check(request, lines, key):08x}]", "m-ready"])
        assert replies(link, protocol.command(request)).decode() == want
    replies(link, b"mcuml key 00000000%")


def test_help_begins_with_version_and_a_blank_line(link):
    lines = replies(link, b"help%").decode().split("\r\n")
    assert lines[:2] == [protocol.PROFILE, ""] and lines[-2:] == ["m-ready", ""]
    for word in ("help", "name", "timestamp", "db load", "infer", "results", "mcuml"):
        assert any(line.startswith(word) for line in lines), word


def test_load_print_infer_results(link):
    """A whole MLPerf Tiny exchange; the stub halves the mean of four inputs: 0, 2, 4, 6, and its zero point is -128."""
    scores = "m-results-[0.500,0.508,0.516,0.523]\r\n"
    assert replies(link, LOADED, 2).decode() == f"m-[Expecting 16 bytes]\r\n{READY}m-load-done\r\n{READY}"
    print_ = "m-buffer-00-01-02-03-04-05-06-07\r\nm-buffer-08-09-0a-0b-0c-0d-0e-0f\r\n" + READY
    assert replies(link, b"db print%").decode() == print_
    lap = "m-lap-us-<N>\r\n"
    want = f"m-warmup-start-2\r\nm-warmup-done\r\nm-infer-start-3\r\n{lap}{lap}m-infer-done\r\n{scores}{READY}"
    assert matches(got := replies(link, b"infer 3 2%"), want), got
    assert matches(replies(link, b"infer 1%"), want.replace("start-2", "start-10").replace("start-3", "start-1"))
    assert replies(link, b"results%").decode() == scores + READY
    assert (
        replies(link, b"mcuml get 0 4%").decode() == f"m-get-[0,00020406,{protocol.crc(0, bytes([0, 2, 4, 6])):08x}]\r\n{READY}"
    )
    line = replies(link, b"mcuml crc%").decode().splitlines()[0]
    assert line.startswith(f"m-crc-[{protocol.crc(0, CHUNK):08x},") and protocol.state(line)[1] >= 3 + 2 + 1 + 10


def test_load_in_pieces_ignores_excess(link):
    sent = [b"db load 10%", b"db 00112233445566778899aabb%", b"db ff%"]
    assert replies(link, b"".join(sent), 3).decode() == f"m-[Expecting 10 bytes]\r\n{READY}m-load-done\r\n{READY}{READY}"
    assert b"m-buffer-88-99\r\n\r\nm-ready" in replies(link, b"db print%")


def test_layers_sum_to_the_run(link):
    """In a profiled build a run holds the counter's readings, the layers do not; the host's clock is too coarse to compare."""
    if link.name == "virtual":
        run = protocol.cycles(replies(link, b"mcuml run 1%").decode().split("\r\n")[0])
        layers = [protocol.layer(line)[1] for line in replies(link, b"mcuml layers%").decode().split("\r\n")[:2]]
        assert abs(sum(layers) - run) < 50 * len(layers)


@pytest.mark.parametrize("seed", range(8))
def test_garbage_leaves_the_device_answering(link, seed):
    """Random bytes, half commands and overlong lines; then one terminator, and it is itself again."""
    rng = random.Random(seed)
    words = [b"db load ", b"db ", b"infer", b"mcuml put ", b"mcuml get ", b"%", b" ", b"0", b"zz", b"-", b"results", b"mcuml id"]
    noise = b"".join(rng.choice([rng.randbytes(rng.randrange(40)), *words, b"x" * 700]) for _ in range(60))
    noise = noise.replace(b"infer", b"infex").replace(b"mcuml r", b"mcuml q").replace(b"\x25\x25", b"%")
    replies(link, noise + b"%", (noise + b"%").count(b"%"))
    assert replies(link, b"name%").decode() == "m-name-dut-[mcuml]\r\n" + READY


def test_reset_in_the_middle_of_a_command():
    with device("virtual") as board:
        board.write(b"db load 16%db 0011")
        board.read(0.2)
        board.reset()
        assert replies(board, b"").endswith(b"m-ready\r\n")
        assert replies(board, b"mcuml reset%").endswith(b"m-init-done\r\nm-ready\r\n")
        assert replies(board, b"name%").startswith(b"m-name-dut")


FIXED3 = [
    "0",
    "-0.0",
    "0.0005",
    "0.0015",
    "0.0025",
    "1.9995",
    "0.9999",
    "123456.789",
    "1e-40",
    "3.4e38",
    "-1e10",
    "16777217.5",
    "nan",
    "inf",
]


def test_scores_are_printed_as_printf_does(tmp_path):
    """put_fixed3 against the C rule ('%0.3f' of the float's exact value), on special and random floats."""
    import ctypes
    import subprocess
    import sys

    import numpy as np

    from device import FIRMWARE

    (tmp_path / "out.c").write_text(
        '#include "port.h"\n#include "text.h"\nstatic char *at;\nvoid port_putc(char c) { *at++ = c; }\n'
        "#ifdef _WIN32\n__declspec(dllexport)\n#endif\nvoid show(float v, char *to);\n"
        "void show(float v, char *to) { at = to; put_fixed3(v); *at = 0; }\n"
    )
    library = tmp_path / "text.so"
    sources = [str(tmp_path / "out.c"), str(FIRMWARE / "text.c"), str(FIRMWARE / "check.c")]
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", f"-I{FIRMWARE}", *sources, "-o", str(library)], check=True
    )
    show, text = ctypes.CDLL(str(library)).show, ctypes.create_string_buffer(64)
    show.argtypes = [ctypes.c_float, ctypes.c_char_p]
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 1 << 32, 3000, dtype=np.uint64).astype(np.uint32)
    values = [*map(float, FIXED3), *bits.view(np.float32).tolist(), *(rng.integers(-4000, 4000, 500) / 2000).tolist()]
    for value in values:
        value = float(np.float32(value))
        show(value, text)
        assert text.value.decode().replace("-nan", "nan") == f"{value:.3f}", value


@pytest.mark.parametrize(
    "decode, line",
    [
        (protocol.identity, "m-id-[" + "[" * 5000 + "]"),  # deeper than a JSON decoder goes
        (protocol.cycles, f"m-cycles-[{'9' * 5000}]"),  # more digits than int() takes
        (protocol.layer, f"m-layer-[0,{'9' * 5000}]"),
        (protocol.cycles, "m-cycles-[\u0663]"),  # a digit, but not one that a device sends
    ],
)
def test_absurd_replies_are_bad_replies(decode, line):
    with pytest.raises(protocol.BadReply):
        decode(line)

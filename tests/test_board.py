"""Board files: strict, told by name, and each proven as far as its `verified` says."""

from pathlib import Path

import pytest

from mcuml import board as boards
from mcuml import build, pipeline
from mcuml.bench import Request, bench, firmware_files
from mcuml.elf_sizes import sizes
from mcuml.errors import RequestError
from mcuml.link.virtual import check_simulated
from mcuml.run import flash

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
ALL = {b.name: b for b in boards.load_all()}
GOOD = """
name = "mine"
title = "My board"
vendor = "Me"
mcu = "nRF52840"
core = "cortex-m4f"
clock_hz = 64_000_000
sources = ["its manual"]
[flash]
origin = 0
size = 0x10_0000
[ram]
origin = 0x2000_0000
size = 0x4_0000
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="mine"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def test_a_file_of_ones_own(write):
    mine = boards.load(write(GOOD))
    assert (mine.flash_available, mine.ram_available, mine.cpu.dsp) == (1 << 20, 1 << 18, True)


BROKEN = [  # (what is replaced, by what, words of the message)
    ("clock_hz = 64_000_000", "", ["clock_hz", "this key is missing"]),
    ("clock_hz = 64_000_000", "clock_hz = '64'", ["clock_hz", "valid integer"]),
    ("clock_hz = 64_000_000", "clock_hz = 64_000_000\nclock_mhz = 64", ["clock_mhz", "no such key"]),
    ("size = 0x4_0000", "size = 0x4_0000\nbanks = 2", ["ram.banks", "no such key"]),
    ("size = 0x4_0000", "size = 0", ["ram.size", "greater than 0"]),
    ("size = 0x4_0000", "size = 0xF000_0000", ["ram", "beyond 32 bits"]),
    ("size = 0x10_0000", "size = 0x10_0000\nreserved = 0x10_0000\nreserved_for = 'a loader'", ["flash", "leaves nothing"]),
    ("size = 0x10_0000", "size = 0x10_0000\nreserved = 16", ["reserved_for"]),
    ("cortex-m4f", "cortex-m5", ["cortex-m5", "cortex-m4f, cortex-m7"]),
    ("sources = ['its manual']", "sources = []", ["sources"]),
    ('name = "mine"', 'name = "yours"', ["yours", "Rename it to yours.toml"]),
    ('name = "mine"', "name = ", ["is not TOML"]),
    ('name = "mine"', 'name = "../mine"', ["name", "made of letters"]),
    ('name = "mine"', "name = " + "[" * 5000, ["is not TOML"]),
    ('title = "My board"', 'title = "My\\n[board]"', ["title", "one line"]),
    ('title = "My board"', 'title = "My */ board"', ["title", "without */"]),
    ('title = "My board"', 'title = "My board"\n# ' + "x" * (1 << 20), ["is no board file", "bytes"]),
    ("[flash]", "[energy]\nvolts = 3.3\nmilliamps_active = inf\nsource = 'x'\n[flash]", ["energy.milliamps_active", "finite"]),
    ("[flash]", "[flash]\n[flash]", ["is not TOML"]),
]


@pytest.mark.parametrize("old, new, words", BROKEN, ids=lambda v: v[:30] if isinstance(v, str) else "")
def test_a_wrong_file_is_told(write, old, new, words):
    text = GOOD.replace('["its manual"]', "['its manual']").replace(old, new)
    with pytest.raises(RequestError) as caught:
        boards.load(write(text))
    told = f"{caught.value.what} {caught.value.evidence} {caught.value.try_next}"
    assert "mine.toml" in told and not [word for word in words if word not in told], told


@pytest.mark.parametrize(
    "name, evidence",
    [("nano33bel", "Did you mean nano33ble"), ("NUCLEO_L4R5ZI", "nucleo_l4r5zi"), ("quark", "The boards are bluepill_f103c8, ")],
)
def test_an_unknown_name_is_told(name, evidence):
    with pytest.raises(RequestError, match=f"There is no board '{name}'") as caught:
        boards.load(name)
    assert evidence in caught.value.evidence


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(RequestError, match="Cannot read the board file"):
        boards.load(tmp_path / "none.toml")


def test_a_board_that_is_not_simulated_is_told():
    with pytest.raises(RequestError, match="no simulator for mine") as caught:
        check_simulated(next(iter(ALL.values())).model_copy(update={"name": "mine", "simulators": boards.Simulators()}))
    assert all(b.name in caught.value.evidence for b in ALL.values() if b.simulators.virtual)


@pytest.fixture(scope="module")
def digits():
    return pipeline.prepare(DIGITS / "digits_int8.tflite")


@pytest.mark.parametrize("name", [n for n, b in ALL.items() if b.verified == "simulated"])
def test_what_is_called_simulated_was(name, digits):
    from mcuml import reference
    from mcuml.link import qemu

    virtual = ALL[name].simulators.virtual
    if not virtual and (missing := qemu.PROGRAMS[ALL[name].cpu.arch].missing):
        pytest.skip(f"QEMU, which alone runs {name}, is not here. {missing}")

    def oracle(model, inputs):
        answer = reference.ask(model, inputs)
        return answer.oracle, answer.samples

    request = Request(
        DIGITS / "digits_int8.tflite", ALL[name], DIGITS / "digits_test.npz", samples=5, link="virtual" if virtual else "qemu"
    )
    verify = bench(digits, request, oracle, lambda *_: None).result.verify
    assert (verify.identical, verify.matching) == (True, 5)


@pytest.mark.parametrize("name", [n for n, b in ALL.items() if b.verified == "compiled"])
def test_what_is_called_compiled_links(name, digits):
    image = build.build_firmware(firmware_files(digits, ALL[name]), ALL[name])
    flash, ram = ALL[name].flash_available, ALL[name].ram_available
    assert 0 < image.flash_bytes < flash and digits.arena_bytes < image.ram_bytes < ram
    assert image.flash_bytes == image.code_bytes + image.weights_bytes


def test_without_a_section_of_their_own_weights_are_known_by_name(digits, tmp_path):
    """Vendors' linker scripts put them among all other constants."""
    files = firmware_files(digits, ALL["nano33ble"])
    image = build.build_firmware(files, ALL["nano33ble"])
    elf = tmp_path / "vendor.elf"
    elf.write_bytes(image.elf.read_bytes().replace(b"\0.weights\0", b"\0.unknown\0"))
    names = flash.CONSTANT.findall(files["model_weights.c"])
    assert len(names) == len(set(names)) > 4 and sizes(elf).weights == 0
    assert 0 <= image.weights_bytes - sizes(elf, names).weights < 16 * len(names)  # padding between them
    assert sizes(elf, names).flash == image.flash_bytes

"""The cache under strain: two benches at once in one folder, and entries that were damaged."""

import subprocess
from pathlib import Path

import pytest

from commandline import COMMAND, DIGITS, environment, mcuml
from mcuml import results


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_two_benches_at_once_in_one_folder(cache: Path, tmp_path: Path) -> None:
    """Both start on an empty cache and want the same builds; 21 samples make them want the host build too."""
    words = [*COMMAND, "bench", str(DIGITS), "--samples", "21", "--json", "r.json", "--quiet"]
    both = [
        subprocess.Popen(words, cwd=tmp_path, env=environment(MCUML_CACHE=str(cache)), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [run.communicate(timeout=120)[1] for run in both]
    assert [run.returncode for run in both] == [0, 0] and told == ["", ""]
    held = results.from_json((tmp_path / "r.json").read_text(encoding="utf-8")).verify
    assert held is not None and held.passed and held.host_samples == 21
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


DAMAGE = {  # id: (files of the cache, what happens to the first, the second ... of them)
    "records": ("builds/*/image.json", (empty, half)),
    "firmware": ("builds/*/.pio/build/*/firmware.elf", (half, flip)),
    "library": ("host/model-*[!6]", (half,)),  # not its .sha256
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_entry_is_built_again(case: str, cache: Path) -> None:
    pattern, damages = DAMAGE[case]
    words = ("bench", DIGITS, "--samples", 21, "--quiet", "--json", "-")
    assert mcuml(*words, MCUML_CACHE=str(cache)).returncode == 0
    places = sorted(cache.glob(pattern))
    for place, damage in zip(places, damages, strict=True):
        damage(place)
    damaged = [place.read_bytes() for place in places]
    done = mcuml(*words, MCUML_CACHE=str(cache))
    assert done.returncode == 0 and results.from_json(done.stdout).verify.passed, done.stderr  # type: ignore[union-attr]
    assert not any(place.read_bytes() == was for place, was in zip(places, damaged, strict=True))

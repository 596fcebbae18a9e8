"""The wheel: all that mcuml needs travels in it, and it works where there is no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from commandline import DIGITS, ROOT, environment
from mcuml import results

CARRIED = {
    "templates": "templates",
    "boards": "boards",
    "firmware": "firmware",
    "data": "data",
    "examples/digits": "examples/digits",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by hatchling itself, which the test extra brings: pip would fetch it from the net into an isolated environment."""
    folder = tmp_path_factory.mktemp("wheel")
    script = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment that holds the wheel alone and sees this one's packages, but no checkout."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    python = next(p for p in (home / "bin" / "python", home / "Scripts" / "python.exe") if p.exists())
    words = ["-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([sys.executable, *words, str(wheel)], capture_output=True, text=True, env=environment(PYTHONPATH=None))
    assert done.returncode == 0, done.stderr
    site = next(home.rglob("site-packages"))
    # A path in a .pth file is taken as it is: an editable mcuml there would need its own .pth read, which does not happen.
    (site / "packages.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return python.parent


def test_every_asset_is_in_the_wheel(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if "__pycache__" not in n}
    for source, target in CARRIED.items():
        for path in sorted((ROOT / source).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"mcuml/_assets/{target}/{path.relative_to(ROOT / source).as_posix()}" in names
    assert not [n for n in names if n.split("/")[0] not in ("mcuml",) and ".dist-info/" not in n]


def test_bench_runs_from_the_wheel_in_another_folder(installed: Path, tmp_path: Path) -> None:
    env = environment(PYTHONPATH=None, PATH=f"{installed}{os.pathsep}{os.environ['PATH']}")
    where = subprocess.run([installed / "python", "-c", "import mcuml; print(mcuml.__file__)"], cwd=tmp_path, env=env,
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    (tmp_path / "m.tflite").write_bytes(DIGITS.read_bytes())
    done = subprocess.run([installed / "mcuml", "bench", "m.tflite", "--json", "-"], cwd=tmp_path, env=env, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    held = results.from_json(done.stdout).verify
    assert held is not None and held.passed
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]
    demo = subprocess.run([installed / "mcuml", "demo", "--quiet"], cwd=tmp_path, env=env, capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert demo.returncode == 0 and "100 of 100" in demo.stdout, demo.stderr

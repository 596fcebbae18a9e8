"""NumPy files as untrusted input: no pickled objects, and no array larger than the file can hold."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from mcuml.errors import RequestError

LONGEST_EXPANSION = 1040  # deflate's best is 1032 to 1: a zip member that claims more lies about its size


def npy(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped, not read. Raises RequestError."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError) as error:
        raise RequestError(
            f"{path} is not a NumPy file that mcuml can read.",
            f"{type(error).__name__}: {error}",
            "Write one with numpy.save(file, array).",
        ) from error


class Npz(Mapping[str, np.ndarray]):
    """The arrays of a .npz file by name, each read when it is asked for. Raises RequestError, here and there."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RequestError(
                f"{path} is not a .npz file.",
                f"{type(error).__name__}: {error}",
                "Write one with numpy.savez(file, x=..., y=...).",
            ) from error

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as file:
                self._check_size(name, member, file)
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as file:
                return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except (
            OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, RuntimeError,
            zipfile.BadZipFile, zlib.error,
        ) as error:  # fmt: skip
            raise RequestError(
                f"{self.path}: the array '{name}' cannot be read.",
                f"{type(error).__name__}: {error}",
                "The file may be cut short, or hold Python objects; write plain arrays with numpy.savez(file, x=..., y=...).",
            ) from error

    def _check_size(self, name: str, member: zipfile.ZipInfo, file: IO[bytes]) -> None:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which only running code from the file could restore")
        there = min(member.file_size, member.compress_size * LONGEST_EXPANSION)
        claimed = dtype.itemsize
        for length in shape:
            claimed *= int(length)  # Python's integers: a product that overflows must not look small
        if claimed > there:
            raise ValueError(f"its header claims {claimed:,} bytes; the file holds at most {there:,}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def fits(row: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a sample of shape `row` is one of `shape`: lengths of 1 do not count, and a flat row of as many values does."""
    elements = int(np.prod(shape))
    return [d for d in row if d != 1] == [d for d in shape if d != 1] or row == (elements,)

"""A FlatBuffer reader that trusts nothing: every offset, vtable, vector and string is checked against the file."""

from __future__ import annotations

import struct
from typing import NoReturn

import numpy as np

from mcuml.errors import ModelError

_FORMATS = {"i8": "<b", "u8": "<B", "bool": "<B", "u16": "<H", "i32": "<i", "u32": "<I", "i64": "<q", "u64": "<Q", "f32": "<f"}
_DTYPES = {"i32": "<i4", "i64": "<i8", "f32": "<f4"}
_MAX_STRING = 1 << 16
# A damaged file can name one long vector from many tables. Reading more than this multiple of the file is refused, so that
# work and memory stay proportional to the file's size.
_MAX_REREAD = 16


class Reader:
    """The bytes of one FlatBuffer; `name` is the file's name for messages. Raises ModelError, never anything else."""

    def __init__(self, data: bytes, name: str):
        self.data, self.name = data, name
        self._budget = _MAX_REREAD * len(data) + (1 << 16)

    def fail(self, rule: str, offset: int) -> NoReturn:
        """Raise ModelError: the file breaks `rule` at byte `offset`."""
        raise ModelError(
            f"'{self.name}' is not a usable .tflite model: {rule}.",
            f"At byte {offset} of {len(self.data)}.",
            "The file is damaged or incomplete: copy or convert it again.",
        )

    def check(self, offset: int, size: int, what: str) -> None:
        """Raise ModelError unless bytes offset .. offset+size lie inside the file."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            self.fail(f"{what} needs {size} bytes at {offset}, outside the file", offset)

    def spend(self, size: int, offset: int) -> None:
        """Count `size` bytes as read; raises ModelError when the file makes the reader go over the same bytes too often."""
        self._budget -= size
        if self._budget < 0:
            self.fail("its tables name the same bytes over and over", offset)

    def number(self, offset: int, kind: str, what: str) -> int | float:
        """The scalar of `kind` ("i32", "f32", ...) at byte `offset`."""
        form = _FORMATS[kind]
        self.check(offset, struct.calcsize(form), what)
        return struct.unpack_from(form, self.data, offset)[0]

    def integer(self, offset: int, kind: str, what: str) -> int:
        """The integer of `kind` at byte `offset`."""
        return int(self.number(offset, kind, what))

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.integer(0, "u32", "the root offset"), "model")


class Table:
    """One table: `what` says which ("tensor 3") in messages. Fields are addressed by their slot in the vtable."""

    def __init__(self, reader: Reader, at: int, what: str):
        self.reader, self.at, self.what = reader, at, what
        reader.spend(8, at)
        vtable = at - reader.integer(at, "i32", f"the table of {what}")
        size = reader.integer(vtable, "u16", f"the vtable of {what}")
        self._size = reader.integer(vtable + 2, "u16", f"the vtable of {what}")
        if size < 4 or size % 2 or self._size < 4:
            reader.fail(f"the vtable of {what} has impossible sizes {size} and {self._size}", vtable)
        reader.check(vtable, size, f"the vtable of {what}")
        reader.check(at, self._size, f"the table of {what}")
        self._vtable, self._slots = vtable, (size - 4) // 2

    def _field(self, slot: int, width: int, what: str) -> int | None:
        """Byte position of the field in `slot`, None when it is absent."""
        if slot >= self._slots:
            return None
        offset = self.reader.integer(self._vtable + 4 + 2 * slot, "u16", self.what)
        if offset == 0:
            return None
        if offset < 4 or offset + width > self._size:
            self.reader.fail(f"the {what} of {self.what} lies outside its table", self.at + offset)
        return self.at + offset

    def _target(self, slot: int, what: str) -> int | None:
        """Where the offset field in `slot` points, None when it is absent."""
        at = self._field(slot, 4, what)
        return None if at is None else at + self.reader.integer(at, "u32", what)

    def number(self, slot: int, kind: str, what: str, default: int | float = 0) -> int | float:
        """The scalar field in `slot`, `default` when absent."""
        at = self._field(slot, struct.calcsize(_FORMATS[kind]), what)
        return default if at is None else self.reader.number(at, kind, what)

    def integer(self, slot: int, kind: str, what: str, default: int = 0) -> int:
        """The integer field in `slot`, `default` when absent."""
        return int(self.number(slot, kind, what, default))

    def table(self, slot: int, what: str) -> Table | None:
        """The table that the field in `slot` points to, None when absent."""
        at = self._target(slot, what)
        return None if at is None else Table(self.reader, at, f"the {what} of {self.what}")

    def has(self, slot: int, what: str) -> bool:
        """Whether the field in `slot` is there."""
        return self._field(slot, 1, what) is not None

    def _vector(self, slot: int, width: int, what: str) -> tuple[int, int]:
        """First byte and length of the vector in `slot`; (0, 0) when absent."""
        at = self._target(slot, what)
        if at is None:
            return 0, 0
        count = self.reader.integer(at, "u32", f"the {what} of {self.what}")
        if count * width > len(self.reader.data) - at - 4:
            self.reader.fail(f"the {what} of {self.what} claims {count} elements, more than the file holds", at)
        return at + 4, count

    def vector(self, slot: int, kind: str, what: str) -> np.ndarray:
        """The numbers in `slot` as a read-only view of the file; empty when absent."""
        dtype = np.dtype(_DTYPES[kind])
        at, count = self._vector(slot, dtype.itemsize, what)
        return np.frombuffer(self.reader.data, dtype, count, at)

    def bytes(self, slot: int, what: str) -> memoryview:
        """The bytes in `slot` as a view of the file; empty when absent."""
        at, count = self._vector(slot, 1, what)
        return memoryview(self.reader.data)[at : at + count]

    def integers(self, slot: int, kind: str, what: str) -> tuple[int, ...]:
        """The whole numbers in `slot`; () when absent."""
        view = self.vector(slot, kind, what)
        self.reader.spend(view.nbytes, self.at)
        return tuple(view.tolist())

    def tables(self, slot: int, what: str) -> list[Table]:
        """The tables of the vector in `slot`; [] when absent. Each is named "<what> <index>"."""
        at, count = self._vector(slot, 4, what)
        self.reader.spend(4 * count, at)
        return [
            Table(self.reader, at + 4 * i + self.reader.integer(at + 4 * i, "u32", what), f"{what} {i}") for i in range(count)
        ]

    def string(self, slot: int, what: str) -> str:
        """The text in `slot`, "" when absent; what cannot be printed in one line becomes "?"."""
        at, count = self._vector(slot, 1, what)
        if count > _MAX_STRING:
            self.reader.fail(f"the {what} of {self.what} is {count} bytes long", at)
        self.reader.spend(count, at)
        text = self.reader.data[at : at + count].decode("utf-8", "replace")
        return "".join(c if c.isprintable() else "?" for c in text)

"""A FlexBuffer's map of scalars, as custom operators carry their options. It trusts nothing: damaged bytes give {}."""

from __future__ import annotations

import struct

Scalar = int | float | bool | str
_INT, _UINT, _FLOAT, _KEY, _STRING, _INDIRECT, _MAP, _VECTOR, _BOOL = 1, 2, 3, 4, 5, (6, 7, 8), 9, 10, 26
_VECTORS = {11: _INT, 12: _UINT, 13: _FLOAT, 36: _BOOL}
_FLOATS = {2: "<e", 4: "<f", 8: "<d"}


def read(data: bytes) -> dict[str, Scalar | list[Scalar]]:
    """The numbers, truth values, strings, and vectors of them, that the map in `data` names; other values are left out. {}
    for bytes that are no map."""
    try:
        return _Map(data).entries()
    except ValueError:
        return {}


class _Map:
    """The bytes under inspection; raises ValueError for what is not inside them."""

    def __init__(self, data: bytes):
        self._data = data
        self._budget = 16 * len(data)  # a damaged map can name one long vector many times

    def entries(self) -> dict[str, Scalar | list[Scalar]]:
        packed, width = self._take(len(self._data) - 2, 2)
        if packed >> 2 != _MAP:
            return {}
        at = self._follow(len(self._data) - 2 - width, width)
        width = 1 << (packed & 3)
        keys, keys_width = self._follow(at - 3 * width, width), self._uint(at - 2 * width, width)
        count = self._uint(at - width, width)
        types = self._take(at + count * width, count)
        found: dict[str, Scalar | list[Scalar]] = {}
        for i, kind in enumerate(types):
            value = self._value(at + i * width, width, kind)
            if value is not None:
                found[self._text(self._follow(keys + i * keys_width, keys_width))] = value
        return found

    def _value(self, at: int, width: int, packed: int) -> Scalar | list[Scalar] | None:
        kind, inner = packed >> 2, 1 << (packed & 3)
        if kind in _VECTORS or kind == _VECTOR:
            at = self._follow(at, width)
            count = self._uint(at - inner, inner)
            self._take(at, count * inner)
            types = bytes([_VECTORS[kind] << 2]) * count if kind in _VECTORS else self._take(at + count * inner, count)
            found = [self._scalar(at + i * inner, inner, one) for i, one in enumerate(types)]
            return [value for value in found if value is not None]
        return self._scalar(at, width, packed)

    def _scalar(self, at: int, width: int, packed: int) -> Scalar | None:
        kind = packed >> 2
        if kind in _INDIRECT:
            at, width, kind = self._follow(at, width), 1 << (packed & 3), kind - _INDIRECT[0] + _INT
        if kind == _INT:
            return int.from_bytes(self._take(at, width), "little", signed=True)
        if kind in (_UINT, _BOOL):
            return self._uint(at, width) if kind == _UINT else bool(self._uint(at, width))
        if kind == _FLOAT and width in _FLOATS:
            return float(struct.unpack(_FLOATS[width], self._take(at, width))[0])
        return self._text(self._follow(at, width)) if kind in (_KEY, _STRING) else None

    def _text(self, at: int) -> str:
        end = self._data.find(b"\0", max(at, 0))
        return self._take(at, end - at).decode()

    def _follow(self, at: int, width: int) -> int:
        """Where the offset at `at`, which counts backwards, points."""
        return at - self._uint(at, width)

    def _uint(self, at: int, width: int) -> int:
        return int.from_bytes(self._take(at, width), "little")

    def _take(self, at: int, size: int) -> bytes:
        self._budget -= 1 + max(size, 0)
        if at < 0 or size < 0 or at + size > len(self._data) or self._budget < 0:
            raise ValueError("outside the bytes")
        return self._data[at : at + size]

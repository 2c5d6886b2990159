"""FlatBuffers, as far as needed to read a file without its schema.

https://flatbuffers.dev/internals: a table begins with the distance back to its vtable, which lists
where in the table each field is, by number; a vector begins with its length.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array

_MOST_ENTRIES = 1 << 16


class Table:
    """A table in a buffer. Reading beyond the buffer is a ValueError."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - _number(data, "<i", at)
        self._size = _number(data, "<H", self._fields)

    def number(self, field: int, form: str = "<i", default: Any = 0) -> Any:
        """A number in the form of :mod:`struct`, or the default if it is missing."""
        place = self._place(field)
        return default if place is None else _number(self._data, form, place)

    def table(self, field: int) -> Table | None:
        """A table, or None."""
        place = self._place(field)
        return None if place is None else Table(self._data, self._follow(place))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables; empty if it is missing."""
        start, length = self._vector(field)
        if length > _MOST_ENTRIES:
            raise ValueError(f"a list of {length:,} entries")
        return [Table(self._data, self._follow(start + 4 * i)) for i in range(length)]

    def numbers(self, field: int, dtype: str = "<i4") -> Array:
        """A vector of numbers; empty if it is missing."""
        start, length = self._vector(field)
        return np.frombuffer(self._data, dtype, length, start)

    def text(self, field: int) -> str:
        """A text; "" if it is missing."""
        return self.numbers(field, "u1").tobytes().decode("utf-8", "replace")

    def _place(self, field: int) -> int | None:
        offset = 4 + 2 * field
        inside = _number(self._data, "<H", self._fields + offset) if offset < self._size else 0
        return self._at + inside if inside else None

    def _follow(self, place: int) -> int:
        return place + int(_number(self._data, "<I", place))

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the first entry of a vector is, and how many there are."""
        if (place := self._place(field)) is None:
            return 0, 0
        start = self._follow(place)
        return start + 4, int(_number(self._data, "<I", start))


def root(data: bytes) -> Table:
    """The outermost table of a buffer."""
    return Table(data, int(_number(data, "<I", 0)))


def _number(data: bytes, form: str, at: int) -> Any:
    if not 0 <= at <= len(data) - struct.calcsize(form):
        raise ValueError("a reference beyond the end of the file")
    return struct.unpack_from(form, data, at)[0]

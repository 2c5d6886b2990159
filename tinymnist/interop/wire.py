"""Protobuf's wire format, as far as it takes to walk over the fields of one message.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types that have always the same length."""
_MOST_FIELDS = 1 << 20


class Damaged(ValueError):
    """The bytes are no protobuf message."""


def fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Walk over the fields of the message in ``file``, which is ``size`` bytes long.

    Yields:
        Number, wire type and length in bytes of each field; its value is skipped.

    Raises:
        Damaged: when the bytes are no such message.
    """
    for _ in range(_MOST_FIELDS):
        if file.tell() >= size:
            return
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if number == 0 or kind not in (0, 1, 2, 5):
            raise Damaged(f"field {number} of wire type {kind}")
        if kind == 0:
            _varint(file)
            yield number, kind, 0
            continue
        length = _FIXED.get(kind) or _varint(file)
        if file.tell() + length > size:
            raise Damaged("a field is longer than the file")
        yield number, kind, length
        file.seek(length, 1)
    raise Damaged("too many fields")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise Damaged("cut off")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise Damaged("a number of more than ten bytes")

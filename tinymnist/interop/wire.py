"""Protobuf's wire format, as far as needed to walk over the fields of messages.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tinymnist import limits

Buffer: TypeAlias = bytes | mmap.mmap

_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types that have a fixed length."""
_MAX_FIELDS = 1 << 20
_CHARGED_TOGETHER = 1000


class Damaged(ValueError):
    """The bytes are not a protobuf message."""


def fields(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of the message in ``data[at:end]``.

    Yields:
        Number, wire type, position and length in bytes of each field's value; the length is 0 for
        a number of variable size.

    Raises:
        Damaged: if the bytes are not such a message.
    """
    for _ in range(_MAX_FIELDS):
        if at >= end:
            return
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if number == 0 or kind not in (0, 1, 2, 5):
            raise Damaged(f"field {number} of wire type {kind}")
        value, start = (_FIXED[kind], at) if kind in _FIXED else _varint(data, at, end)
        length = 0 if kind == 0 else value
        if start + length > end:
            raise Damaged("a field is longer than its message")
        yield number, kind, start if kind else at, length
        at = start + length
    raise Damaged(f"more than {_MAX_FIELDS:,} fields")


def count_fields(data: bytes, nested: Mapping[str, Mapping[int, str]], outermost: str) -> int:
    """Count the fields of a message and of the messages in it, without making objects of them.

    ``outermost`` is the kind of the message; ``nested`` gives, for each kind, the numbers of the
    fields that are messages, and their kinds.
    """
    waiting, count = [(outermost, 0, len(data))], 0
    while waiting:
        message, at, end = waiting.pop()
        for number, kind, start, length in fields(data, at, end):
            count += 1
            if count % _CHARGED_TOGETHER == 0:
                limits.work(_CHARGED_TOGETHER)
            if kind == 2 and number in nested[message]:
                waiting.append((nested[message][number], start, start + length))
    return count


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """A number of variable size, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise Damaged("cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Damaged("a number of more than ten bytes")


def message(data: bytes) -> dict[int, list[Any]]:
    """The fields of a message by their numbers: whole numbers, or the bytes of anything else.

    Raises:
        Damaged: if the bytes are not a message.
    """
    found: dict[int, list[Any]] = {}
    for number, kind, start, length in fields(data, 0, len(data)):
        value = _varint(data, start, len(data))[0] if kind == 0 else data[start : start + length]
        found.setdefault(number, []).append(value)
    return found


def text_of(found: Mapping[int, list[Any]], number: int) -> str:
    """A field that is a text; "" if it is missing.

    Raises:
        Damaged: if it is something else.
    """
    value = found.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise Damaged(f"field {number} is not a text")
    return value.decode("utf-8", "replace")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable size at a position, and the position behind it.

    Raises:
        Damaged: if it is cut off.
    """
    return _varint(data, at, len(data))

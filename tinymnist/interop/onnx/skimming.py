"""How many messages a file holds, before a parser makes an object of each.

A protobuf message of two bytes becomes an object of a hundred, so a small file could fill the
memory. This walks over the wire format alone (https://protobuf.dev/programming-guides/encoding/)
and counts; tensors' data are skipped as a whole.
"""

from __future__ import annotations

from tinymnist.errors import InputError

MOST_FIELDS = 500_000
_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types that have always the same length."""
_TREE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "leaf", 20: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "leaf", 11: "value", 12: "value", 13: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "leaf", 6: "graph", 10: "leaf", 11: "graph"},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {},
    "leaf": {},
}
"""Which fields of a message are messages that are looked into, by number."""


def check_size_of_messages(data: bytes, where: str) -> None:
    """Walk over all messages.

    Raises:
        InputError: when the bytes are no protobuf, are cut off, or hold too many fields.
    """
    view, stack, count = memoryview(data), [("model", 0, len(data))], 0
    while stack:
        kind, at, end = stack.pop()
        inner = _TREE[kind]
        while at < end:
            if (count := count + 1) > MOST_FIELDS:
                raise InputError(f"{where} has more than {MOST_FIELDS:,} fields; expected a model")
            key, at = _varint(view, at, end, where)
            wire = key & 7
            if wire == 0:
                _, at = _varint(view, at, end, where)
                continue
            if wire == 2:
                length, at = _varint(view, at, end, where)
            elif wire in _FIXED:
                length = _FIXED[wire]
            else:
                raise InputError(f"{where} is no ONNX model, or is damaged; get the file again")
            if at + length > end:
                raise InputError(
                    f"{where} is no ONNX model, or is cut off or damaged; get the file again"
                )
            if wire == 2 and (key >> 3) in inner:
                stack.append((inner[key >> 3], at, at + length))
            at += length


def _varint(view: memoryview, at: int, end: int, where: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise InputError(f"{where} is no ONNX model, or is cut off; get the file again")

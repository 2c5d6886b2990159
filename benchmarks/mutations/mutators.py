"""Ways to damage a file: bytes anywhere, or a structure that is taken apart and put together again.

A mutator for a structure falls back to bytes if the content does not have the structure.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.mutations.kinds import Mutator

ODD_NUMBERS = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 20, 0x7FFFFFFF,
               0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 5, 1000, 1 << 20, 1 << 31, 1 << 70, -(1 << 70)),
    *(0.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf")),
    *("", "x", "same", "valid", "relu", "float16", "channels_first", "\0", "\u202e\x1b[31m"),
    *([], {}, [0], [None], [[]], [1, 2, 3], [28, 28, 1], {"class_name": "x", "config": {}}),
)
ODD_STEPS = (
    *(b"2", b"0", b"(", b")", b"}", b"]", b"R", b"s", b"u", b"e", b"t", b"\x85", b"\x86", b"N"),
    *(b"b", b"Q", b"h\x00", b"h\x01", b"q\x01", b"\x8a\x09" + b"\xff" * 9, b"J" + b"\xff" * 4),
    *(b"cos\nsystem\n", b"ccollections\nOrderedDict\n", b"\x81", b"G\x7f\xf0" + bytes(6)),
)
"""Operations of pickles."""


def _place(size: int, rng: Random) -> int:
    """A position; headers and directories, at either end, are hit more often."""
    edge = min(size, 512)
    match rng.randrange(3):
        case 0:
            return rng.randrange(max(edge, 1))
        case 1:
            return max(size - 1 - rng.randrange(max(edge, 1)), 0)
    return rng.randrange(max(size, 1))


def flip_bits(data: bytes, rng: Random) -> bytes:
    """Change one to eight bits."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 8) if found else 0):
        found[_place(len(found), rng)] ^= 1 << rng.randrange(8)
    return bytes(found)


def set_bytes(data: bytes, rng: Random) -> bytes:
    """Overwrite one to sixteen bytes with random ones."""
    at = _place(len(data), rng)
    new = rng.randbytes(rng.randint(1, 16))
    return data[:at] + new + data[at + len(new) :]


def truncate(data: bytes, rng: Random) -> bytes:
    """Cut off the end, or the beginning."""
    at = rng.randint(0, len(data))
    return data[:at] if rng.random() < 0.8 else data[at:]


def move_chunk(data: bytes, rng: Random) -> bytes:
    """Remove a chunk, repeat it, or put it elsewhere."""
    start = _place(len(data), rng)
    size = min(rng.choice((1, 2, 4, 8, 64, 512, 4096)), len(data) - start)
    chunk, rest = data[start : start + size], data[:start] + data[start + size :]
    match rng.randrange(3):
        case 0:
            return rest
        case 1:
            return data[:start] + chunk * rng.choice((2, 3, 100)) + data[start + size :]
    at = _place(len(rest), rng)
    return rest[:at] + chunk + rest[at:]


def replace_number(data: bytes, rng: Random) -> bytes:
    """Overwrite a number of one to eight bytes, such as a length, by an odd one."""
    size = rng.choice((1, 2, 4, 4, 8, 8))
    at = _place(max(len(data) - size, 1), rng)
    if rng.random() < 0.7:
        at -= at % size
    odd = rng.choice(ODD_NUMBERS) & ((1 << 8 * size) - 1)
    new = odd.to_bytes(size, rng.choice(("little", "big")))
    return data[:at] + new + data[at + size :]


def replace_text(data: bytes, rng: Random) -> bytes:
    """Replace a number or a word in a text, wherever it stands."""
    pieces = data.split(b",")
    at = rng.randrange(len(pieces))
    odd = (
        "",
        "-1",
        "1e999",
        "99999999999999999999",
        "\0",
        '"',
        "nan",
        "../../etc/passwd",
        "x" * 70_000,
    )
    pieces[at] = rng.choice(odd).encode()
    return b",".join(pieces)


BYTES: tuple[Mutator, ...] = (flip_bits, set_bytes, truncate, move_chunk, replace_number)


def any_bytes(data: bytes, rng: Random) -> bytes:
    """One of :data:`BYTES`."""
    return rng.choice(BYTES)(data, rng)


def json_value(data: bytes, rng: Random) -> bytes:
    """Swap, remove or repeat a value in JSON."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return any_bytes(data, rng)
    return json.dumps(swapped(content, rng)).encode("utf-8", "surrogatepass")


def swapped(content: Any, rng: Random) -> Any:
    """The same content with one value replaced, removed or repeated."""
    places = list(_places(content))
    if not places:
        return rng.choice(ODD_VALUES)
    holder, key = rng.choice(places)
    match rng.randrange(10):
        case 0:
            del holder[key]
        case 1:
            other_holder, other = rng.choice(places)
            holder[key] = json.loads(json.dumps(other_holder[other]))
        case 2 if isinstance(holder[key], (int, float)):
            holder[key] = holder[key] * rng.choice((-1, 0, 2, 100, 1 << 20, 1 << 40))
        case 3 if isinstance(holder, list) and len(holder) < 1000:
            holder[:] = holder * rng.choice((2, 50))
        case 4:
            value: Any = 1
            for _ in range(rng.choice((3, 30, 3000))):
                value = [value]
            try:
                json.dumps(value)
            except RecursionError:
                value = [[value[0][0]]]
                value = [[[1]]]
            holder[key] = value
        case 5 if isinstance(holder, dict):
            holder[rng.choice(("x", "name", "class", "", "dtype"))] = rng.choice(ODD_VALUES)
        case _:
            holder[key] = rng.choice(ODD_VALUES)
    return content


def _places(content: Any) -> Any:
    """Every value inside lists and dicts, as its holder and its key."""
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, (dict, list)):
            for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                waiting.append(holder[key])


def inside_zip(inner: Callable[[str], Mutator], method: int = zipfile.ZIP_DEFLATED) -> Mutator:
    """Change a member of a zip archive: its content by ``inner(name)``, its name, or its number."""

    def mutate(data: bytes, rng: Random) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [(name, archive.read(name)) for name in archive.namelist()]
        except Exception:  # not a sound archive any more
            return any_bytes(data, rng)
        if not members:
            return any_bytes(data, rng)
        at = rng.randrange(len(members))
        name, content = members[at]
        match rng.randrange(8):
            case 0:
                del members[at]
            case 1:
                members.insert(rng.randrange(len(members) + 1), members[at])
            case 2:
                others = ("", "/", "../x", "x" * 300, name + "/", name.upper(), members[0][0])
                members[at] = (rng.choice(others), content)
            case 3:
                members[at] = (name, rng.choice(members)[1])
            case _:
                members[at] = (name, inner(name)(content, rng))
        return zipped(members, method)

    return mutate


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive, with right checksums; names may repeat."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # of names that repeat
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "x"), content, method)
    return buffer.getvalue()


def inside_gzip(data: bytes, rng: Random) -> bytes:
    """Change what a gzip file holds."""
    try:
        content = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return any_bytes(data, rng)
    return gzip.compress(any_bytes(content, rng), 1)


def npy(data: bytes, rng: Random) -> bytes:
    """Change the header of a .npy file: type, order or shape."""
    if data[:6] != b"\x93NUMPY" or rng.random() < 0.3:
        return any_bytes(data, rng)
    start = 10 + int.from_bytes(data[8:10], "little")
    header, body = data[10:start].decode("latin1"), data[start:]
    swaps = (
        ("<f4", rng.choice(("<f8", "|O", ">f4", "<c8", "|S4", "|V4", "<U1", "<M8[s]", "<f2", "x"))),
        ("|u1", rng.choice(("<f8", "|O", "|b1", "<i8"))),
        ("<i8", rng.choice(("<f8", "|O", "<U2", "<u8"))),
        ("False", "True"),
        ("(", rng.choice(("(1 << 60, ", "(0, ", "(-1, ", "[", "((", "(" * 5000, "(1000000, "))),
        (")", rng.choice((", 0)", "", "]", ", 99999999999999999999)"))),
        ("'shape'", rng.choice(("'x'", "shape", "'shape': (1,), 'shape'"))),
    )
    old, new = rng.choice(swaps)
    text = header.replace(old, new, 1).rstrip().encode("latin1")
    return data[:8] + struct.pack("<H", min(len(text) + 1, 65535)) + text + b"\n" + body


def pickled(data: bytes, rng: Random) -> bytes:
    """Remove, repeat or exchange an operation of a pickle, or change its argument."""
    try:
        steps = [at for _, _, at in pickletools.genops(data) if at is not None]
    except Exception:  # cut off, or damaged before
        return any_bytes(data, rng)
    edges = [*steps, len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    at = rng.randrange(len(pieces))
    match rng.randrange(5):
        case 0:
            del pieces[at]
        case 1:
            pieces.insert(at, rng.choice(ODD_STEPS))
        case 2:
            pieces[at] = rng.choice(ODD_STEPS)
        case 3:
            pieces.insert(rng.randrange(len(pieces)), pieces[at])
        case 4:
            pieces[at] = pieces[at][:1] + any_bytes(pieces[at][1:] or b"\0", rng)
    return b"".join(pieces)


def protobuf(data: bytes, rng: Random, depth: int = 0) -> bytes:
    """Change a field at any depth of a protobuf message; the lengths around it stay right."""
    fields = _fields(data)
    if not fields:
        return any_bytes(data, rng)
    at = rng.randrange(len(fields))
    key, kind, value = fields[at]
    action = rng.randrange(8)
    if kind == 2 and isinstance(value, bytes) and (action > 2 or len(fields) == 1) and depth < 12:
        inner = protobuf(value, rng, depth + 1) if len(value) > 1 else any_bytes(value, rng)
        fields[at] = (key, kind, inner)
    elif action == 0:
        del fields[at]
    elif action == 1:
        fields.insert(rng.randrange(len(fields) + 1), fields[at])
    elif kind == 0:
        fields[at] = (key, kind, rng.choice(ODD_NUMBERS))
    elif isinstance(value, bytes):
        fields[at] = (key, kind, any_bytes(value, rng))
    return b"".join(_field(*field) for field in fields)


def _fields(data: bytes) -> list[tuple[int, int, int | bytes]]:
    """Key, wire type and value of each field; nothing if it is not a message."""
    from tinymnist.interop.wire import Damaged, fields, varint

    found: list[tuple[int, int, int | bytes]] = []
    try:
        for number, kind, start, length in fields(data, 0, len(data)):
            value = varint(data, start)[0] if kind == 0 else data[start : start + length]
            found.append((number, kind, value))
    except Damaged:
        return []
    return found


def _field(number: int, kind: int, value: int | bytes) -> bytes:
    head = _varint(number << 3 | kind)
    if isinstance(value, int):
        return head + _varint(value)
    return head + (_varint(len(value)) if kind == 2 else b"") + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def safetensors(data: bytes, rng: Random) -> bytes:
    """Change a value of the header; its length stays right."""
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        return any_bytes(data, rng)
    header = json_value(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def hdf5(data: bytes, rng: Random) -> bytes:
    """Change an attribute or a dataset of an HDF5 file, through h5py."""
    import h5py
    import numpy as np

    buffer = io.BytesIO(data)
    try:
        with h5py.File(buffer, "r+") as file:
            names: list[str] = [""]
            file.visit(names.append)
            place = file[rng.choice(names) or "/"]
            if isinstance(place, h5py.Dataset) and rng.random() < 0.7:
                parent, name = place.parent, place.name
                odd: tuple[Any, ...] = (
                    np.float32(1), np.zeros((0, 3), "f4"), np.zeros((3, 3, 1, 2), "f4"), "text",
                    np.full(place.shape, np.nan, "f4"), np.zeros(place.shape, "f8"),
                    np.zeros(place.shape, "c8"), np.zeros(place.shape, "i1"), h5py.Empty("f4"),
                    np.zeros((*place.shape, 1), "f4"), place[()] * 1e30 if place.shape else 0,
                )  # fmt: skip
                del file[name]
                parent.create_dataset(name, data=odd[rng.randrange(len(odd))])
            elif place.attrs and rng.random() < 0.8:
                key = rng.choice(sorted(place.attrs))
                value = place.attrs[key]
                text = value if isinstance(value, (str, bytes)) else ""
                text = text.encode() if isinstance(text, str) else text
                if text[:1] == b"{" and rng.random() < 0.9:
                    place.attrs[key] = json_value(text, rng)
                elif rng.random() < 0.2:
                    del place.attrs[key]
                else:
                    odd = (1, b"", b"\xff\xfe", [b"x"], np.zeros(3), [b"x"] * 50, "x" * 999)
                    place.attrs[key] = odd[rng.randrange(len(odd))]
            elif place.name != "/" and rng.random() < 0.5:
                del file[place.name]
            else:
                target = rng.choice(names) or "/"
                links = (h5py.SoftLink(target), h5py.ExternalLink("x.h5", "/"), file[target])
                file[f"extra{rng.randrange(99)}"] = links[rng.randrange(3)]
    except Exception:  # damaged before, in any way
        return any_bytes(data, rng)
    return buffer.getvalue()

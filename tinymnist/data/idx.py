"""The IDX format of MNIST's files: a header with the shape, then the numbers.

Described at the foot of http://yann.lecun.com/exdb/mnist/: two zero bytes, a type code, the number
of dimensions, each size as four bytes (big-endian), then the data.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinymnist.errors import InputError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""NumPy's dtype for each type code."""
_MAX_DIMENSIONS = 4
_MAX_BYTES = 1 << 31
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, plain or gzipped (detected by its content).

    Returns:
        An array of the shape in the header, in the machine's byte order.

    Raises:
        InputError: if the file is missing, is not an IDX file, or is shorter or longer than its
            header states.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not zipped:
                return _read(file, path)
            with gzip.open(file) as unzipped:
                return _read(unzipped, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: is damaged or cut off: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read(file: Any, path: Any) -> NDArray[Any]:
    dtype, shape = _read_header(file, path)
    size = math.prod(shape) * dtype.itemsize
    if size > _MAX_BYTES:
        raise InputError(f"{path}: states {size:,} bytes of data; expected at most {_MAX_BYTES:,}")
    data = _read_at_most(file, size + 1)  # one more, to see whether more follows
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        raise InputError(f"{path}: its header states {size:,} bytes of data; found {found}")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _read_header(file: BinaryIO, path: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise InputError(
            f"{path}: is not an IDX file; expected it to start with 0, 0 and a type code, "
            f"found {magic.hex(' ') or 'nothing'}"
        )
    dimensions = magic[3]
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise InputError(f"{path}: states {dimensions} dimensions; expected 1 to {_MAX_DIMENSIONS}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise InputError(f"{path}: is cut off within its header")
    return np.dtype(TYPES[magic[2]]), struct.unpack(f">{dimensions}I", sizes)


def _read_at_most(file: BinaryIO, size: int) -> bytes:
    """Read in steps: a false size in the header costs no more memory than the file has data."""
    step, parts, left = 1 << 20, [], size
    while left and (part := file.read(min(step, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)

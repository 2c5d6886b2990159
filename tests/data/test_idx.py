"""IDX files: what is whole is read, what is not is refused in one line."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinymnist.data import read_idx
from tinymnist.errors import InputError


def idx_bytes(array: NDArray[Any], code: int = 0x08) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_and_gzipped_files_are_told_by_content(
    tmp_path: Path, images: NDArray[Any], zipped: bool
) -> None:
    data = idx_bytes(images)
    (tmp_path / "x").write_bytes(gzip.compress(data) if zipped else data)
    assert np.array_equal(read_idx(tmp_path / "x"), images)


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_every_type_is_read_in_big_endian(tmp_path: Path, code: int, dtype: str) -> None:
    values = np.array([[-3, 7], [100, -128]])
    (tmp_path / "x").write_bytes(idx_bytes(values.astype(f">{dtype}"), code))
    array = read_idx(tmp_path / "x")
    assert array.dtype == np.dtype(dtype)
    assert np.array_equal(array, values)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_cut_off_anywhere_is_refused(
    tmp_path: Path, images: NDArray[Any], zipped: bool
) -> None:
    data = gzip.compress(idx_bytes(images)) if zipped else idx_bytes(images)
    for length in range(len(data)):
        (tmp_path / "x").write_bytes(data[:length])
        with pytest.raises(InputError, match="/x"):
            read_idx(tmp_path / "x")


def test_trailing_bytes_are_refused(tmp_path: Path, images: NDArray[Any]) -> None:
    (tmp_path / "x").write_bytes(idx_bytes(images) + b"!")
    with pytest.raises(InputError, match="found more"):
        read_idx(tmp_path / "x")


@pytest.mark.parametrize(
    "header", [b"\x01\0\x08\x01", b"\0\0\x07\x01", b"\0\0\x08\0", b"\0\0\x08\x05", b"\x89PNG"]
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x").write_bytes(header + bytes(100))
    with pytest.raises(InputError, match="expected"):
        read_idx(tmp_path / "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*gone: No such file"):
        read_idx(tmp_path / "gone")


def test_a_header_that_lies_costs_no_memory(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1000, 1000, 100)
    (tmp_path / "x").write_bytes(gzip.compress(header + bytes(10)))
    tracemalloc.start()
    with pytest.raises(InputError, match="100,000,000 bytes of data; found only 10"):
        read_idx(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_gzip_bomb_is_not_inflated_beyond_what_its_header_states(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", 10)
    (tmp_path / "x").write_bytes(gzip.compress(header + bytes(50_000_000), 1))
    tracemalloc.start()
    with pytest.raises(InputError, match="found more"):
        read_idx(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_header_that_asks_for_too_much_is_refused(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1000, 1000, 1000)
    (tmp_path / "x").write_bytes(gzip.compress(header + bytes(10)))
    with pytest.raises(InputError, match=r"would take .* bytes.*limits\.ARRAY_BYTES"):
        read_idx(tmp_path / "x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    for path in (tmp_path / "x", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            read_idx(path)

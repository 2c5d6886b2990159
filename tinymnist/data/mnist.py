"""Find MNIST on this machine and load its images and labels.

The IDX format of its files is described at the foot of http://yann.lecun.com/exdb/mnist/: two zero
bytes, a type code, the number of dimensions, each size as four bytes (big-endian), then the data.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import sys
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import regular_size
from tinymnist.nn.archive import read_npz

VARIABLE = "TINYMNIST_DATA"
SIZES = {"train": 60_000, "test": 10_000}
SHA256 = {
    "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
}
"""Of the bytes of the images, followed by the labels."""
_SAMPLE = Path(__file__).with_name("mnist-sample.npz")
_PREFIXES = {"train": "train", "test": "t10k"}
_KINDS = {"images": "idx3", "labels": "idx1"}

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_MAX_DIMENSIONS = 4


def load_mnist(
    split: str = "train", folder: str | PathLike[str] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load MNIST's images and labels in their original order.

    Args:
        split: "train" (60,000) or "test" (10,000).
        folder: as in :func:`find_mnist`.

    Returns:
        images (n, 28, 28) uint8, white ink on black, and labels (n,) int64.

    Raises:
        InputError: if MNIST is not found, or a file has unexpected contents. What was found in a
            usual place, so that nobody has named it, must be MNIST to the last byte.
        ValueError: for an unknown split.
    """
    if split not in SIZES:
        raise ValueError(f"split must be one of {list(SIZES)}. Received: split={split!r}")
    place = find_mnist(folder)
    images, labels = _from_keras(place, split) if place.is_file() else _from_idx(place, split)
    n = SIZES[split]
    if images.shape != (n, 28, 28) or labels.shape != (n,) or images.dtype != np.uint8:
        found = f"{images.dtype} {images.shape} and {labels.shape}"
        raise InputError(
            f"{place}: expected {n} images of 28x28 bytes and {n} labels; found {found}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise InputError(f"{place}: has labels outside of 0..9")
    is_named = folder is not None or os.environ.get(VARIABLE)
    if not is_named and _digest(images, labels) != SHA256[split]:
        raise InputError(
            f"{place} holds something else under MNIST's name; to use it, set ${VARIABLE} to its "
            "folder, or get MNIST with `tinymnist data download`"
        )
    return images, labels.astype(np.int64)


def load_mnist_sample() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load the part of MNIST that ships with tinymnist: 100 training pictures of each digit.

    They are drawn without replacement by ``np.random.default_rng(0)``, digit after digit, and keep
    MNIST's order. A network that learned from MNIST has seen them: they serve to try things out,
    not to measure.

    Returns:
        images (1000, 28, 28) uint8, white ink on black, and labels (1000,) int64.
    """
    with np.load(_SAMPLE, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


def find_mnist(folder: str | PathLike[str] | None = None) -> Path:
    """Find the folder with MNIST's IDX files, or Keras's ``mnist.npz``.

    Looks in ``folder`` if given, else in ``$TINYMNIST_DATA`` if set, else in tinymnist's cache
    and in the folders of Keras and torchvision.

    Raises:
        InputError: if it is not found; the message lists the places searched.
    """
    if folder is not None:
        return _require(Path(folder), "the given folder")
    if named := os.environ.get(VARIABLE):
        return _require(Path(named), f"${VARIABLE}")
    home = home_folder()
    homes = [home] if home else []
    keras = [Path(os.environ["KERAS_HOME"])] if "KERAS_HOME" in os.environ else []
    usual = [
        *([cache_folder()] if home or os.environ.get("XDG_CACHE_HOME") else []),
        *(place / "datasets" / "mnist.npz" for place in keras or [h / ".keras" for h in homes]),
        *(p / "MNIST" / "raw" for p in (Path(), Path("data"), *(h / "data" for h in homes))),
    ]
    if found := next(filter(_holds_mnist, usual), None):
        return found
    raise InputError(
        f"MNIST is not on this machine; get it with `tinymnist data download`, or set ${VARIABLE} "
        f"to its folder (looked in {', '.join(map(str, usual))})"
    )


def cache_folder() -> Path:
    """The folder in which tinymnist keeps this user's MNIST; InputError if the user has no home."""
    if not (base := os.environ.get("XDG_CACHE_HOME")):
        if (home := home_folder()) is None:
            raise InputError("this user has no home folder; set XDG_CACHE_HOME to a folder to use")
        local = os.environ.get("LOCALAPPDATA", str(home))
        usual = {"win32": local, "darwin": str(home / "Library" / "Caches")}
        base = usual.get(sys.platform, str(home / ".cache"))
    return Path(base, "tinymnist", "mnist")


def home_folder() -> Path | None:
    """The user's home; None without $HOME and an entry in the list of users, as in a container."""
    try:
        return Path.home()
    except (RuntimeError, KeyError):
        return None


def _digest(images: NDArray[np.uint8], labels: NDArray[Any]) -> str:
    import hashlib  # takes time, and few read MNIST

    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _require(place: Path, what: str) -> Path:
    if found := next(filter(_holds_mnist, (place, place / "MNIST" / "raw")), None):
        return found
    raise InputError(
        f"{place} ({what}) does not hold MNIST; expected train-images-idx3-ubyte and the other "
        "three files, plain or .gz"
    )


def _holds_mnist(place: Path) -> bool:
    if place.suffix == ".npz":
        return place.is_file()
    return all(_file(place, split, kind) for split in SIZES for kind in _KINDS)


def _file(folder: Path, split: str, kind: str) -> Path | None:
    """The file under any of its usual names: ``-idx3`` or ``.idx3``, plain or .gz."""
    stems = (f"{_PREFIXES[split]}-{kind}{joint}{_KINDS[kind]}-ubyte" for joint in "-.")
    names = [folder / f"{stem}{ending}" for stem in stems for ending in ("", ".gz")]
    return next((name for name in names if name.is_file()), None)


def _from_idx(folder: Path, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images, labels = (_file(folder, split, kind) for kind in ("images", "labels"))
    if images is None or labels is None:
        raise InputError(f"{folder}: the files of MNIST's {split} set have disappeared")
    return read_idx(images), read_idx(labels)


def _from_keras(path: Path, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    with limits.opening(path, "Keras's MNIST"):
        arrays = read_npz(path, (f"x_{split}", f"y_{split}"))
        return arrays[f"x_{split}"], arrays[f"y_{split}"]


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, plain or gzipped (detected by its content).

    Returns:
        An array of the shape in the header, in the machine's byte order.

    Raises:
        InputError: if the file cannot be read, is not an IDX file, or is longer or shorter than
            its header states.
    """
    with limits.opening(path, "an IDX file"):
        limits.enter(path, regular_size(path))
        with open(path, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not zipped:
                return _read(file, path)
            with gzip.open(file) as unzipped:
                return _read(unzipped, path)


def _read(file: Any, path: Any) -> NDArray[Any]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES:
        raise InputError(
            f"{path}: is not an IDX file; expected it to start with 0, 0 and a type code, "
            f"found {magic.hex(' ') or 'nothing'}"
        )
    most, dimensions = _IDX_MAX_DIMENSIONS, magic[3]
    if not 1 <= dimensions <= most:
        raise InputError(f"{path}: states {dimensions} dimensions; expected 1 to {most}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise InputError(f"{path}: is cut off within its header")
    dtype, shape = np.dtype(_IDX_TYPES[magic[2]]), struct.unpack(f">{dimensions}I", sizes)
    size = math.prod(shape) * dtype.itemsize
    limits.charge(size, f"the array in {path}")
    data = _read_at_most(file, size + 1)  # one more, to see whether more follows
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        raise InputError(f"{path}: its header states {size:,} bytes of data; found {found}")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _read_at_most(file: BinaryIO, size: int) -> bytes:
    """Read in steps: a false size in the header costs no more memory than the file has data."""
    step, parts, left = 1 << 20, [], size
    while left and (part := file.read(min(step, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)

"""Find MNIST on this machine and load its images and labels."""

from __future__ import annotations

import os
import sys
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.idx import read_idx
from tinymnist.errors import InputError

VARIABLE = "TINYMNIST_DATA"
KERAS_FILE = Path(".keras", "datasets", "mnist.npz")
SIZES = {"train": 60_000, "test": 10_000}
_PREFIXES = {"train": "train", "test": "t10k"}
_KINDS = {"images": "idx3", "labels": "idx1"}


def load_mnist(
    split: str = "train", folder: str | PathLike[str] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load MNIST's images and labels in their original order.

    Args:
        split: "train" (60,000) or "test" (10,000).
        folder: the folder of the files; None searches as :func:`find_mnist` does.

    Returns:
        images (n, 28, 28) uint8, white ink on black, and labels (n,) int64.

    Raises:
        InputError: if MNIST is not found, or a file has unexpected contents.
        ValueError: for an unknown split.
    """
    if split not in SIZES:
        raise ValueError(f"split must be one of {list(SIZES)}. Received: split={split!r}")
    place = find_mnist(folder)
    images, labels = _from_keras(place, split) if place.is_file() else _from_idx(place, split)
    n = SIZES[split]
    if images.shape != (n, 28, 28) or labels.shape != (n,) or images.dtype != np.uint8:
        raise InputError(
            f"{place}: expected {n} images of 28x28 bytes and {n} labels; found "
            f"{images.dtype} {images.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise InputError(f"{place}: has labels outside of 0..9")
    return images, labels.astype(np.int64)


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
    usual = _usual_places()
    for place in usual:
        if _holds_mnist(place):
            return place
    places = ", ".join(map(str, usual))
    raise InputError(
        f"MNIST is not on this machine; get it with `tinymnist data download`, or set ${VARIABLE} "
        f"to its folder (looked in {places})"
    )


def cache_folder() -> Path:
    """The folder in which tinymnist keeps this user's MNIST."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "tinymnist", "mnist")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home()), "tinymnist", "mnist")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinymnist" / "mnist"
    return Path.home() / ".cache" / "tinymnist" / "mnist"


def _usual_places() -> list[Path]:
    keras_home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    torchvision = [Path(base, "MNIST", "raw") for base in (".", "data", Path.home() / "data")]
    return [cache_folder(), keras_home / "datasets" / "mnist.npz", *torchvision]


def _require(place: Path, what: str) -> Path:
    nested = place / "MNIST" / "raw"
    for candidate in (place, nested):
        if _holds_mnist(candidate):
            return candidate
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
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[f"x_{split}"], arrays[f"y_{split}"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is not Keras's MNIST, or is damaged: {error}") from None

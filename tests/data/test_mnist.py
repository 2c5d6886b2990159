"""Where MNIST is looked for, and what is done when it is not what it should be."""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.data import find_mnist, load_mnist
from tinymnist.data import mnist as module
from tinymnist.data.download import download_mnist
from tinymnist.errors import InputError


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without MNIST: an empty home, an empty working folder, no variables."""
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("TINYMNIST_DATA", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: home)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An MNIST of three and two pictures."""
    sizes = {"train": 3, "test": 2}
    content = {split: bytes(n * 784) + bytes(range(n)) for split, n in sizes.items()}
    monkeypatch.setattr(module, "SIZES", sizes)
    hashes = {split: hashlib.sha256(data).hexdigest() for split, data in content.items()}
    monkeypatch.setattr(module, "SHA256", hashes)


def write_files(folder: Path, joint: str = "-", sizes: tuple[int, int] = (3, 2)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n in zip(("train", "t10k"), sizes, strict=True):
        images = bytes([0, 0, 8, 3]) + struct.pack(">3I", n, 28, 28) + bytes(n * 784)
        labels = bytes([0, 0, 8, 1]) + struct.pack(">I", n) + bytes(range(n))
        (folder / f"{prefix}-images{joint}idx3-ubyte").write_bytes(images)
        (folder / f"{prefix}-labels{joint}idx1-ubyte").write_bytes(labels)
    return folder


@pytest.mark.parametrize(
    "place", [".cache/tinymnist/mnist", "data/MNIST/raw", "MNIST/raw"], ids=str
)
def test_it_is_found_in_the_usual_places(
    nowhere: Path, small: None, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    write_files(nowhere / place)
    images, labels = load_mnist("train")
    assert images.shape == (3, 28, 28) and images.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2] and labels.dtype == np.int64


@pytest.mark.parametrize("joint", "-.")
def test_both_ways_to_name_the_files_are_known(
    nowhere: Path, small: None, joint: str, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "files", joint)
    assert load_mnist("test", folder)[0].shape == (2, 28, 28)


def test_the_file_of_keras_is_read(nowhere: Path, small: None) -> None:
    path = nowhere / ".keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    arrays: dict[str, Any] = {
        "x_train": np.zeros((3, 28, 28), np.uint8),
        "y_train": np.arange(3, dtype=np.uint8),
    }
    np.savez(path, **arrays, x_test=arrays["x_train"][:2], y_test=arrays["y_train"][:2])
    assert find_mnist() == path
    assert load_mnist("train")[1].tolist() == [0, 1, 2]
    assert load_mnist("test")[0].shape == (2, 28, 28)


def test_a_damaged_file_of_keras_is_refused(nowhere: Path) -> None:
    path = nowhere / ".keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(InputError, match=r"mnist\.npz"):
        load_mnist("test")


def test_when_it_is_nowhere_the_message_says_what_to_do(nowhere: Path) -> None:
    with pytest.raises(InputError, match="tinymnist data download"):
        find_mnist()


def test_a_variable_that_points_nowhere_is_not_ignored(
    nowhere: Path, small: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_files(nowhere / "MNIST" / "raw")
    monkeypatch.setenv("TINYMNIST_DATA", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"gone \(\$TINYMNIST_DATA\)"):
        find_mnist()


def test_a_set_of_another_size_is_refused(nowhere: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files")
    with pytest.raises(InputError, match="expected 60000"):
        load_mnist("train", folder)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['train', 'test'\]. Received: split='validation'"):
        load_mnist("validation")


def test_the_real_one(mnist_folder: Path) -> None:
    images, labels = load_mnist("train", mnist_folder)
    pixels = hashlib.md5(struct.pack(">4I", 0x803, 60_000, 28, 28) + images.tobytes())
    assert pixels.hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert np.bincount(labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert load_mnist("test", mnist_folder)[1][:5].tolist() == [7, 2, 1, 0, 4]


def test_another_set_under_its_name_is_used_only_if_it_is_named(
    nowhere: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(nowhere / "data" / "MNIST" / "raw")
    images = folder / "t10k-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\1")
    assert load_mnist("train")[0].shape == (3, 28, 28)
    with pytest.raises(InputError, match="something else"):
        load_mnist("test")
    assert load_mnist("test", folder)[0].max() == 1
    monkeypatch.setenv("TINYMNIST_DATA", str(folder))
    assert load_mnist("test")[0].max() == 1


def test_the_hashes_are_those_of_the_real_one(mnist_folder: Path, nowhere: Path) -> None:
    (nowhere / "MNIST").mkdir()
    (nowhere / "MNIST" / "raw").symlink_to(mnist_folder, target_is_directory=True)
    assert [len(load_mnist(split)[1]) for split in ("train", "test")] == [60_000, 10_000]


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", home)
    monkeypatch.chdir(tmp_path)
    for variable in ("TINYMNIST_DATA", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match="not on this machine"):
        find_mnist()
    with pytest.raises(InputError, match="XDG_CACHE_HOME"):
        download_mnist()

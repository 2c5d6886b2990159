"""The program that measures models on the corruptions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import mnist_c
from benchmarks.corruptions import CORRUPTIONS
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
MODEL = "keras-cnn"
Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(scope="module")
def pictures() -> Labelled:
    """Two of every digit, in MNIST's form, and their labels."""
    labels = np.arange(20, dtype=np.int64) % 10
    images = [ink(int(n), (28, 28), height=0.71, pen=0.14, slant=0.1) for n in labels]
    return (np.stack(images) * 255 + 0.5).astype(np.uint8), labels


@pytest.mark.parametrize("recipe", ["none", "mnist"])
def test_accuracies_by_corruption_and_model(pictures: Labelled, recipe: str) -> None:
    options = mnist_c.parse(["--recipe", recipe])
    images, labels = pictures
    found = mnist_c.measure({MODEL: Reader(MODEL)}, images[:10], labels[:10], options)
    assert list(found) == ["clean", *CORRUPTIONS]
    assert found["clean"][MODEL] >= 0.8
    assert all(0 <= row[MODEL] <= 1 for row in found.values())
    assert found["scale"][MODEL] > found["stripe"][MODEL]
    assert mnist_c.mean(found)[MODEL] == pytest.approx(
        np.mean([found[name][MODEL] for name in CORRUPTIONS])
    )


def test_a_picture_without_a_digit_counts_as_wrong(
    pictures: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist_c, "CORRUPTIONS", {})  # clean ones are enough
    images, labels = pictures
    options = mnist_c.parse(["--recipe", "mnist"])
    full, blanked = (
        mnist_c.measure({MODEL: Reader(MODEL)}, some, labels, options)["clean"][MODEL]
        for some in (images, np.where(labels[:, None, None] < 5, np.uint8(0), images))
    )
    assert blanked <= 0.5 < full


def test_a_limit_takes_from_all_over_the_set() -> None:
    assert mnist_c.spread(10, None).tolist() == list(range(10))
    assert mnist_c.spread(10, 99).tolist() == list(range(10))
    assert mnist_c.spread(10_000, 4).tolist() == [0, 2500, 5000, 7500]
    assert len(np.unique(mnist_c.spread(10_000, 3333))) == 3333


def test_the_contact_sheet_has_a_row_for_each_corruption(
    pictures: Labelled, tmp_path: Path
) -> None:
    images, labels = pictures
    mnist_c.draw(images, labels, str(tmp_path / "sheet.png"), seed=0)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet)
    cell = pixels.shape[0] // 16
    assert pixels.shape == (16 * cell, 130 + 20 * cell)
    first, corrupted = pixels[2 : cell - 2, 132:], pixels[cell + 2 : 2 * cell - 2, 132:]
    np.testing.assert_array_equal(first[:56:2, :56:2], images[0])
    assert (first != corrupted).any()


def test_the_program_runs(mnist_folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["--model", MODEL, "mlp", "--limit", "20", "--json", "--out", str(sheet)]
    command = [sys.executable, "-m", "benchmarks.mnist_c", *arguments]
    environment = os.environ | {"TINYMNIST_DATA": str(mnist_folder)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report["accuracy"]) == ["clean", *CORRUPTIONS, "mean of 15"]
    assert report["accuracy"]["clean"].keys() == {MODEL, "mlp"}
    assert sheet.stat().st_size > 10_000


def test_without_mnist_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYMNIST_DATA", str(tmp_path))
    assert mnist_c.main(["--limit", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("mnist_c: ") and printed.err.count("\n") == 1
    assert "train-images-idx3-ubyte" in printed.err


@pytest.mark.parametrize("arguments", [("--limit", "0"), ("--seed", "-1"), ("--recipe", "resize")])
def test_nonsense_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        mnist_c.parse(arguments)
    assert stopped.value.code == 2

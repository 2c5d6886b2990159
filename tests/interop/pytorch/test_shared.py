"""State_dicts of other people: opened, or refused for the reason that the manifest gives."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tinymnist import InputError
from tinymnist.data import load_mnist
from tinymnist.interop.bare.scaling import Labelled
from tinymnist.interop.conversion import convert
from tinymnist.interop.pytorch import read
from tinymnist.labelled import in_mnist_form


@pytest.fixture(scope="module")
def rows(shared_folder: Path) -> Any:
    with open(shared_folder / "models" / "manifest.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["format"] == "pt"]


def test_every_plain_chain_is_opened_and_nothing_else(rows: Any, shared_folder: Path) -> None:
    for row in rows:
        path = shared_folder / "models" / row["file"]
        if row["needs"]:
            with pytest.raises(InputError):
                read(path)
        else:
            assert read(path).plans, row["file"]
    assert len(rows) > 10


def test_perceptrons_read_what_the_manifest_says(
    rows: Any, shared_folder: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYMNIST_DATA", str(mnist_folder))
    images, labels = load_mnist("test")
    pictures = Labelled("mnist-test", in_mnist_form(images), labels)
    small = [row for row in rows if "conv" not in row["layers"] and not row["needs"]]
    for row in [row for row in small if int(row["n_params"]) < 60_000]:
        scores = convert(shared_folder / "models" / row["file"], pictures=pictures).scores
        wanted = float(row["accuracy_ours"])
        assert scores[0].accuracy >= wanted - 2e-4  # the manifest's scaling, or a better one
        assert any(s.accuracy == pytest.approx(wanted, abs=2e-4 + 1e-9) for s in scores)

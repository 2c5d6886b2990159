"""Several readings of one picture become one prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tinymnist.adapter import Prediction
from tinymnist.cli import main
from tinymnist.errors import InputError
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import prepare_all
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.nn.layers import Conv2D, Dense, Flatten
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.reader import Reader

PAPER = np.float32(0.1)


@pytest.fixture(scope="module")
def reader() -> Any:
    return Reader("mnist-cnn")


def small(number: Any) -> Any:
    """MNIST's size, but grey paper: it has two readings."""
    drawn = 1 - ink(number, (90, 70), height=0.6, pen=0.1)
    return np.clip(normalize(drawn) + PAPER, 0, 1)


def answering(reader: Any, monkeypatch: pytest.MonkeyPatch, rows: Any) -> Any:
    """A reader whose network gives these probabilities."""
    monkeypatch.setattr(reader, "probabilities", lambda images, **_: np.array(rows, np.float32))
    return reader


def test_readings_count_by_the_odds_on_them(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.full((2, 10), [[0.01], [0.05]])
    rows[0, 3], rows[1, 7] = 0.91, 0.55
    odds = np.array([0.91 / 0.09, 0.55 / 0.45])
    found = answering(reader, monkeypatch, rows).predict(small(3)).probabilities
    np.testing.assert_allclose(found, odds @ rows / odds.sum(), rtol=1e-5)


def test_an_unsure_reading_does_not_halve_the_confidence(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.full((2, 10), 0.1)
    rows[0] = 0
    rows[0, 4] = 1  # certain: its odds have no number
    found = answering(reader, monkeypatch, rows).predict(small(4))
    assert found.digit == 4 and found.confidence > 0.99


def test_a_set_is_read_as_its_pictures_are(reader: Any) -> None:
    pictures = [small(number) for number in range(10)]
    pictures[5] = 1 - ink(5, (90, 70), height=0.6, pen=0.1)  # one reading
    prepared = prepare_all(pictures, "mnist")
    assert len(prepared.readings) == 19
    found = reader.probabilities_of(prepared)
    one_by_one = [reader.predict(picture).probabilities for picture in pictures]
    np.testing.assert_allclose(found, one_by_one, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("3", "7"), 3),
        (("³", "²"), "³"),
        (("001", "01", "1"), "001"),
        (("٣", "3"), "٣"),
        (("3", "tick"), "3"),
    ],
)
def test_only_digits_are_numbers(names: Any, first: Any) -> None:
    shares = np.linspace(1, 0, len(names), dtype=np.float32)
    prediction = Prediction(shares / shares.sum(), names)
    assert prediction.digit == first and type(prediction.digit) is type(first)
    assert str(prediction.runner_up[0]) == names[1]


@pytest.mark.parametrize("kind", [np.matrix, np.ma.MaskedArray])
def test_subclasses_of_arrays_are_read_as_arrays(kind: Any) -> None:
    picture = np.zeros((28, 28), np.float32)
    picture[5:23, 13:16] = 1
    for recipe in ("mnist", "none"):
        reader = Reader("mlp", recipe)
        assert reader.predict(picture.view(kind)) == reader.predict(picture)


def test_an_array_beyond_measure_is_refused() -> None:
    huge = np.broadcast_to(np.float32(0), (1 << 20, 1 << 20))
    with pytest.raises(InputError, match="array of shape"):
        Reader("mlp").predict(huge)


def test_weights_that_are_not_numbers_are_neither_sound_nor_an_answer(tmp_path: Path) -> None:
    model = tinymnist.load_model("mlp")
    model.layers[1].weights["kernel"][0, 0] = np.nan
    with pytest.raises(InputError, match="mlp answers with NaN"):
        Reader(model).predict_prepared(np.ones((1, 28, 28, 1), np.float32))
    model.save(tmp_path / "nan.npz")
    for door in (tinymnist.verify, tinymnist.load_model, Reader):
        with pytest.raises(InputError, match="dense/kernel that are not finite"):
            door(tmp_path / "nan.npz")


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ([Conv2D(1, 3, padding="same")], "a picture"),
        ([Flatten(), Dense(784)], "a picture"),
        ([Flatten(), Dense(1)], "a number"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_model_that_does_not_classify_is_refused(
    layers: Any, what: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Sequential([Input((28, 28, 1)), *layers], rng=0).save(tmp_path / "m.npz")
    source = "tinymnist/samples/7-tilted-photo.jpg" if command == "predict" else "mnist-sample"
    assert main([command, source, "--model", str(tmp_path / "m.npz")]) == 2
    error = capsys.readouterr().err
    assert f"answers with {what}" in error and error.count("\n") == 1

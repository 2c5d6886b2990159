"""Digits that the recipe or the network used to get wrong, one kind per test, drawn by code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.Image import Resampling

from tinymnist.cli import main
from tinymnist.errors import InputError
from tinymnist.explanation import explain
from tinymnist.imaging.synthetic.paint import STROKES, curve, ink
from tinymnist.reader import Reader


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader("mnist-cnn")


def polyline(strokes: Any, size: tuple[int, int], height: float, width: int) -> Image.Image:
    """Strokes of points (right, down) around the middle of a white picture."""
    image = Image.new("L", size, 245)
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [(size[0] / 2 + x * height, size[1] / 2 + y * height) for x, y in stroke]
        draw.line(points, fill=30, width=width, joint="curve")
    return image


def hairline(digit: int, height: int) -> Image.Image:
    """A digit of a height in pixels, in lines of one pixel."""
    strokes = [[(0.65 * (x - 0.5), y - 0.5) for x, y in curve(s)] for s in STROKES[digit]]
    return polyline(strokes, (round(1.1 * height), round(1.35 * height)), height, 1)


@pytest.mark.parametrize("height", [160, 330, 640, 1000, 1300])
def test_hairlines(reader: Reader, height: int) -> None:
    assert [reader.predict(hairline(digit, height)).digit for digit in range(10)] == [*range(10)]


def test_a_large_picture_of_noise_stays_blank(reader: Reader) -> None:
    noise = 0.8 + 0.02 * np.random.default_rng(0).standard_normal((900, 800)).astype(np.float32)
    with pytest.raises(InputError, match="no digit found"):
        reader.predict(noise)


def circled(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.ellipse((20, 14, side - 20, side - 16), outline=40, width=3)


def boxed(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle((24, 20, side - 24, side - 20), outline=40, width=3)


def thickly_boxed(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle((24, 20, side - 24, side - 20), outline=40, width=12)


def touching_a_box(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle((24, 20, side - 24, round(0.73 * side)), outline=40, width=3)


@pytest.mark.parametrize("frame", [circled, boxed, thickly_boxed, touching_a_box])
def test_what_is_drawn_around_a_digit(
    reader: Reader, frame: Callable[[ImageDraw.ImageDraw, int], None]
) -> None:
    read = []
    for digit in range(10):
        drawn = ink(digit, (240, 240), height=0.5, pen=0.1)
        image = Image.fromarray(np.uint8(235 - 195 * drawn))
        frame(ImageDraw.Draw(image), 240)
        read.append(reader.predict(image).digit)
    assert read == [*range(10)]


@pytest.mark.parametrize("mark", ["dot", "slash"])
def test_a_zero_with_a_mark_in_it_is_not_a_frame(reader: Reader, mark: str) -> None:
    image = Image.fromarray(np.uint8(235 - 195 * ink(0, (200, 200), height=0.7, pen=0.08)))
    ends = {"dot": (97, 92, 105, 100), "slash": (90, 122, 112, 78)}[mark]
    ImageDraw.Draw(image).line(ends, fill=40, width=10)
    assert reader.predict(image).digit == 0


@pytest.mark.parametrize("digit", range(10))
def test_strokes_from_edge_to_edge_are_not_rules(reader: Reader, digit: int) -> None:
    drawn = ink(digit, (240, 240), height=0.5, pen=0.06)
    rows, columns = np.nonzero(drawn > 0.5)
    cut = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert reader.predict(1 - 0.9 * cut).digit == digit


def beside(digits: list[int], apart: float) -> Any:
    """Digits in a row, their middles apart by a share of the picture's height."""
    page = np.zeros((120, 120 + round(120 * apart * len(digits))), np.float32)
    for number, digit in enumerate(digits):
        place = (0.5 + (apart * (number + 0.5)) * 120) / page.shape[1]
        drawn = ink(digit, page.shape, height=0.45, pen=0.1, centre=(place, 0.5))
        np.maximum(page, drawn, out=page)
    return 1 - 0.9 * page


@pytest.mark.parametrize("apart", [0.45, 0.9])
@pytest.mark.parametrize("digits", [[3, 8], [5, 5], [4, 7, 1, 9]])
def test_several_digits_are_reported(reader: Reader, digits: list[int], apart: float) -> None:
    found = reader.predict(beside(digits, apart))
    assert found.count > 1 and found.confidence < 0.5
    assert "tinymnist read" in found.note
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_digit_in_pieces_is_one(reader: Reader) -> None:
    for digit in range(10):
        drawn = ink(digit, (160, 160), height=0.7, pen=0.1)
        drawn[75:78] = 0  # a scratch from edge to edge
        found = reader.predict(1 - 0.9 * drawn)
        assert (found.digit, found.count, found.note) == (digit, 1, "")


def test_the_command_line_reports_several_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "38.png"
    Image.fromarray(np.uint8(255 * beside([3, 8], 0.6))).save(file)
    for command in ("predict", "explain"):
        assert main([command, str(file)]) == 0
        assert "tinymnist read" in capsys.readouterr().out
        assert main([command, str(file), "--json"]) == 0
        assert '"note": "several digits' in capsys.readouterr().out


def test_explain_answers_as_predict_does(reader: Reader) -> None:
    tight = ink(4, (240, 240), height=0.5, pen=0.06)
    rows, columns = np.nonzero(tight > 0.5)
    small = Image.fromarray(np.uint8(235 - 195 * ink(7, (90, 90), height=0.7, pen=0.1)))
    pictures = [
        1 - 0.9 * tight[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1],
        np.asarray(small.resize((28, 28), Resampling.BICUBIC), np.float32) / 255,
        beside([6, 2], 0.6),
        hairline(2, 640),
    ]
    for picture in pictures:
        explained, found = explain(picture, reader), reader.predict(picture)
        assert explained.prediction == found
        np.testing.assert_array_equal(explained.steps[-1].image, found.picture)

"""Coloured ink on coloured paper."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.samples import tint, to_image
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.pixels import grey_of_colours, luminance
from tinymnist.imaging.synthetic.paint import ink

PAIRS = [
    ("#c83232", "#3c8c3c"),  # red on a green as bright
    ("#ffee00", "#ffffff"),  # yellow on white
    ("#0000ff", "#000000"),  # blue on black
    ("#5050ff", "#808000"),  # blue on olive
    ("#d2691e", "#9370db"),  # orange on violet
]
DIGIT = ink(5, (120, 100), height=0.6, pen=0.1)


def likeness(picture: Any) -> Any:
    one, other = normalize(decode(picture)), normalize(1 - DIGIT)
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@pytest.mark.parametrize(("pen", "paper"), PAIRS)
def test_ink_and_paper_part(pen: Any, paper: Any) -> None:
    picture = to_image(tint(DIGIT, pen, paper))
    assert likeness(picture) > 0.95
    assert likeness(np.asarray(picture)) > 0.95
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert likeness(file.getvalue()) > 0.95


@pytest.mark.parametrize(("pen", "paper"), [("#1c2f66", "#efe6d2"), ("#c0232b", "#f6e36a")])
def test_brightness_stays_where_it_serves(pen: str, paper: str) -> None:
    colours = np.asarray(to_image(tint(DIGIT, pen, paper)))
    np.testing.assert_array_equal(grey_of_colours(colours), luminance(colours))


def test_grey_pictures_are_left_alone() -> None:
    grey = np.uint8(255 * (1 - DIGIT))
    np.testing.assert_array_equal(
        grey_of_colours(np.dstack([grey] * 3)), luminance(np.dstack([grey] * 3))
    )


def test_any_colours_give_grey_between_0_and_1() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 7), (30, 20)):
        grey = grey_of_colours(rng.integers(0, 256, (*shape, 3), np.uint8))
        assert grey.shape == shape and grey.dtype == np.float32
        assert grey.min() >= 0 and grey.max() <= 1


def test_a_photo_of_coloured_ink_in_jpeg() -> None:
    rng = np.random.default_rng(0)
    scene = tint(DIGIT, "#c83232", "#3c8c3c") + 0.03 * rng.standard_normal((120, 100, 3))
    file = io.BytesIO()
    to_image(scene.astype(np.float32)).resize((400, 480), Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=85
    )
    assert likeness(file.getvalue()) > 0.9


class TestAlpha:
    """Red and green of one brightness, with an alpha channel."""

    def picture(self) -> Any:
        drawn = np.zeros((40, 40, 4), np.uint8)
        drawn[...] = (0, 130, 0, 255)
        drawn[10:30, 18:22] = (255, 0, 0, 255)
        return drawn

    def test_an_opaque_picture_is_as_without_alpha(self) -> None:
        drawn = self.picture()
        picture = Image.fromarray(drawn)
        expected = decode(picture.convert("RGB"))
        assert np.array_equal(decode(picture), expected)
        assert np.array_equal(decode(drawn), decode(drawn[..., :3]))
        assert np.ptp(expected) > 0.5

    def test_transparent_parts_show_the_papers_colour(self) -> None:
        drawn = self.picture()
        drawn[:6, :, 3] = 0
        for source in (drawn, Image.fromarray(drawn)):
            grey = decode(source)
            assert np.ptp(grey) > 0.5 and np.ptp(grey[:10]) < 0.05

"""Pages with very many digits, and strips: nothing is lost because the picture is large."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tinymnist.data.mnist import load_mnist_sample
from tinymnist.imaging.page.marks import find_marks
from tinymnist.imaging.picture.decode import decode
from tinymnist.reader import Reader

PITCH = 40


def strip(count: int, scale: int = 1) -> tuple[Image.Image, str]:
    """One row of digits."""
    images, labels = load_mnist_sample()
    drawn = np.zeros((80, PITCH * count + 60), np.uint8)
    chosen = np.random.default_rng(3).integers(0, len(images), count)
    for place, number in enumerate(chosen):
        drawn[26:54, 30 + PITCH * place : 58 + PITCH * place] = images[number]
    picture = Image.fromarray(255 - drawn)
    size = picture.width * scale, picture.height * scale
    return picture.resize(size), "".join(str(labels[number]) for number in chosen)


@pytest.mark.parametrize("turned", [False, True])
def test_a_strip_is_read(turned: bool) -> None:
    picture, text = strip(24)
    if turned:  # a column
        digits = [picture.crop((30 + PITCH * i, 20, 58 + PITCH * i, 60)) for i in range(24)]
        picture = Image.new("L", (100, 60 * 24), 255)
        for place, digit in enumerate(digits):
            picture.paste(digit, (36, 60 * place + 10))
    found = Reader("mnist-cnn").read(picture).text.replace("\n", "")
    assert len(found) == 24
    assert sum(a == b for a, b in zip(found, text, strict=True)) >= 22


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((5000, 200), (5000, 200)),  # reduced to 1000x40 before
        ((200, 5000), (200, 5000)),
        ((9000, 1200), (2250, 300)),
        ((4000, 3000), (1000, 750)),  # a photo, as before
        ((90_000, 100), (90_000 // 3, 34)),  # no more pixels than a square picture has
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_strips_keep_what_a_row_needs(
    size: tuple[int, int], expected: tuple[int, int], kind: str
) -> None:
    if kind == "JPEG" and max(size) > 65_500:
        pytest.skip("JPEG has no larger sides")
    file = io.BytesIO()
    Image.new("L", size, 255).save(file, kind)
    grey = decode(file.getvalue(), longest_side=1024)
    assert grey.shape == expected[::-1]


def test_a_page_has_thousands_of_marks() -> None:
    mask = np.zeros((1000, 1000), bool)
    for row in range(48):
        for column in range(45):
            top, left = 5 + 20 * row, 5 + 22 * column
            mask[top : top + 12, left : left + 8] = True
    assert len(find_marks(mask).boxes) == 48 * 45

"""Tables, numbers, contact sheets and pages, as every report uses them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from tinymnist.errors import InputError
from tinymnist.reporting import html, text
from tinymnist.reporting.figures import (
    Card,
    contact_sheet,
    fit_caption,
    save_figure,
    to_picture,
    variant_sheet,
)

BLANK = np.zeros((28, 28), np.float32)


def test_numbers_as_text() -> None:
    assert [text.percent(share) for share in (0.99712, None, np.nan)] == ["99.71 %", "-", "-"]
    assert text.percent(0.123, digits=1) == "12.3 %"
    assert [text.points(share) for share in (0.0123, -0.01, 0)] == [
        "1.2 points",
        "1.0 point",
        "0.0 points",
    ]
    assert [text.signed(share) for share in (0.0123, -0.2, -0.0001)] == ["+1.2", "-20.0", "+0.0"]
    assert text.count(1, "picture") == "1 picture"
    assert text.count(1214, "picture") == "1,214 pictures"
    assert text.count(2, "class", "classes") == "2 classes"


def test_a_table_is_aligned() -> None:
    assert text.table([("a", "b", "c"), ("long", "10", "")]) == "a      b  c\nlong  10"


def sheet(caption: str) -> np.ndarray:
    return np.asarray(contact_sheet([Card(BLANK, caption, "a.png")]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a-very-long-name-of-a-class > tick 98%", "a-very-long-name-of-a-class > ring 98%"),
        ("tick > a-very-long-name-of-a-class 98%", "tick > a-very-long-name-of-a-class 91%"),
        ("✓ > ✗ 98%", "✓ > ✘ 98%"),
    ],
    ids=["prediction", "confidence", "letters that the font lacks"],
)
def test_a_card_shows_prediction_and_confidence(one: str, other: str) -> None:
    assert not np.array_equal(sheet(one), sheet(other))


def test_a_long_caption_loses_its_middle() -> None:
    assert fit_caption("> ring 98%", 12, 84) == "> ring 98%"
    short = fit_caption("> a-very-long-name-of-a-class 98%", 12, 84)
    assert short.startswith("> a-very") and short.endswith("... 98%")
    assert ImageFont.load_default(12).getlength(short) <= 84
    assert fit_caption("IMG_20240101_123456.png", 12, 84).endswith("....png")
    assert fit_caption("ä", 12, 84) == r"\xe4"


def test_sheets_grow_with_their_pictures() -> None:
    cards = [Card(BLANK, "7 > 1 98%", "a.png")] * 13
    assert contact_sheet(cards).width == contact_sheet(cards[:10]).width
    assert contact_sheet(cards).height > contact_sheet(cards[:10]).height
    rows = np.zeros((2, 4, 28, 28), np.float32)
    rows[1, 3] = 1
    variants = np.asarray(variant_sheet(rows, ["a", "b"]))
    assert variants[-20, -40].tolist() == [255] * 3 and variants[20 + 60, -40].tolist() == [0] * 3


def test_a_picture_shows_its_pixels_when_enlarged_and_their_mean_when_reduced() -> None:
    values = np.array([[0, 1], [1, 2]], np.float32)
    assert np.asarray(to_picture(values)).tolist() == [[0, 255], [255, 255]]
    assert set(np.unique(np.asarray(to_picture(values, (6, 6))))) == {0, 255}
    assert np.asarray(to_picture(values, (1, 1))).tolist() == [[192]]


def test_a_figure_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    figure = Image.new("RGB", (3, 3))
    with pytest.raises(InputError, match=r"figure\.xyz: .*\.png"):
        save_figure(figure, tmp_path / "figure.xyz")
    with pytest.raises(InputError, match="nowhere"):
        save_figure(figure, tmp_path / "nowhere" / "figure.png")
    assert list(tmp_path.iterdir()) == []


def test_a_page_holds_its_pictures_and_escapes_text() -> None:
    picture = html.image(to_picture(BLANK), 'a "7"', "pixels")
    table = html.table(["a", "b"], [html.row(["name", ("1", "good")], kind="first")], "numbers")
    page = html.page("<set>", "test", "Heading", "", [html.section("A & B", picture, table), ""])
    assert "<title>tinymnist: &lt;set&gt;</title>" in page and "<h2>A &amp; B</h2>" in page
    assert '<tr class="first"><th>name</th><td class="good">1</td></tr>' in page
    data = picture.partition("base64,")[2].partition('"')[0]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (28, 28)
    assert 'alt="a &quot;7&quot;"' in picture and "<script" not in page and "http" not in page

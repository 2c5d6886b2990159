"""The sheet of what stays wrong, with names that are long or not ASCII."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from tinymnist.finetune.sheet import _SIDE, Card, _shortened, contact_sheet

BLANK = np.zeros((28, 28), np.float32)


def sheet(caption, note="a.png"):
    return np.asarray(contact_sheet([Card(BLANK, caption, note)]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a-very-long-name-of-a-class > tick 98%", "a-very-long-name-of-a-class > ring 98%"),
        ("tick > a-very-long-name-of-a-class 98%", "tick > a-very-long-name-of-a-class 91%"),
        ("✓ > ✗ 98%", "✓ > ✘ 98%"),
    ],
    ids=["what it was taken for", "how surely", "letters that the font lacks"],
)
def test_a_card_tells_what_it_was_taken_for(one, other):
    assert not np.array_equal(sheet(one), sheet(other))


def test_what_is_long_loses_its_middle():
    length = ImageFont.load_default(12).getlength
    assert _shortened("> ring 98%", length) == "> ring 98%"
    short = _shortened("> a-very-long-name-of-a-class 98%", length)
    assert short.startswith("> a-very") and short.endswith("... 98%")
    assert length(short) <= _SIDE
    assert _shortened("IMG_20240101_123456.png", length).endswith("....png")
    assert _shortened("ä", length) == r"\xe4"

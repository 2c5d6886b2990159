"""The recipe's test vectors are what the recipe does today, and its specification is one page."""

from __future__ import annotations

import numpy as np

from benchmarks.recipe_vectors import vectors
from tinymnist import Reader
from tinymnist.imaging.digit import recipes


def test_the_shipped_vectors_are_current() -> None:
    """Rounding may differ between machines, by one step of 255."""
    drawn, shipped = vectors(), recipes.recipe_vectors()
    assert len(shipped) >= 10
    assert {name.partition("/")[0] for name in drawn} == set(shipped)
    for name, (grey, form) in shipped.items():
        for kind, array in (("input", grey), ("expected", form)):
            current = drawn[f"{name}/{kind}"]
            assert array.shape == current.shape and array.dtype == current.dtype == np.uint8
            assert np.abs(array.astype(int) - current).max() <= 1


def test_every_vector_shows_its_digit() -> None:
    reader = Reader("mnist-cnn")
    for name, (grey, _) in recipes.recipe_vectors().items():
        assert str(reader.predict(grey).digit) == name[0]


def test_the_specification_is_one_page_of_plain_text() -> None:
    page = recipes.specification()
    assert page.isascii() and page.count("\n") < 70 and max(map(len, page.splitlines())) <= 96
    assert "*/" not in page and "$" not in page  # it becomes a comment in exported files

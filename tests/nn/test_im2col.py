"""im2col bit by bit: a misplaced tap shows as a wrong bit."""

from __future__ import annotations

import doctest
import importlib
import itertools
from typing import Any

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.functional.windows import sliding_windows, windows_of

SETTINGS = [
    {"strides": 1, "padding": "valid"},
    {"strides": 1, "padding": "same"},
    {"strides": 2, "padding": "same"},
    {"strides": (1, 2), "padding": ((2, 0), (1, 1))},
    {"strides": 1, "padding": "same", "dilation": (2, 1)},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("size", [(4, 4), (4, 5), (5, 4), (5, 5)])
def test_one_hot_pictures_times_powers_of_two(
    size: tuple[int, int], settings: dict[str, Any]
) -> None:
    """With one pixel lit and tap t worth 2**t, each output shows which tap met the pixel."""
    kh, kw, channels = 3, 2, 2
    kernel = 2.0 ** np.arange(kh * kw * channels).reshape(kh, kw, channels, 1)
    pixels = list(np.ndindex(*size, channels))
    x = np.zeros((len(pixels), *size, channels))
    for number, pixel in enumerate(pixels):
        x[(number, *pixel)] = 1
    y, _ = F.conv2d(x, kernel, **settings)
    windows = windows_of(x, (kh, kw), **settings)
    (top, _), (left, _) = windows.pads
    (sh, sw), (dh, dw) = windows.strides, windows.dilation
    expected = np.zeros_like(y)
    for (number, (row, column, channel)), (i, j), (a, b) in itertools.product(
        enumerate(pixels), np.ndindex(*y.shape[1:3]), np.ndindex(kh, kw)
    ):
        if (i * sh + a * dh - top, j * sw + b * dw - left) == (row, column):
            expected[number, i, j, 0] += 2.0 ** ((a * kw + b) * channels + channel)
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("channels", [1, 3, 8, 9])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_col2im_is_the_adjoint_of_im2col(settings: dict[str, Any], channels: int) -> None:
    """<im2col(x), cols> = <x, col2im(cols)>, in whole numbers, so exactly."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, 6, 7, channels)).astype(float)
    windows = windows_of(x, (3, 2), **settings)
    seen = F.im2col(x, windows)
    cols = rng.integers(-9, 9, seen.shape).astype(float)
    assert (seen * cols).sum() == (x * F.col2im(cols, windows)).sum()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_col2im_counts_how_many_windows_see_a_pixel(settings: dict[str, Any]) -> None:
    x = np.zeros((1, 5, 6, 1))
    windows = windows_of(x, (3, 2), **settings)
    ones = np.ones_like(F.im2col(x, windows))
    counts = F.col2im(ones, windows)
    for row, column in np.ndindex(5, 6):
        x[0, row, column, 0] = 1
        assert F.im2col(x, windows).sum() == counts[0, row, column, 0]
        x[0, row, column, 0] = 0


@pytest.mark.parametrize("module", ["functional.linear", "losses"])
def test_the_examples_in_the_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"tinymnist.nn.{module}"))
    assert found.attempted and not found.failed


def test_the_view_copies_nothing_and_cannot_be_written_to() -> None:
    x = np.arange(40.0).reshape(1, 5, 8, 1)
    view = sliding_windows(x, windows_of(x, 3))
    assert np.shares_memory(view, x)
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": "full"}, r'padding must be "valid", "same" or .*Received: padding=\'full\''),
        ({"padding": (1, 2, 3)}, "padding must be given for two axes"),
        ({"padding": -1}, "padding must be one or two whole numbers of at least 0"),
        ({"strides": 0}, "strides must be one or two whole numbers of at least 1"),
        ({"dilation": 9}, "the window must fit into the padded input"),
        ({"groups": 2}, r"groups \* kernel.shape\[2\] channels"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        F.conv2d(np.zeros((1, 5, 5, 3)), np.zeros((3, 3, 3, 2)), **settings)


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pictures must come as \(n, h, w, c\)"):
        F.conv2d(np.zeros((5, 5, 3)), np.zeros((3, 3, 3, 2)))
    with pytest.raises(ValueError, match=r"a kernel must be \(kh, kw, in, out\)"):
        windows = np.zeros((3, 3, 3))
        F.conv2d(np.zeros((1, 5, 5, 3)), windows)
    with pytest.raises(ValueError, match="dense takes"):
        F.dense(np.zeros((2, 3)), np.zeros((4, 5)))

"""The painted digits look like digits, and the shipped samples are what the painter paints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from benchmarks.samples import SAMPLES, paint_samples, tint, to_image
from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.synthetic.paint import STROKES, clouds, curve, ink, slope

SHIPPED = Path(tinymnist.__file__).parent / "samples"
HOLES = {0: 1, 6: 1, 8: 2, 9: 1}


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("painted") / "samples"
    paint_samples(folder)
    return folder


def test_the_shipped_samples_are_all_there() -> None:
    assert sorted(path.name for path in SHIPPED.iterdir()) == sorted(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_shipped_samples_are_what_the_painter_paints(painted: Any, name: Any) -> None:
    shipped, anew = decode(SHIPPED / name), decode(painted / name)
    assert shipped.shape == anew.shape
    apart = np.abs(shipped - anew) * 255
    assert apart.mean() < 1  # grey levels; codecs differ from version to version
    assert (apart > 8).mean() < 0.01


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_the_same_every_time(name: Any) -> None:
    once, again = (np.asarray(SAMPLES[name](np.random.default_rng(0))) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_the_samples_are_small_files() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 200_000


@pytest.mark.parametrize("digit", range(10))
def test_every_digit_is_drawn_in_one_piece_with_its_holes(digit: int) -> None:
    drawn = ink(digit, (90, 80), height=0.8, pen=0.08)
    assert drawn.shape == (90, 80) and drawn.dtype == np.float32
    assert drawn.min() == 0 and drawn.max() == 1
    inked = drawn > 0.5
    assert len(find_components(inked).boxes) == 1
    assert len(find_components(~inked).boxes) - 1 == HOLES.get(digit, 0)


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_is_as_tall_as_asked_for_and_in_the_middle(digit: int) -> None:
    top, _, bottom, _ = find_components(ink(digit, (200, 200), height=0.6, pen=0.05) > 0.5).boxes[0]
    assert bottom - top == pytest.approx(0.6 * 200, rel=0.08)
    assert (bottom + top) / 2 == pytest.approx(100, abs=5)


def test_all_ten_digits_differ() -> None:
    assert sorted(STROKES) == list(range(10))
    drawn = [ink(digit, (40, 40), height=0.8, pen=0.1) for digit in range(10)]
    for digit, one in enumerate(drawn):
        for other in drawn[:digit]:
            assert np.abs(one - other).mean() > 0.03


def box(**how: Any) -> Any:
    settings = {"height": 0.4, "pen": 0.1} | how
    return find_components(ink(1, (200, 200), **settings) > 0.5).boxes[0]


def test_a_centre_moves_the_digit() -> None:
    moved = box(centre=(0.6, 0.4)) - box()
    np.testing.assert_allclose(moved, [-20, 20, -20, 20], atol=1)


def test_a_slant_leans_the_top_to_the_right() -> None:
    straight = ink(1, (200, 200), height=0.4, pen=0.1)
    slanted = ink(1, (200, 200), height=0.4, pen=0.1, slant=0.3)
    columns = np.arange(200)
    lean = [
        (slanted[half] @ columns).sum() / slanted[half].sum()
        - (straight[half] @ columns).sum() / straight[half].sum()
        for half in (slice(90), slice(110, None))
    ]
    assert lean[0] > 5 and lean[1] < -5


def test_a_turn_goes_against_the_clock() -> None:
    turned = ink(7, (120, 120), height=0.5, pen=0.1, turn=90)
    upright = ink(7, (120, 120), height=0.5, pen=0.1)
    assert np.abs(turned - np.rot90(upright)).mean() < 0.01


def test_a_broader_pen_leaves_more_ink() -> None:
    assert box(pen=0.2)[2] > box(pen=0.1)[2] > box(pen=0.02)[2]


def test_a_curve_passes_through_its_points() -> None:
    points = [(0.0, 0.0), (0.3, 0.9), (0.8, 0.1), (1.0, 1.0)]
    line = np.array(curve(points))
    for point in points:
        assert np.abs(line - point).sum(1).min() < 1e-12


def test_light_falls_from_0_to_1() -> None:
    light = slope((30, 40), 0)
    assert light.shape == (30, 40) and light.dtype == np.float32
    assert light.min() == 0 and light.max() == 1
    assert (np.diff(light, axis=1) > 0).all() and np.ptp(light, axis=0).max() < 1e-6


def test_clouds_are_smooth_and_come_from_the_generator() -> None:
    first, second = (clouds((60, 80), 5, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (60, 80)
    assert np.abs(np.diff(first)).max() < np.ptp(first) / 4


def test_tint_colours_ink_and_paper() -> None:
    page = tint(np.array([[0.0, 1.0]], np.float32), "#ff0000", "#ffffff")
    np.testing.assert_allclose(page, [[[1, 1, 1], [1, 0, 0]]], atol=1e-6)


def test_an_array_becomes_an_image_and_is_clipped() -> None:
    picture = to_image(np.array([[-1, 0, 0.5, 1, 2]], np.float32))
    assert isinstance(picture, Image.Image)
    assert np.asarray(picture).tolist() == [[0, 0, 128, 255, 255]]
    assert to_image(np.zeros((2, 2, 4), np.float32)).mode == "RGBA"

"""The 15 corruptions do what the paper says, spare their input, and leave digits legible."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks import corruptions
from benchmarks.canny import canny
from benchmarks.corruptions import CORRUPTIONS, corrupted
from benchmarks.plasma import plasma
from tinymnist.imaging.synthetic.paint import ink

PAPER = """shot noise, impulse noise, glass blur, motion blur, shear, scale, rotate, brightness,
translate, stripe, fog, spatter, dotted line, zigzag, canny edges"""
NO_DRAW = ("scale", "brightness", "stripe", "canny edges")
"""Those that leave nothing to chance."""
each = pytest.mark.parametrize("name", CORRUPTIONS)


@cache
def written(count: int) -> Any:
    """Digits 0 to 9 in turns, by pens of several widths and slants: (count, 28, 28) uint8."""
    rng = np.random.default_rng(7)
    drawn = [
        ink(i % 10, (28, 28), height=0.7, pen=rng.uniform(0.1, 0.16), slant=rng.uniform(-0.1, 0.2))
        for i in range(count)
    ]
    images = np.uint8(np.stack(drawn) * 255 + 0.5)
    images.setflags(write=False)  # whoever writes into what it is given fails
    return images


@pytest.fixture(scope="module")
def digits() -> Any:
    return written(40)


def test_they_are_the_papers_15() -> None:
    assert list(CORRUPTIONS) == [name.strip() for name in PAPER.split(",")]
    for name, corrupt in CORRUPTIONS.items():
        assert corrupt.__name__ == name.replace(" ", "_")
        assert inspect.getdoc(corrupt)


@each
def test_shape_and_dtype_are_kept_and_the_array_is_new(digits: NDArray[Any], name: str) -> None:
    for images in (digits, digits[:1], digits[:0]):
        found = corrupted(name, images)
        assert found.shape == images.shape and found.dtype == np.uint8
        assert not np.shares_memory(found, images)


@each
def test_the_input_is_not_touched(name: str) -> None:
    images = written(10).copy()
    corrupted(name, images)
    np.testing.assert_array_equal(images, written(10))


@each
def test_the_seed_decides(digits: NDArray[Any], name: str) -> None:
    first = corrupted(name, digits, seed=1)
    np.testing.assert_array_equal(first, corrupted(name, digits, seed=1))
    assert np.array_equal(first, corrupted(name, digits, seed=2)) == (name in NO_DRAW)


@each
def test_most_pictures_change(digits: NDArray[Any], name: str) -> None:
    changed = np.abs(np.int16(corrupted(name, digits)) - digits).mean(axis=(1, 2))
    assert (changed > 1).mean() > 0.9


@each
def test_no_picture_leaks_into_its_neighbours(digits: NDArray[Any], name: str) -> None:
    blank = np.zeros((3, 28, 28), np.uint8)
    beside = blank.copy()
    beside[1] = digits[5]
    alone, found = (corrupted(name, images) for images in (blank, beside))
    np.testing.assert_array_equal(found[0], alone[0])
    assert (found[1] != alone[1]).any()
    if name != "shot noise":  # how many numbers Poisson's law draws depends on the ink before
        np.testing.assert_array_equal(found[2], alone[2])


@pytest.mark.parametrize("name", NO_DRAW)
def test_a_picture_comes_out_the_same_alone(digits: NDArray[Any], name: str) -> None:
    together = corrupted(name, digits)
    for i in range(3):
        np.testing.assert_array_equal(corrupted(name, digits[i : i + 1])[0], together[i])


# A measure of legibility that knows no network: edges, blurred a little and moved a little, against
# those of all ten digits, upright, leaning, turned and small.
def edges(images: NDArray[Any]) -> NDArray[Any]:
    x = images / np.float32(255)
    steep = np.hypot(*(ndimage.correlate1d(x, [-1, 0, 1], axis) for axis in (1, 2)))
    steep = ndimage.gaussian_filter(steep, (0, 1.5, 1.5))
    steep -= steep.mean(axis=(1, 2), keepdims=True)
    steep /= np.linalg.norm(steep, axis=(1, 2), keepdims=True)
    return np.fft.rfft2(steep, s=(64, 64))


def bent(
    images: NDArray[Any], right: tuple[float, float], down: tuple[float, float]
) -> NDArray[Any]:
    """What Pillow makes of a linear map about the middle; ``right`` and ``down`` are its rows."""
    (a, b), (c, d) = right, down
    coefficients = (a, b, 14 - 14 * (a + b), c, d, 14 - 14 * (c + d))
    how = ((28, 28), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.stack([np.asarray(Image.fromarray(image).transform(*how)) for image in images])


def share_recognised(images: NDArray[Any], originals: NDArray[Any]) -> Any:
    """How many pictures are likest to their own original among ten; by chance a tenth."""
    cos, sin = np.cos(0.4), np.sin(0.4)
    maps = [((1, 0), (0, 1)), ((1, 0.4), (0, 1)), ((1, -0.4), (0, 1)), ((1.4, 0), (0, 1.4))]
    maps += [((cos, sin), (-sin, cos)), ((cos, -sin), (sin, cos))]
    seen, known = edges(images), [edges(bent(originals, *each)) for each in maps]
    right = 0
    for i in range(len(images)):
        ten = slice(i // 10 * 10, i // 10 * 10 + 10)
        likeness = np.stack([np.fft.irfft2(seen[i] * one[ten].conj()) for one in known])
        near = np.roll(likeness, (3, 3), axis=(2, 3))[:, :, :7, :7]
        right += near.max(axis=(0, 2, 3)).argmax() == i % 10
    return right / len(images)


@each
def test_the_digit_can_still_be_recognised(digits: NDArray[Any], name: str) -> None:
    assert share_recognised(corrupted(name, digits), digits) >= 0.4


def test_the_measure_of_that_can_fail(digits: NDArray[Any]) -> None:
    noise = np.random.default_rng(0).integers(256, size=digits.shape, dtype=np.uint8)
    assert share_recognised(noise, digits) <= 0.3
    assert share_recognised(np.roll(digits, 1, axis=0), digits) <= 0.2


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def full(value: int, count: int = 200) -> NDArray[Any]:
    return np.full((count, 28, 28), value, np.uint8)


def test_shot_noise_counts_three_photons() -> None:
    found = corruptions.shot_noise(full(128), rng())
    assert np.unique(found).tolist() == [0, 85, 170, 255]
    assert (found == 0).mean() == pytest.approx(np.exp(-3 * 128 / 255), abs=0.01)


def test_impulse_noise_hits_27_percent() -> None:
    found = corruptions.impulse_noise(full(100), rng())
    for value in (0, 255):
        assert (found == value).mean() == pytest.approx(0.135, abs=0.005)
    assert (found == 100).mean() == pytest.approx(0.73, abs=0.01)


def test_glass_blur_keeps_the_ink_and_spreads_it() -> None:
    dot = full(0)
    dot[:, 14, 14] = 255
    found = corruptions.glass_blur(dot, rng())
    assert found.sum(axis=(1, 2)).mean() == pytest.approx(255, rel=0.1)
    mean = found.mean(axis=0)
    assert mean[10:19, 11:18].sum() > 0.97 * mean.sum()
    assert mean[14, 13] > 5 and mean[14, 15] > 5  # moved sideways, which the blur does not


def test_motion_blur_draws_a_fading_line() -> None:
    dot = full(0)
    dot[:, 14, 20] = 255
    found = corruptions.motion_blur(dot, rng())
    assert found.sum(axis=(1, 2)).mean() == pytest.approx(255, rel=0.03)
    assert (found[:, :, 21:] == 0).all()  # the trail goes to the left, at up to 45 degrees
    mean = np.float64(found).mean(axis=0)
    assert mean[14, 20] == pytest.approx(255 / np.exp(-(np.arange(21) ** 2) / 18).sum(), abs=1)
    assert (np.diff(mean.sum(axis=0)[10:20]) >= 0).all()


def angle_of(image: NDArray[Any]) -> float:
    """Of a line, in radians clockwise from upright."""
    rows, columns = np.nonzero(image > 100)
    return float(np.arctan(np.polyfit(rows, columns, 1)[0]))


@pytest.mark.parametrize(("name", "lean"), [("shear", np.arctan(np.sin(0.4))), ("rotate", 0.4)])
def test_an_upright_line_leans_either_way(name: str, lean: float) -> None:
    line = full(0)
    line[:, 6:22, 13:15] = 255
    found = CORRUPTIONS[name](line, rng())
    angles = np.array([angle_of(image) for image in found])
    np.testing.assert_allclose(np.abs(angles), lean, atol=0.02)
    assert 0.4 < (angles > 0).mean() < 0.6


def test_shear_leaves_level_lines_level_and_rotate_does_not() -> None:
    line = full(0)
    line[:, 13:15, 6:22] = 255
    assert (corruptions.shear(line, rng()).max(axis=(0, 2)) > 100).sum() == 2
    assert (corruptions.rotate(line, rng()).max(axis=(0, 2)) > 100).sum() > 6


def test_scale_reduces_to_seven_tenths() -> None:
    square = full(0, 1)
    square[:, 4:24, 4:24] = 255
    found = corruptions.scale(square, rng())[0] / 255
    assert found.sum(axis=0).max() == pytest.approx(14, abs=0.3)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=0.01)


def test_brightness_adds_one_half() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, None]
    np.testing.assert_array_equal(
        corruptions.brightness(ramp, rng()), np.floor(np.minimum(ramp + 128.0, 255))
    )


def test_translate_moves_by_three_either_way() -> None:
    dot = full(0)
    dot[:, 14, 14] = 255
    places = np.argwhere(corruptions.translate(dot, rng()))[:, 1:]
    assert len(places) == len(dot)
    corners, counts = np.unique(places, axis=0, return_counts=True)
    assert corners.tolist() == [[11, 11], [11, 17], [17, 11], [17, 17]]
    assert counts.min() > 25


def test_stripe_inverts_the_outer_quarters(digits: NDArray[Any]) -> None:
    found = corruptions.stripe(digits, rng())
    np.testing.assert_array_equal(found[:, :, 7:21], digits[:, :, 7:21])
    np.testing.assert_array_equal(found[:, :, :7], 255 - digits[:, :, :7])
    np.testing.assert_array_equal(found[:, :, 21:], 255 - digits[:, :, 21:])


def test_fog_keeps_a_quarter_of_the_contrast(digits: NDArray[Any]) -> None:
    found = corruptions.fog(digits, rng())
    inked, paper = (np.median(found[mask]) for mask in (digits == 255, digits == 0))
    assert inked - paper == pytest.approx(255 / 4, abs=8)
    assert np.ptp(found.mean(axis=(1, 2))) > 60  # thin fog and thick fog
    smooth = np.abs(np.diff(np.float32(found), axis=1))[(digits == 0)[:, 1:]]
    assert np.median(smooth) < 4


@pytest.mark.parametrize("decay", [1.4, 3.0])
def test_a_plasma_is_stretched_wraps_around_and_is_smoother_where_it_decays_faster(
    decay: float,
) -> None:
    maps = plasma(20, 64, decay, rng(), side=64)
    assert maps.shape == (20, 64, 64) and maps.dtype == np.float32
    np.testing.assert_array_equal(maps.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(maps.max(axis=(1, 2)), 1)
    step = np.abs(np.diff(maps, axis=1)).mean()
    seam = np.abs(maps[:, 0] - maps[:, -1]).mean()
    assert seam < 2 * step
    rougher = plasma(20, 64, decay / 1.2, rng(), side=64)
    assert step < np.abs(np.diff(rougher, axis=1)).mean()


def test_spatter_is_grey_and_covers_ink() -> None:
    on_paper = corruptions.spatter(full(0), rng())
    on_ink = corruptions.spatter(full(255), rng())
    assert 0.1 < (on_paper > 0).mean() < 0.2
    assert on_paper.max() == 63 and 63 <= on_ink.min() <= 70
    np.testing.assert_array_equal(on_paper > 0, on_ink < 255)


def test_a_dotted_line_goes_from_edge_to_edge_in_dots() -> None:
    found = corruptions.dotted_line(full(0), rng())
    used = (found > 0).any(axis=(0, 1))
    assert used.tolist() == [column % 4 >= 2 and column < 27 for column in range(28)]
    brightest = found[:, :, used].max(axis=1)
    assert brightest.min() > 160
    rows = found[:, :, used].argmax(axis=1)
    assert np.abs(np.diff(rows, 2, axis=1)).max() <= 8  # straight: steps differ by the gaps alone


def test_a_zigzag_changes_direction() -> None:
    found = corruptions.zigzag(full(0), rng())
    assert (found[:, :, :2] == 0).all() and (found[:, :, 26:] == 0).all()
    middle = found[(found[:, 8:20].max(axis=1)[:, 2:25].min(axis=1) > 0)]
    assert len(middle) > 20
    rows = middle[:, :, 3:25].argmax(axis=1)
    turns = (np.diff(np.sign(np.diff(rows[:, ::2], axis=1)), axis=1) != 0).sum(axis=1)
    assert np.median(turns) >= 4


def test_canny_edges_outline_a_square() -> None:
    square = full(0, 1)
    square[:, 8:20, 8:20] = 255
    found = corruptions.canny_edges(square, rng())[0]
    assert np.unique(found).tolist() == [0, 255]
    for line in (found[14], found[:, 14]):  # beside a step two are equally steep, up to rounding
        places = set(np.flatnonzero(line))
        assert places <= {7, 8, 19, 20} and places & {7, 8} and places & {19, 20}
    assert ndimage.label(found, np.ones((3, 3)))[1] == 1


def test_canny_needs_a_strong_pixel_on_every_line() -> None:
    images = np.zeros((2, 20, 20))
    images[0, :, 10:] = (
        0.05  # the smoothed step rises by about 0.04 a pixel: Sobel makes 0.15 of it
    )
    images[1, :, 10:] = 0.08
    weak, strong = canny(images)
    assert not weak.any() and strong.any()
    assert canny(images, high=0.1)[0].any()

"""Transforms of whole batches: what all must keep, and what each does, against slow twins."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from scipy import ndimage

from tinymnist.augmentation import (
    Blur,
    Compose,
    Contrast,
    Cutout,
    EachPicture,
    Elastic,
    Gamma,
    Noise,
    Perspective,
    StrokeWidth,
    Transform,
)
from tinymnist.augmentation.compose import Step
from tinymnist.augmentation.distort import RandomDistortion, crossed, grainy
from tinymnist.augmentation.effects import homographies
from tinymnist.imaging.digit.frame import stroke_width
from tinymnist.imaging.synthetic.paint import ink

TRANSFORMS = {
    "Blur": Blur(),
    "Contrast": Contrast(),
    "Cutout": Cutout(),
    "EachPicture": EachPicture(crossed),
    "Elastic": Elastic(),
    "Gamma": Gamma(),
    "Noise": Noise(),
    "Perspective": Perspective(),
    "StrokeWidth": StrokeWidth(),
    "Compose": Compose([Elastic(), StrokeWidth(probability=0.5), EachPicture(grainy), Gamma()]),
}
every = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


@cache
def digit(number: int) -> NDArray[Any]:
    return ink(number, (28, 28), height=0.7, pen=0.12)


def digits(n: int = 8, dtype: DTypeLike = np.float32, channels: int = 1) -> NDArray[Any]:
    drawn = np.stack([digit(k % 10) for k in range(n)])[..., None]
    drawn = np.concatenate([np.roll(drawn, shift, axis=2) for shift in range(channels)], axis=3)
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return (drawn * scale).astype(dtype)


def vary(transform: Step, images: NDArray[Any], seed: int = 0) -> NDArray[Any]:
    return transform(images, np.random.default_rng(seed))


# --- what all must keep ------------------------------------------------------------------------


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_dtype_range_and_the_images_themselves(
    transform: Step, dtype: DTypeLike, channels: int
) -> None:
    images = digits(dtype=dtype, channels=channels)
    images.flags.writeable = False
    before = images.copy()
    varied = vary(transform, images)
    assert varied.shape == images.shape and varied.dtype == images.dtype
    assert varied.min() >= 0 and (varied.dtype.kind == "u" or varied.max() <= 1)
    assert not np.array_equal(varied, images) and not np.shares_memory(varied, images)
    np.testing.assert_array_equal(images, before)


@every
def test_the_same_generator_gives_the_same_variants(transform: Step) -> None:
    images = digits()
    first, second, other = (vary(transform, images, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@every
def test_an_empty_batch(transform: Step) -> None:
    assert vary(transform, digits()[:0]).shape == (0, 28, 28, 1)


@every
@pytest.mark.parametrize("shape", [(3, 5, 9, 1), (2, 1, 1, 1), (2, 30, 2, 2)])
def test_any_size(transform: Step, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random(shape, np.float32)
    assert vary(transform, images).shape == shape


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in ("Compose", "Each")])
def test_a_probability_leaves_the_others_as_they_are(name: str) -> None:
    settings = {k: v for k, v in vars(TRANSFORMS[name]).items() if k != "probability"}
    images = np.random.default_rng(0).random((400, 9, 9, 1), np.float32)
    varied = vary(type(TRANSFORMS[name])(**settings, probability=0.3), images)
    changed = (varied != images).any(axis=(1, 2, 3)).mean()
    assert 0.2 < changed < 0.4


def test_fit_gives_the_same_with_any_number_of_threads() -> None:
    from tinymnist.nn.architectures import mlp

    model = {}
    for workers in (2, 3):
        model[workers] = mlp()
        model[workers].compile()
        model[workers].fit(
            digits(64),
            np.arange(64) % 10,
            augment=TRANSFORMS["Compose"],
            workers=workers,
            verbose=0,
        )
    for name, array in model[2].weights.items():
        np.testing.assert_array_equal(array, model[3].weights[name])


def test_composing_is_doing_one_after_the_other() -> None:
    images, rng = digits(), np.random.default_rng(3)
    first, second = Elastic(), RandomDistortion()
    composed = vary(Compose([first, second]), images, 3)
    rng.random(len(images))  # whether a picture goes through
    np.testing.assert_array_equal(composed, np.clip(second(first(images, rng), rng), 0, 1))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (digits()[..., 0], r"\(n, h, w, c\)"),
        (digits() * 255, r"floats in 0\.\.1"),
        (digits() - 1, r"floats in 0\.\.1"),
    ],
)
def test_what_is_no_batch_of_pictures(images: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vary(Noise(), images)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blur(0, 1),
        lambda: Blur(2, 1),
        lambda: Perspective(0.5),
        lambda: Noise(probability=20),
        lambda: Noise(-1),
        lambda: Gamma(0),
        lambda: Contrast(2, 1),
        lambda: Cutout(0),
        lambda: Elastic(sigma=0),
        lambda: StrokeWidth(thicker=float("nan")),
    ],
)
def test_settings_without_sense(make: Callable[[], Transform]) -> None:
    with pytest.raises(ValueError, match="Received"):
        make()


# --- what each does ----------------------------------------------------------------------------


def test_blur_is_scipys() -> None:
    images = np.random.default_rng(0).random((4, 20, 17, 2), np.float32)
    varied = vary(Blur(0.8, 0.8), images)
    for image, found in zip(images, varied, strict=True):
        wanted = ndimage.gaussian_filter(image.astype(float), (0.8, 0.8, 0), mode="reflect")
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_elastic_moves_are_simards() -> None:
    """A ramp shows where its pixels come from; SciPy smooths the same random numbers."""
    ramp = np.broadcast_to(np.linspace(0, 1, 28)[:, None, None], (1, 28, 28, 1)).copy()
    rng = np.random.default_rng(0)
    rng.random(1)  # whether the picture is changed
    noise = rng.uniform(-1, 1, (1, 2, 28, 28))[0, 0]
    smooth = ndimage.gaussian_filter(noise, 4, mode="constant", truncate=6)
    rows = np.clip(np.arange(28)[:, None] + 34 * smooth, 0, 27)
    np.testing.assert_allclose(vary(Elastic(), ramp)[0, ..., 0], rows / 27, atol=1e-6)


def test_elastic_moves_are_as_far_as_it_says() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 41)[:, None, None], (200, 41, 41, 1)).copy()
    moves = 40 * (vary(Elastic(), ramp) - ramp)[:, 15:26, 15:26]
    assert moves.std() == pytest.approx(1.4, abs=0.1)


def test_homographies_carry_the_corners() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 9], [7, 0], [7, 9]], float)
    goals = corners + rng.uniform(-2, 2, (5, 4, 2))
    seen = homographies(corners, goals) @ np.column_stack([corners, np.ones(4)]).T  # (5, 3, 4)
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], goals.transpose(0, 2, 1), atol=1e-9)


def test_perspective_keeps_lines_straight() -> None:
    """On a tilted plane, a ramp's level lines stay lines: the map is no mere bending."""
    down = np.broadcast_to(np.linspace(0, 1, 40)[:, None, None], (1, 40, 40, 1)).astype(np.float64)
    seen = vary(Perspective(0.15), down.copy())[0, 12:28, 12:28, 0]
    levels = [np.interp(0.5, column, np.arange(16)) for column in seen.T]
    bend = np.abs(np.diff(levels, 2))
    assert np.ptp(levels) > 0.2 and bend.max() < 0.02


def test_pens_become_thicker_and_thinner() -> None:
    images = digits(60)
    before = np.array([stroke_width(image[..., 0]) for image in images])
    for setting, low, high in (
        (StrokeWidth(0, 0.7), 1.0, 1.7),
        (StrokeWidth(0.5, 0), 0.6, 1.0),
    ):
        after = np.array([stroke_width(image[..., 0]) for image in vary(setting, images)])
        ratio = after / before
        assert low - 0.02 <= ratio.min() and ratio.max() <= high + 0.02
        assert ratio.max() - ratio.min() > 0.1


def test_contrast_keeps_the_mean_and_gamma_keeps_black_and_white() -> None:
    grey = np.random.default_rng(0).uniform(0.3, 0.7, (50, 9, 9, 1))
    varied = vary(Contrast(0.5, 1.5), grey)
    np.testing.assert_allclose(varied.mean(axis=(1, 2, 3)), grey.mean(axis=(1, 2, 3)), atol=1e-9)
    factors = varied.std(axis=(1, 2, 3)) / grey.std(axis=(1, 2, 3))
    assert 0.5 <= factors.min() < 0.6 and 1.4 < factors.max() <= 1.5 + 1e-9
    halves = np.tile([0.0, 0.5, 1.0], (50, 1, 1, 1)).transpose(0, 1, 3, 2)
    powered = vary(Gamma(0.5, 2), halves)[:, 0, :, 0]
    assert (powered[:, 0] == 0).all() and (powered[:, 2] == 1).all()
    powers = np.log(powered[:, 1]) / np.log(0.5)
    assert 0.5 <= powers.min() < 0.6 and 1.8 < powers.max() <= 2 + 1e-9


def test_noise_is_as_strong_as_it_says() -> None:
    strengths = (vary(Noise(0.1), np.full((300, 28, 28, 1), 0.5)) - 0.5).std(axis=(1, 2, 3))
    assert strengths.max() == pytest.approx(0.1, abs=0.01) and strengths.min() < 0.01


def test_cutout_covers_a_rectangle_with_one_value() -> None:
    images = np.random.default_rng(0).uniform(0.4, 0.6, (50, 20, 30, 3))
    for image, varied in zip(images, vary(Cutout(6), images), strict=True):
        rows, columns = np.nonzero((image != varied).any(axis=2))
        box = varied[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert max(box.shape[:2]) <= 6 and (box == box[0, 0, 0]).all()

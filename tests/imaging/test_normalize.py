"""A digit comes out in MNIST's form, however it was written, lit and placed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.samples import SAMPLES
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.digit.frame import MNIST_WIDTHS, stroke_width
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import STAGES, is_mnist, normalize, stages
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.synthetic.paint import ink, slope

DIGITS = range(10)
NAMES = [
    "grey", "polarity", "background", "noise", "threshold", "rules", "components", "box", "centre"
]  # fmt: skip


def black_on_white(digit: Any, size: Any = (200, 160), **how: Any) -> Any:
    return 1 - ink(digit, size, **({"height": 0.55, "pen": 0.1} | how))


def centre_of_mass(image: Any) -> Any:
    down, right = np.indices(image.shape)
    return np.array([(image * down).sum(), (image * right).sum()]) / image.sum()


def extent(image: Any) -> Any:
    """Height and width of what is not black."""
    rows, columns = (np.flatnonzero((image > 0).any(axis)) for axis in (1, 0))
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def likeness(one: Any, other: Any) -> Any:
    """The correlation at the best of the nine shifts: a rounded centre may fall either way."""
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(
        np.corrcoef(np.roll(one, shift, (0, 1)).ravel(), other.ravel())[0, 1] for shift in shifts
    )


def assert_mnist_form(image: Any) -> None:
    assert image.shape == (28, 28) and image.dtype == np.float32
    assert image.min() == 0 and 0.9 < image.max() <= 1
    assert max(extent(image)) == 20
    assert np.abs(centre_of_mass(image) - 13.5).max() <= 1
    assert image[0].max() == image[-1].max() == 0


# The form


@pytest.mark.parametrize("digit", DIGITS)
def test_every_digit_gets_mnists_form(digit: Any) -> None:
    assert_mnist_form(normalize(black_on_white(digit)))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_get_mnists_form(name: Any) -> None:
    assert_mnist_form(normalize(decode(SAMPLES[name](np.random.default_rng(0)))))


@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (40, 300), (300, 40), (1500, 900)])
def test_any_size_of_picture(shape: Any) -> None:
    height = 0.8 if shape[0] <= shape[1] else 0.1
    assert_mnist_form(normalize(black_on_white(7, shape, height=height, pen=0.13)))


def test_the_picture_is_left_alone() -> None:
    grey = black_on_white(3)
    grey.flags.writeable = False
    before = grey.copy()
    result = normalize(grey)
    np.testing.assert_array_equal(grey, before)
    assert result.flags.writeable


@pytest.mark.parametrize("pen", [0.015, 0.05, 0.1, 0.2])
def test_strokes_come_to_mnists_width(pen: float) -> None:
    width = stroke_width(normalize(black_on_white(7, (400, 300), pen=pen)))
    assert MNIST_WIDTHS[0] - 0.1 < width < MNIST_WIDTHS[1] + 0.2


def test_the_aspect_ratio_is_kept() -> None:
    bar = np.ones((100, 100), np.float32)
    bar[20:70, 40:60] = 0
    height, width = extent(normalize(bar))
    assert height == 20
    assert 5 <= width <= 8


# What must not matter


@pytest.mark.parametrize("digit", DIGITS)
def test_polarity_does_not_matter(digit: Any) -> None:
    grey = black_on_white(digit)
    np.testing.assert_allclose(normalize(grey), normalize(1 - grey), atol=0.02)


@pytest.mark.parametrize("digit", DIGITS)
def test_place_does_not_matter(digit: Any) -> None:
    middle = normalize(black_on_white(digit))
    for centre in ((0.4, 0.35), (0.6, 0.65)):
        assert likeness(normalize(black_on_white(digit, centre=centre)), middle) > 0.99


@pytest.mark.parametrize("digit", DIGITS)
def test_size_hardly_matters(digit: Any) -> None:  # the width rounds to whole pixels
    middle = normalize(black_on_white(digit))
    for height in (0.3, 0.8):
        assert likeness(normalize(black_on_white(digit, height=height)), middle) > 0.9


@pytest.mark.parametrize("digit", DIGITS)
def test_light_from_one_side_does_not_matter(digit: Any) -> None:
    grey = black_on_white(digit)
    light = 1 - 0.6 * slope(grey.shape, 30)
    assert likeness(normalize(grey * light), normalize(grey)) > 0.98


@pytest.mark.parametrize("contrast", [0.2, 0.5])
def test_faint_ink_does_not_matter(contrast: float) -> None:
    grey = black_on_white(5)
    faint = (0.9 - contrast * (1 - grey)).astype(np.float32)
    assert likeness(normalize(faint), normalize(grey)) > 0.98


def test_noise_hardly_matters() -> None:
    grey = black_on_white(2)
    noise = 0.04 * np.random.default_rng(0).standard_normal(grey.shape, np.float32)
    noisy = np.clip(0.1 + 0.8 * grey + noise, 0, 1)
    assert likeness(normalize(noisy), normalize(grey)) > 0.97


# What belongs to the digit


def test_specks_are_dropped() -> None:
    clean = black_on_white(4)
    specked = clean.copy()
    for down, right in ((5, 5), (12, 140), (190, 20), (180, 150)):
        specked[down : down + 3, right : right + 3] = 0
    np.testing.assert_allclose(normalize(specked), normalize(clean), atol=0.02)


def test_a_line_at_the_frame_is_dropped() -> None:
    clean = black_on_white(4)
    framed = clean.copy()
    framed[:4] = 0
    framed[:, -3:] = 0
    assert likeness(normalize(framed), normalize(clean)) > 0.98


def five(gap: Any) -> Any:
    """A 5 whose bar does not touch the rest."""
    picture = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(picture)
    draw.line((84, 50, 80, 95), fill=0, width=12)
    draw.arc((60, 88, 132, 158), 230, 140, fill=0, width=12)
    draw.line((86, 44 - gap, 150, 40 - gap), fill=0, width=12)
    return decode(picture)


def test_the_detached_bar_of_a_five_stays() -> None:
    grey = five(gap=14)
    assert len(find_components(grey < 0.5).boxes) == 2
    result = normalize(grey)
    assert len(find_components(result > 0.5).boxes) == 2
    assert_mnist_form(result)


def test_what_lies_far_from_the_digit_is_dropped() -> None:
    near, far = (np.pad(five(14), ((0, 0), (0, 300)), constant_values=1) for _ in range(2))
    far[60:70, 420:480] = 0
    np.testing.assert_allclose(normalize(far), normalize(near), atol=0.02)


# What has MNIST's form already


def hand_made() -> Any:
    """A 1 of MNIST's form: 20 high, its centre of mass in the middle."""
    image = np.zeros((28, 28), np.float32)
    image[4:24, 13:15] = 1
    image[4:24, 12] = image[4:24, 15] = 0.3
    return image


def test_mnists_own_pictures_pass_bit_for_bit(mnist_folder: Path) -> None:
    images, _ = load_mnist("test", mnist_folder)
    for image in images[::200]:
        grey = decode(image)
        assert is_mnist(grey)
        result = normalize(grey)
        np.testing.assert_array_equal(result, image / np.float32(255))
        assert result is not grey


def test_a_picture_of_mnists_form_passes_bit_for_bit() -> None:
    image = hand_made()
    assert is_mnist(image)
    result = normalize(image)
    np.testing.assert_array_equal(result, image)
    assert result is not image
    assert list(stages(image)) == ["grey", "centre"]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: 1 - image,
        lambda image: np.roll(image, 3, 1),
        lambda image: image[1:-1, 1:-1],
        lambda image: image * 0.5,
        lambda image: np.pad(image[4:24, 4:24][::2, ::2], 9),
        lambda image: np.clip(image + 0.05, 0, 1),
    ],
    ids=["inverted", "shifted", "smaller", "faint", "half the size", "grey paper"],
)
def test_any_other_picture_is_worked_on(change: Any) -> None:
    image = change(hand_made())
    assert not is_mnist(image)
    assert_mnist_form(normalize(image))


def test_the_result_has_mnists_form_and_stays() -> None:
    result = normalize(black_on_white(6))
    assert is_mnist(result)
    np.testing.assert_array_equal(normalize(result), result)


# The stages


def test_stages_are_named_in_order() -> None:
    made = stages(black_on_white(8))
    assert list(made) == NAMES
    for image in made.values():
        assert image.ndim == 2
        assert np.issubdtype(image.dtype, np.floating)
        assert image.min() >= 0 and image.max() <= 1
    assert max(made["box"].shape) == 20
    np.testing.assert_array_equal(made["centre"], normalize(black_on_white(8)))


def test_the_stages_do_what_they_are_named_for() -> None:
    grey = 1 - black_on_white(8)  # white on black
    grey[:3, :3] = 1
    made = stages(grey)
    np.testing.assert_array_equal(made["polarity"], 1 - grey)
    assert made["background"][-1, -1] == 0
    assert made["threshold"][1, 1] == 1
    assert made["components"][1, 1] == 0


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_switched_off(name: Any) -> None:
    grey = black_on_white(5)
    made = stages(grey, skip={name})
    assert made["centre"].shape == (28, 28)
    assert made["centre"].min() >= 0 and made["centre"].max() <= 1
    assert name == "centre" or name not in made


def test_slant_is_taken_away_where_that_is_asked_for() -> None:
    lean = black_on_white(1, slant=0.5)
    up = normalize(lean, skip=())
    assert np.ptp(np.flatnonzero((up > 0.5).any(0))) < np.ptp(
        np.flatnonzero((normalize(lean) > 0.5).any(0))
    )


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"skip may name \['polarity'.*Received: \['colour'\]"):
        normalize(black_on_white(5), skip=["colour"])


# Nothing to be found


def noise(deviation: Any) -> Any:
    rng = np.random.default_rng(1)
    return np.clip(0.6 + deviation * rng.standard_normal((90, 100)), 0, 1)


BLANK = {
    "white": np.ones((60, 50)),
    "black": np.zeros((60, 50)),
    "grey": np.full((28, 28), 0.5),
    "black, of MNIST's size": np.zeros((28, 28)),
    "one white pixel": np.ones((1, 1)),
    "one black pixel": np.zeros((1, 1)),
    "a row": np.full((1, 40), 0.3),
    "a column": np.full((40, 1), 0.3),
    "little noise": noise(0.02),
    "much noise": noise(0.1),
    "nothing but noise": np.random.default_rng(0).random((64, 64)),
}


@pytest.mark.parametrize("name", BLANK)
def test_a_blank_picture_has_no_digit(name: Any) -> None:
    grey = BLANK[name].astype(np.float32)
    for picture in (grey, 1 - grey):
        with pytest.raises(NoDigitFound, match="blank") as caught:
            normalize(picture)
        assert "\n" not in str(caught.value)


def test_a_faint_shade_at_one_end_is_no_digit() -> None:
    shade = np.linspace(0.97, 1, 80, dtype=np.float32)[None].repeat(50, 0)
    with pytest.raises(NoDigitFound):
        normalize(shade)


@pytest.mark.parametrize("darkest", [0.95, 0.9, 0.8, 0.5, 0.3])
def test_light_from_one_side_is_no_digit(darkest: float) -> None:
    ramp = np.linspace(darkest, 1, 200, dtype=np.float32)[None].repeat(150, 0)
    for picture in (ramp, ramp.T, 1 - ramp):
        with pytest.raises(NoDigitFound):
            normalize(picture)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_salt_and_pepper_are_no_digit(share: float) -> None:
    specks = (np.random.default_rng(0).random((200, 200)) < share).astype(np.float32)
    with pytest.raises(NoDigitFound):
        normalize(specks)


@pytest.mark.parametrize("digit", DIGITS)
def test_strong_noise_is_averaged_away(digit: Any) -> None:
    rng = np.random.default_rng(digit)
    clean = black_on_white(digit)
    noisy = np.clip(clean * 0.8 + 0.1 + 0.2 * rng.standard_normal(clean.shape), 0, 1)
    found, expected = normalize(np.asarray(noisy, np.float32)), normalize(clean)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("digit", DIGITS)
def test_specks_in_a_small_picture_are_mended(digit: Any) -> None:
    clean = black_on_white(digit, size=(32, 28), height=0.8, pen=0.16)
    rng = np.random.default_rng(digit)
    specks = rng.random(clean.shape)
    spoiled = np.where(specks < 0.06, 0, np.where(specks > 0.94, 1, clean)).astype(np.float32)
    found, expected = normalize(spoiled), normalize(clean)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.75


def test_a_line_of_one_pixel_is_no_speck() -> None:
    page = np.ones((28, 28), np.float32)
    page[4:24, 14] = 0
    assert (stages(page)["noise"] > 0.5).sum() == 20


def test_no_digit_is_an_error_of_the_input() -> None:
    assert issubclass(NoDigitFound, InputError)


@pytest.mark.parametrize("digit", DIGITS)
def test_a_digit_is_found_in_grain_that_hides_its_histogram(digit: Any) -> None:
    seen = 1 - 0.35 * ink(digit, (120, 110), height=0.6, pen=0.12)
    grain = np.random.default_rng(digit).normal(0, 0.15, seen.shape)
    noisy = np.clip(seen + grain, 0, 1).astype(np.float32)
    assert likeness(normalize(noisy), normalize(seen)) > 0.75


def test_grain_alone_is_no_digit() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for deviation in (0.03, 0.15):
            grain = np.clip(rng.normal(0.6, deviation, (120, 110)), 0, 1).astype(np.float32)
            with pytest.raises(NoDigitFound):
                normalize(grain)


@pytest.mark.parametrize("digit", DIGITS)
def test_what_lies_along_the_frame_may_be_darker_than_the_digit(digit: Any) -> None:
    seen = 1 - 0.3 * ink(digit, (150, 130), height=0.5, pen=0.12)
    beside = seen.copy()
    beside[:12, 30:90] = 0.05
    assert likeness(normalize(beside), normalize(seen)) > 0.9

"""Lessons 1, 2 and 13: what a network sees, MNIST's form, random variants; see ``gradients``."""

from __future__ import annotations

import numpy as np

from tinymnist.augmentation.resample import affine_maps, resample_affine
from tinymnist.imaging.digit.frame import SIDE, centre, centre_of_mass
from tinymnist.imaging.digit.paper import ink_darkness, ink_is_dark
from tinymnist.lessons.lesson import Cases, Lesson
from tinymnist.nn.arrays import Array


def white_on_black(picture: Array) -> Array:
    """Bring a grey picture to MNIST's range and polarity.

    A picture's pixels count from 0, black, to 255, white. MNIST is white ink on black, from 0 to 1,
    and a network that has seen only this reads nothing else. Most of a picture is paper, so its
    median is the paper's brightness. If that is nearer to the brightest pixel than to the darkest,
    the ink is dark, and the picture must be inverted.

    Args:
        picture: (h, w), uint8; paper of any brightness, with ink that is darker or lighter.

    Returns:
        ink: (h, w) floats, ``picture / 255`` or ``1 - picture / 255``.
    """
    grey = picture / 255
    return 1 - grey if ink_is_dark(grey.astype(np.float32)) else grey


def _white_on_black(wrong: str, picture: Array) -> Array:
    grey = picture / 255
    rules = {
        "never inverted": False,
        "always inverted": True,
        "paper compared with a fixed grey": np.median(grey) > 0.5,
    }
    if rules.get(wrong, np.median(grey) > (grey.min() + grey.max()) / 2):
        grey = -picture / 255 if wrong == "negative in 8 bits" else 1 - grey
    if wrong == "stretched contrast":
        grey = (grey - grey.min()) / np.ptp(grey)
    return grey * (255 if wrong == "forgotten division by 255" else 1)


def _grey_ones(rng: np.random.Generator) -> Cases:
    cases = {}
    for name, paper, ink, h, w in (
        ("black on white", 230, 30, 28, 28),
        ("white on black", 10, 240, 15, 13),
        ("black on dark paper", 100, 20, 20, 14),
        ("white on light paper", 160, 240, 13, 16),
    ):
        picture = np.full((h, w), paper, np.uint8) + rng.integers(0, 5, (h, w), np.uint8)
        picture[3:-3, w // 2 - 1 : w // 2 + 1] = picture[3:5, w // 2 - 3 : w // 2] = ink
        cases[f"{name}, {h}x{w}"] = (picture,)
    return cases


POLARITY = Lesson(
    "pixels and polarity", white_on_black, ("ink",), (ink_darkness, ink_is_dark), _white_on_black,
    _grey_ones,
    {
        "forgotten division by 255": "MNIST's pixels are from 0 to 1",
        "never inverted": "dark ink on light paper must become light on dark: 1 - grey",
        "always inverted": "light ink on dark paper is right already",
        "paper compared with a fixed grey": "compare it with this picture's own extremes",
        "negative in 8 bits": "-picture of uint8 wraps around to 256 - picture; divide first",
        "stretched contrast": "divide by 255, not by this picture's own range",
    },
)  # fmt: skip


def centre_by_mass(digit: Array) -> Array:
    """Put a digit into MNIST's frame of 28x28 pixels.

    MNIST's digits are 20 pixels long, and "centered in a 28x28 image by computing the center of
    mass of the pixels, and translating the image so as to position this point at the center". The
    centre of mass is ``(sum of i * ink[i, j], sum of j * ink[i, j]) / sum of ink[i, j]``, and it
    should come to (14, 14), as near as whole pixels allow: the digit's first row goes to row
    ``round(14 - centre row)``, and its first column likewise; but the digit stays in the frame.

    Args:
        digit: (h, w), its ink from 0 to 1, cut out closely; 20 is the longer side.

    Returns:
        image: (28, 28), 0 around the digit.
    """
    return centre(digit)


def _centre(wrong: str, digit: Array) -> Array:
    mass, (h, w) = digit > 0 if wrong == "ink counted, not weighed" else digit, digit.shape
    middle = [(mass.T @ np.arange(h)).sum() / mass.sum(), (mass @ np.arange(w)).sum() / mass.sum()]
    if wrong == "box in the middle":
        middle = [h / 2, w / 2]
    if wrong == "rows and columns swapped":
        middle = middle[::-1]
    whole = int if wrong == "cut off instead of rounded" else round
    if wrong == "moved the other way":
        middle = [h - middle[0], w - middle[1]]
    top, left = (whole(14 - at) for at in middle)
    top, left = min(max(top, 0), SIDE - h), min(max(left, 0), SIDE - w)
    return np.pad(digit, ((top, SIDE - h - top), (left, SIDE - w - left)))


def _lopsided(rng: np.random.Generator) -> Cases:
    cases = {}
    for h, w, slope in ((20, 12, 1), (13, 20, 0.3), (20, 20, 4), (20, 7, 2), (11, 20, 0.7)):
        ink = rng.random((h, w)) * np.outer(np.linspace(0, 1, h), np.linspace(0, 1, w)) ** slope
        cases[f"a digit of {h}x{w}"] = (np.where(ink > 0.05, ink, 0),)
    return cases


CENTRE = Lesson(
    "MNIST's form", centre_by_mass, ("image",), (centre_of_mass, centre), _centre, _lopsided,
    {
        "box in the middle": "the centre of mass comes to the middle, not that of the box",
        "rows and columns swapped": "the row comes from sums of i, the column from sums of j",
        "cut off instead of rounded": "int(3.8) is 3; use round",
        "moved the other way": "a centre below the middle of the box moves the digit up",
        "ink counted, not weighed": "a dark pixel has more mass than a light one",
    },
)  # fmt: skip


def rotate(picture: Array, degrees: float) -> Array:
    """Turn a picture about its middle, as random variants for training are made.

    Go through the pixels of the result, and ask where each comes from. With the middle
    ``m = (side - 1) / 2`` and the angle t, pixel (i, j) comes from
    ``row = m + cos(t) (i - m) + sin(t) (j - m)``, ``column = m - sin(t) (i - m) + cos(t) (j - m)``.
    That lies between four pixels: take ``(1 - a) (1 - b)``, ``(1 - a) b``, ``a (1 - b)`` and
    ``a b`` of them, with the fractions a and b of row and column. A place outside
    ``0..side - 1`` gives 0.

    Args:
        picture: (side, side).
        degrees: the angle t.

    Returns:
        turned: (side, side).
    """
    still = {name: np.zeros(1) for name in ("tx", "ty", "shear")}
    angle = {"theta": np.array([degrees]), "zx": np.ones(1), "zy": np.ones(1)}
    maps = affine_maps(still | angle, *picture.shape)
    return resample_affine(picture[None, :, :, None], maps, "constant")[0, :, :, 0]


def _rotate(wrong: str, picture: Array, degrees: float) -> Array:
    from scipy import ndimage  # its import takes as long as everything else

    t = degrees if wrong == "degrees as radians" else np.deg2rad(degrees)
    t = -t if wrong == "turned the other way" else t
    middles = {"turned about the corner": 0, "middle at side / 2": len(picture) / 2}
    m = middles.get(wrong, (len(picture) - 1) / 2)
    matrix = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    order = 0 if wrong == "nearest pixel" else 1
    mode = "nearest" if wrong == "edge repeated outside" else "constant"
    offset = m - matrix @ (m, m)
    return np.array(ndimage.affine_transform(picture, matrix, offset, order=order, mode=mode))


AUGMENTATION = Lesson(
    "augmentation", rotate, ("turned",), (affine_maps, resample_affine), _rotate,
    lambda rng: {
        f"{side}x{side} by {degrees:g} degrees": (rng.random((side, side)), degrees)
        for side, degrees in ((7, 20.0), (8, -35.0), (8, 0.0))
    },
    {
        "turned the other way": "ask where each pixel of the result comes from, not where it goes",
        "turned about the corner": "subtract the middle before turning, add it afterwards",
        "middle at side / 2": "pixels count from 0, so the middle is (side - 1) / 2",
        "degrees as radians": "cos and sin take radians: degrees * pi / 180",
        "nearest pixel": "mix the four pixels around the place instead of rounding it",
        "edge repeated outside": "a place outside the picture gives 0",
    },
)  # fmt: skip

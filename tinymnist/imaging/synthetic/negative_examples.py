"""Pictures that look a little like a digit but are not: a network should not be sure of them.

The network has to decide which pieces of touching digits are digits, and which result of the
recipe shows one. A network trained on digits alone takes everything for a digit (D. Hendrycks,
M. Mazeika and T. Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019), so some
training examples should not be digits, with equal probabilities for all classes as the target.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, fit_box
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds
from tinymnist.imaging.synthetic.styles import pen_stroke

_LETTERS = "AEFHKMNPRWXkmnrwx#%&*+@="
"""Printed letters and signs, without those that can be read as a digit."""


def negative_example(digits: Array, rng: np.random.Generator) -> Array:
    """Draw a picture that is not a digit.

    Args:
        digits: (n, 28, 28) in MNIST's form, used as material.
        rng: the source of randomness.

    Returns:
        (28, 28) float32 in 0..1, in MNIST's form; except for inverted pictures.
    """
    kind = rng.choice(len(KINDS), p=list(KINDS.values()))
    return list(KINDS)[kind](digits, rng)


def inverted(digits: Array, rng: np.random.Generator) -> Array:
    """A digit in the wrong polarity."""
    swapped: Array = 1 - digits[rng.integers(len(digits))]
    return swapped


def pair(digits: Array, rng: np.random.Generator) -> Array:
    """Two digits that touch, or one and a good part of its neighbour."""
    left, right = (d[bounds(d > 0.3)] for d in digits[rng.integers(len(digits), size=2)])
    canvas = np.zeros((SIDE, 2 * SIDE), np.float32)
    beside = max(left.shape[1] + int(rng.integers(-3, 2)), 0)
    for digit, start in ((left, 0), (right, beside)):
        top = int(np.clip((SIDE - digit.shape[0]) // 2 + rng.integers(-3, 4), 0, BOX // 2 - 2))
        room = canvas[top : top + digit.shape[0], start : start + digit.shape[1]]
        np.maximum(room, digit, out=room)
    whole = canvas[bounds(canvas > 0.3)]
    cut = round(rng.uniform(0.35, 0.5) * right.shape[1]) if rng.random() < 0.3 else 0
    return _formed(whole[:, : whole.shape[1] - cut])


def scribble(digits: Array, rng: np.random.Generator) -> Array:
    """A few meaningless strokes."""
    canvas = np.zeros((SIDE, SIDE), np.float32)
    radius = rng.uniform(0.7, 1.7)
    for _ in range(rng.integers(4, 8)):
        ends = rng.uniform(4, 24, (2, 2))
        np.maximum(canvas, pen_stroke(canvas.shape, ends, radius), out=canvas)
    return _formed(canvas)


def blot(digits: Array, rng: np.random.Generator) -> Array:
    """Clouds with hard or soft edges."""
    grey = clouds((SIDE, SIDE), int(rng.integers(3, 9)), rng)
    return _formed(np.clip((grey - rng.uniform(-0.3, 0.8)) / rng.uniform(0.1, 1), 0, 1))


def letter(digits: Array, rng: np.random.Generator) -> Array:
    """A printed letter or sign."""
    image = Image.new("L", (3 * SIDE, 3 * SIDE), 0)
    font = ImageFont.load_default(float(rng.integers(40, 60)))
    ImageDraw.Draw(image).text((12, 6), str(rng.choice(list(_LETTERS))), 255, font)
    return _formed(np.asarray(image, np.float32) / np.float32(255))


KINDS = {inverted: 0.25, pair: 0.4, scribble: 0.1, blot: 0.1, letter: 0.15}
"""Every kind and its probability: functions of the digits and the generator."""


def _formed(ink: Array) -> Array:
    """Bring ink to MNIST's form; an empty picture stays empty."""
    try:
        return centre(fit_box(ink))
    except NoDigitFound:
        return np.zeros((SIDE, SIDE), np.float32)

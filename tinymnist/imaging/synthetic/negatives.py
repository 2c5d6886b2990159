"""Negative examples: what looks a little like a digit, but is not one.

A network should not be sure of them. It has to decide which pieces of touching digits are digits,
which result of the recipe shows one, and whether a picture holds one at all. A network trained on
digits alone takes everything for a digit (D. Hendrycks, M. Mazeika and T. Dietterich, "Deep Anomaly
Detection with Outlier Exposure", ICLR 2019), so some training examples should not be digits, with
equal probabilities for all classes as the target.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, fit_box
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.lettering import lettering, turned
from tinymnist.imaging.synthetic.paint import clouds, curve, pen_stroke
from tinymnist.imaging.synthetic.scenes import render_and_renormalize

_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYacdefhijkmnprtuvwxy"
_SIGNS = "#%&*+@=$?!<>()-^~{}[]"
"""Without those that can be read as a digit: I, l, O, S, Z, b, g, q, / and |."""
_IN_WORDS = _LETTERS + "IlOoSsZzbgq0123456789"
_SHARE_OF_NUMBERS = 0.3  # of words
_SHARE_RENDERED = 0.5  # of what the recipe could not take for a picture of one digit


def negative_example(digits: Array, rng: np.random.Generator) -> Array:
    """Draw a picture (28, 28) that is not a digit, from digits (n, 28, 28) in MNIST's form.

    It is in MNIST's form too, except for inverted pictures.
    """
    kind = list(KINDS)[rng.choice(len(KINDS), p=list(KINDS.values()))]
    made = kind(digits, rng)
    can_render = kind not in _WITH_DIGITS and made.max() > 0.5
    if can_render and rng.random() < _SHARE_RENDERED:
        return render_and_renormalize(made, rng)
    return made


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


def scrawl(digits: Array, rng: np.random.Generator) -> Array:
    """A long line of loops and corners, as of a signature or of a pen that is tried out."""
    points = rng.uniform(4, 24, (int(rng.integers(6, 16)), 2))
    if rng.random() < 0.5:  # on its way to the right
        points[:, 1] = np.sort(points[:, 1])
    line = curve([(down, right) for down, right in points], steps=6)
    return _formed(pen_stroke((SIDE, SIDE), line, rng.uniform(0.6, 1.4)))


def letter(digits: Array, rng: np.random.Generator) -> Array:
    """A letter or sign."""
    return _formed(lettering(str(rng.choice(list(_LETTERS + _SIGNS))), rng))


def word(digits: Array, rng: np.random.Generator) -> Array:
    """Two to eight letters or digits side by side."""
    letters = "0123456789" if rng.random() < _SHARE_OF_NUMBERS else _IN_WORDS
    return _formed(lettering("".join(rng.choice(list(letters), int(rng.integers(2, 9)))), rng))


def shape(digits: Array, rng: np.random.Generator) -> Array:
    """A simple logo: a polygon, a star, a disc or a ring with a sign in it, or bars."""
    side = 3 * SIDE
    image = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(image)
    kind = rng.choice(["polygon", "star", "round", "bars"])
    if kind == "bars":
        for top in np.linspace(0.1, 0.8, int(rng.integers(2, 5))) * side:
            draw.rectangle((8, top, side - 8, top + rng.uniform(0.05, 0.12) * side), 255)
        return _formed(turned(image, rng))
    corners = 40 if kind == "round" else int(rng.integers(3, 6))
    angles = np.linspace(0, 2 * np.pi, 2 * corners, endpoint=False)
    reach = np.full(2 * corners, rng.uniform(0.3, 0.45) * side)
    reach[1::2] *= rng.uniform(0.3, 0.6) if kind == "star" else np.cos(np.pi / 2 / corners)
    outline = np.stack([side / 2 + reach * np.sin(angles), side / 2 - reach * np.cos(angles)], 1)
    points = [(right, down) for right, down in outline]
    is_full = bool(rng.random() < 0.4)
    if is_full:
        draw.polygon(points, fill=255)
    else:
        draw.line([*points, *points[:2]], 255, int(rng.integers(3, 9)), joint="curve")
    if kind == "round":  # a ring alone is a 0
        sign = lettering(str(rng.choice(list(_IN_WORDS + _SIGNS))), rng)
        inner = Image.fromarray(np.uint8(np.clip(sign, 0, 1) * 255))
        inner.thumbnail((round(reach[0]), round(reach[0])))
        left, top = ((side - own) // 2 for own in inner.size)
        image.paste(0 if is_full else 255, (left, top), inner)
    return _formed(turned(image, rng))


KINDS = {
    inverted: 0.1,
    pair: 0.2,
    scribble: 0.06,
    scrawl: 0.08,
    blot: 0.05,
    letter: 0.3,
    word: 0.12,
    shape: 0.09,
}
"""Every kind and its probability: functions of the digits and the generator."""
_WITH_DIGITS = {inverted, pair, word}


def _formed(ink: Array) -> Array:
    """Bring ink to MNIST's form; an empty picture stays empty."""
    try:
        return centre(fit_box(ink))
    except NoDigitFound:
        return np.zeros((SIDE, SIDE), np.float32)

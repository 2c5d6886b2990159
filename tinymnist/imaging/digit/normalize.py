"""One digit on any picture to MNIST's own form, stage by stage.

LeCun, Cortes and Burges made MNIST so (http://yann.lecun.com/exdb/mnist/): "The original black and
white (bilevel) images from NIST were size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio. The resulting images contain grey levels as a result of the anti-aliasing
technique used by the normalization algorithm. The images were centered in a 28x28 image by
computing the center of mass of the pixels, and translating the image so as to position this point
at the center of the 28x28 field." What that takes for granted (white ink, black paper, even
light, nothing else in the picture, a pen of the usual width) the stages before it bring about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.filters import resize, shrink, shrink_to_lines
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, centre_of_mass, deskew, fit_box
from tinymnist.imaging.digit.isolate import (
    Isolated,
    NoDigitFound,
    isolate_digit,
    no_digit_error,
    separate_marks,
    threshold,
)
from tinymnist.imaging.digit.paper import (
    COARSE_SIDE,
    denoise,
    ink_darkness,
    ink_is_dark,
    ink_map,
    is_empty,
)
from tinymnist.imaging.digit.rules import erase_box, erase_rules
from tinymnist.imaging.picture.otsu import median, split_at_otsu
from tinymnist.imaging.picture.pixels import Array

_WORKING_SIDE = 384  # pixels on the picture's longer side in which the digit is looked for
_SURE_DARKNESS = 0.6
"""The polarity is in doubt if the darkness of the ink, at most 1.25 either way, is below this."""

_NO_MARKS = np.zeros((0, SIDE, SIDE), np.float32)


def _unchanged(image: Array) -> Array:
    return image


def _centre_box(digit: Array) -> Array:
    """Put the box into the middle of the frame, wherever its mass is."""
    top, left = (SIDE - digit.shape[0]) // 2, (SIDE - digit.shape[1]) // 2
    image = np.zeros((SIDE, SIDE), np.float32)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image


STAGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "polarity": (lambda grey: grey if ink_is_dark(grey) else 1 - grey, _unchanged),
    "background": (ink_map, lambda grey: 1 - grey),
    "noise": (denoise, split_at_otsu),
    "threshold": (threshold, lambda split: split.picture),
    "rules": (erase_rules, _unchanged),
    "components": (isolate_digit, Isolated),
    "slant": (lambda found: deskew(found.picture), attrgetter("picture")),
    "box": (fit_box, lambda ink: np.clip(resize(ink, (SIDE, SIDE)), 0, 1)),  # whatever its shape
    "centre": (centre, _centre_box),
}
"""Name -> the stage's function, and its substitute if the stage is skipped.

Each takes what the one before returns: a picture (h, w), from "noise" to "threshold" one that is
split into ink and paper, and from "components" to "slant" the digit with what it was found among.
Up to "background" pictures are as displayed; after it, 1 is ink and 0 is paper.
"""
_OFF = ("slant",)
"""Skipped unless requested: a network trained on slanted digits reads them better as they are."""


def normalize(grey: Array, *, skip: Collection[str] = _OFF) -> Array:
    """Bring one digit to MNIST's form.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity, with one digit.
        skip: names of :data:`STAGES` to leave out; if it is empty, the digit is deskewed too.

    Returns:
        (28, 28) float32 in 0..1, white ink on black, a new array.

    Raises:
        NoDigitFound: if the picture is blank, or nothing stands out in it.
        ValueError: if there is no such stage.
    """
    return stages(grey, skip=skip)["centre"]


def stages(grey: Array, *, skip: Collection[str] = _OFF) -> dict[str, Array]:
    """Run the stages of :func:`normalize` and keep the picture (h, w) after each, by name.

    The first is "grey", the picture as it comes, reduced if it is large. Skipped stages are left
    out. A picture that is in MNIST's form already has only the first and the last. Arguments and
    errors are those of :func:`normalize`.
    """
    if unknown := sorted(set(skip) - set(STAGES)):
        raise ValueError(f"skip may name {list(STAGES)}. Received: {unknown}")
    if is_mnist(grey):
        return {"grey": grey, "centre": grey.astype(np.float32, copy=True)}
    try:
        return _stages(shrink(grey, _WORKING_SIDE), skip)
    except NoDigitFound:
        if max(grey.shape) <= _WORKING_SIDE:
            raise
        return _stages(shrink_to_lines(grey, _WORKING_SIDE), skip)  # hairlines are left


def _stages(image: Array, skip: Collection[str]) -> dict[str, Array]:
    coarse = shrink(image, COARSE_SIDE)
    if is_empty(coarse):
        raise no_digit_error()
    made = {"grey": image}
    if "polarity" not in skip:  # from the coarse picture, which is there already
        image = made["polarity"] = image if ink_is_dark(coarse) else 1 - image
    return made | _run_stages(image, {*skip, "polarity"})[0]


def _run_stages(image: Array, skip: Collection[str]) -> tuple[dict[str, Array], Isolated]:
    """The picture after each stage, and the digit as it was isolated."""
    made: dict[str, Array] = {}
    state: Any = image
    for name, (work, substitute) in STAGES.items():
        state = substitute(state) if name in skip else work(state)
        if name not in skip or name == "centre":
            made[name] = state if isinstance(state, np.ndarray) else state.picture
        if name == "components":
            found = state
    return made, found


class Readings(NamedTuple):
    """One picture in MNIST's form, in every way in which it may be understood.

    Attributes:
        whole: (k, 28, 28) float32 in 0..1, white ink on black, k from 1 to 6. The result of
            :func:`normalize` comes first.
        marks: (m, 28, 28), each mark alone, if several are beside each other, or m = 0.
        is_gathered: whether the first of ``whole`` holds all of those marks.
    """

    whole: Array
    marks: Array = _NO_MARKS
    is_gathered: bool = False


def readings(grey: Array) -> Readings:
    """Bring one digit to MNIST's form, in more than one way if the recipe is in doubt.

    A stage has to decide, and a later one cannot undo it. If two decisions are nearly as good, both
    are carried through to MNIST's form, and the network, which knows what digits look like, weighs
    them: it is sure only of digits, so each reading counts by the network's odds. The polarity may
    be the other one; ruled lines may be strokes; a box may touch its digit. And a picture of 28x28
    pixels may be a damaged one in MNIST's form, whose damage the recipe could take for ink; so it
    is also read as it is. Argument and errors are those of :func:`normalize`.
    """
    if is_mnist(grey):
        return Readings(grey[None].astype(np.float32, copy=True))
    try:
        return _readings(shrink(grey, _WORKING_SIDE))
    except NoDigitFound:
        if max(grey.shape) <= _WORKING_SIDE:
            raise
        return _readings(shrink_to_lines(grey, _WORKING_SIDE))  # hairlines are left


def _readings(image: Array) -> Readings:
    coarse = shrink(image, COARSE_SIDE)
    if is_empty(coarse):
        raise no_digit_error()
    darkness = ink_darkness(coarse)
    other = (*_OFF, "polarity")
    dark = image if darkness >= 0 else 1 - image
    made, found = _run_stages(dark, other)
    ways = [made["centre"]]
    in_doubt, may_be_prepared = abs(darkness) < _SURE_DARKNESS, image.shape == (SIDE, SIDE)
    if in_doubt or may_be_prepared:
        light = 1 - image if darkness >= 0 else image
    if in_doubt:
        with suppress(NoDigitFound):
            ways.append(normalize(light, skip=other))
    if made["rules"] is not made["threshold"]:
        with suppress(NoDigitFound):
            ways.append(_digit_of(isolate_digit(made["threshold"]).picture))
    if (opened := erase_box(made["components"])) is not made["components"]:
        with suppress(NoDigitFound):
            ways.append(_digit_of(isolate_digit(opened).picture))
    if may_be_prepared:
        ways += [light, dark] if in_doubt else [light]
    if found.parts is None or not (marks := separate_marks(made["rules"], found)):
        return Readings(np.array(ways))
    held = sum(bool((mark * made["components"]).any()) for mark in marks)
    return Readings(np.array(ways), np.stack([*map(_digit_of, marks)]), held == len(marks))


def _digit_of(ink: Array) -> Array:
    return centre(fit_box(ink))


def is_mnist(grey: Array) -> bool:
    """Whether a picture has MNIST's form: 28x28, black around a white digit of 20 in the middle."""
    if grey.shape != (SIDE, SIDE) or grey.max() < 0.9 or median(grey.ravel()) > 0:
        return False
    longest = max(grey[bounds(grey > 0)].shape)
    off_centre = np.abs(np.subtract(centre_of_mass(grey), SIDE / 2)).max()
    return bool(BOX - 1 <= longest <= BOX and off_centre < 1)

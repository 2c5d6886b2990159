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

import numpy as np

from tinymnist.imaging.digit.bounds import bounds
from tinymnist.imaging.digit.filters import resize, shrink
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, centre_of_mass, fit_box, upright
from tinymnist.imaging.digit.isolate import NoDigitFound, blank, keep_digit, threshold
from tinymnist.imaging.digit.paper import denoise, ink_is_dark, ink_map, is_empty, median
from tinymnist.imaging.digit.rules import erase_rules
from tinymnist.imaging.picture.pixels import Array

__all__ = ["STAGES", "NoDigitFound", "is_mnist", "normalize", "stages"]

_WORKING_SIDE = 384
"""Pixels on the longer side of the picture in which the digit is looked for."""


def dark_on_light(grey: Array) -> Array:
    """Invert a picture with light ink on dark paper."""
    return grey if ink_is_dark(grey) else 1 - grey


def _as_it_is(image: Array) -> Array:
    return image


def _inverted(grey: Array) -> Array:
    return 1 - grey


def _squeezed(ink: Array) -> Array:
    """The whole picture into the frame, whatever its shape."""
    return np.clip(resize(ink, (SIDE, SIDE)), 0, 1)


def _in_the_middle(digit: Array) -> Array:
    """The box into the middle of the frame, wherever its mass is."""
    top, left = ((SIDE - side) // 2 for side in digit.shape)
    image = np.zeros((SIDE, SIDE), np.float32)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image


STAGES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "polarity": (dark_on_light, _as_it_is),
    "background": (ink_map, _inverted),
    "noise": (denoise, _as_it_is),
    "threshold": (threshold, _as_it_is),
    "rules": (erase_rules, _as_it_is),
    "components": (keep_digit, _as_it_is),
    "slant": (upright, _as_it_is),
    "box": (fit_box, _squeezed),
    "centre": (centre, _in_the_middle),
}
"""Name -> what the stage does, and what happens instead where it is switched off. Up to
"background" pictures are as displayed; after it, 1 is ink and 0 is paper."""
_OFF = ("slant",)
"""Off unless asked for: a network that has seen slanted digits reads them better as they are."""


def normalize(grey: Array, *, skip: Collection[str] = _OFF) -> Array:
    """Bring one digit to MNIST's form.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity, with one digit.
        skip: names of :data:`STAGES` to be left out; an empty one takes the slant away too.

    Returns:
        (28, 28) float32 in 0..1, white ink on black, a new array.

    Raises:
        NoDigitFound: when the picture is blank, or nothing stands out in it.
        ValueError: when there is no such stage.
    """
    return stages(grey, skip=skip)["centre"]


def stages(grey: Array, *, skip: Collection[str] = _OFF) -> dict[str, Array]:
    """The stages of :func:`normalize`, in order, by name: each the (h, w) picture after it.

    The first is "grey", the picture as it comes, reduced where it is large. Stages that are
    skipped are left out. A picture that is in MNIST's form already has only the first and the
    last.

    Args:
        grey, skip: as for :func:`normalize`.

    Raises:
        NoDigitFound, ValueError: as :func:`normalize`.
    """
    if unknown := sorted(set(skip) - set(STAGES)):
        raise ValueError(f"skip may name {list(STAGES)}. Received: {unknown}")
    image = shrink(grey, _WORKING_SIDE)
    made = {"grey": image}
    if is_mnist(grey):
        return made | {"centre": grey.astype(np.float32, copy=True)}
    if is_empty(image):
        raise blank()
    for name, (work, instead) in STAGES.items():
        image = instead(image) if name in skip else work(image)
        if name not in skip or name == "centre":
            made[name] = image
    return made


def is_mnist(grey: Array) -> bool:
    """Whether a picture has MNIST's form: 28x28, black around a white digit of 20 in the middle."""
    if grey.shape != (SIDE, SIDE) or grey.max() < 0.9 or median(grey.ravel()) > 0:
        return False
    longest = max(grey[bounds(grey > 0)].shape)
    off_centre = np.abs(np.subtract(centre_of_mass(grey), SIDE / 2)).max()
    return bool(BOX - 1 <= longest <= BOX and off_centre < 1)

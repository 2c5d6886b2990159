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

import numpy as np
from PIL.Image import Resampling

from tinymnist.errors import InputError
from tinymnist.imaging.components import Components, Index, Mask, find_components
from tinymnist.imaging.filters import resize, shrink
from tinymnist.imaging.paper import ink_is_dark, ink_map, otsu
from tinymnist.imaging.pixels import Array
from tinymnist.imaging.strokes import MNIST_WIDTHS, with_stroke_width

SIDE = 28
BOX = 20
_WORKING_SIDE = 512
"""Pixels on the longer side of the picture in which the digit is looked for."""
_FINE = 4
"""The digit is drawn this much larger than the box before it is reduced."""
_FAINTEST = 0.06
"""Ink that takes away less of the paper's light is no ink."""
_SOFT = (0.25, 0.75)
"""Where, between paper (0) and ink (1), a soft edge begins and where it is full ink."""
_SPECK = 0.02
_FRAGMENT_GAP = 0.25


class NoDigitFound(InputError):
    """The picture is blank, or what is on it cannot be a digit."""


def normalize(grey: Array) -> Array:
    """Bring one digit to MNIST's form.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity, with one digit.

    Returns:
        (28, 28) float32 in 0..1, white ink on black, a new array.

    Raises:
        NoDigitFound: when the picture is blank.
    """
    return stages(grey)["centred"]


def stages(grey: Array) -> dict[str, Array]:
    """The stages of :func:`normalize`, in order, by name: each the (h, w) picture after it.

    A picture that is in MNIST's form already has only the first and the last.

    Raises:
        NoDigitFound: when the picture is blank.
    """
    made = {"grey": shrink(grey, _WORKING_SIDE)}
    if is_mnist(grey):
        return made | {"centred": grey.astype(np.float32, copy=True)}
    made["dark ink"] = dark_on_light(made["grey"])
    made["flat paper"] = ink_map(made["dark ink"])
    made["clear ink"] = threshold(made["flat paper"])
    made["one digit"] = keep_digit(made["clear ink"])
    made["boxed"] = fit_box(made["one digit"])
    made["centred"] = centre(made["boxed"])
    return made


def is_mnist(grey: Array) -> bool:
    """Whether a picture has MNIST's form: 28x28, black around a white digit of 20 in the middle."""
    if grey.shape != (SIDE, SIDE) or grey.max() < 0.9 or np.median(grey) > 0:
        return False
    rows, columns = (np.flatnonzero((grey > 0).any(axis)) for axis in (1, 0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    off_centre = np.abs(np.subtract(_centre_of_mass(grey), SIDE / 2)).max()
    return bool(BOX - 1 <= longest <= BOX and off_centre < 1)


def dark_on_light(grey: Array) -> Array:
    """Invert a picture with light ink on dark paper."""
    return grey if ink_is_dark(grey) else 1 - grey


def threshold(ink: Array) -> Array:
    """Clear the paper and fill the ink, and leave the edges between them soft.

    Raises:
        NoDigitFound: when ink and paper are too much alike.
    """
    level, _ = otsu(ink)
    inked = ink > level
    if inked.all() or not inked.any():  # a black picture is all ink
        raise _blank()
    paper, full = float(np.median(ink[~inked])), float(np.median(ink[inked]))
    if full - paper < max(_FAINTEST, 4 * _noise(ink[~inked])):
        raise _blank()
    low, high = (paper + (full - paper) * share for share in _SOFT)
    clear: Array = np.clip((ink - low) / (high - low), 0, 1)
    return clear


def keep_digit(ink: Array) -> Array:
    """Drop specks, fragments of the frame and whatever else lies apart from the digit.

    Raises:
        NoDigitFound: when nothing is left.
    """
    parts = find_components(ink > 0)
    if len(parts.boxes) == 0:
        raise _blank()
    mass = np.bincount(parts.labels[parts.labels >= 0], ink[parts.labels >= 0])
    at_frame = _share_of_frame(parts)
    main = int(np.argmax(mass * (1 - at_frame) ** 8))
    candidates = (mass >= _SPECK * mass[main]) & ((at_frame == 0) | (at_frame[main] > 0))
    kept = np.append(_gather(parts.boxes, main, candidates), False)  # label -1 is the paper
    digit: Array = ink * kept[parts.labels]
    return digit


def fit_box(ink: Array) -> Array:
    """Cut the digit out and scale it to fit 20x20; strokes come to MNIST's width on the way.

    Returns:
        (h, w), the longer side of 20 pixels.
    """
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    if rows.size == 0:
        raise _blank()
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    fine = np.clip(resize(digit, _fitted(digit.shape, BOX * _FINE)), 0, 1)
    narrowest, widest = (width * _FINE for width in MNIST_WIDTHS)
    fine = with_stroke_width(np.pad(fine, _FINE * 2), narrowest, widest)
    rows, columns = (np.flatnonzero((fine > 0.5).any(axis)) for axis in (1, 0))
    if rows.size:
        fine = fine[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    boxed = resize(fine, _fitted(fine.shape, BOX), Resampling.BOX)
    bright: Array = np.clip(boxed / boxed.max(), 0, 1)
    return bright


def centre(digit: Array) -> Array:
    """Put the centre of mass into the middle, as near as whole pixels allow: (28, 28)."""
    image = np.zeros((SIDE, SIDE), np.float32)
    corner = [
        int(np.clip(round(SIDE / 2 - mass), 0, SIDE - size))
        for mass, size in zip(_centre_of_mass(digit), digit.shape, strict=True)
    ]
    image[corner[0] : corner[0] + digit.shape[0], corner[1] : corner[1] + digit.shape[1]] = digit
    return image


def _blank() -> NoDigitFound:
    return NoDigitFound("no digit found: the picture is blank")


def _noise(paper: Array) -> float:
    """The standard deviation of noise, by the median, which strokes and shadows do not move."""
    return 1.4826 * float(np.median(np.abs(paper - np.median(paper))))


def _share_of_frame(parts: Components) -> Array:
    """What share of the picture's frame each component covers."""
    labels = parts.labels
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    counts = np.bincount(frame[frame >= 0], minlength=len(parts.boxes))
    return (counts / frame.size).astype(np.float32)


def _gather(boxes: Index, main: int, candidates: Mask) -> Mask:
    """The main component and those that lie near it, or near what was gathered before."""
    kept: Mask = np.arange(len(boxes)) == main
    while True:
        box = np.concatenate([boxes[kept, :2].min(0), boxes[kept, 2:].max(0)])
        reach = _FRAGMENT_GAP * max(box[2] - box[0], box[3] - box[1])
        gap = np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]).max(1)
        near = kept | candidates & (gap <= reach)
        if np.array_equal(near, kept):
            return kept
        kept = near


def _fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Scale a shape, so that its longer side is ``side`` and none is below 1."""
    scale = side / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _centre_of_mass(ink: Array) -> tuple[float, float]:
    total = float(ink.sum())
    vertical = float(ink.sum(1) @ np.arange(ink.shape[0])) / total
    return vertical, float(ink.sum(0) @ np.arange(ink.shape[1])) / total

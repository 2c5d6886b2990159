"""One mismatch to MNIST at a time: a picture as the tutorials make it, with some things repaired.

The recipe of :mod:`tinymnist.imaging.digit.normalize` repairs everything at once. Here each repair
can be made alone, and any of them together, to measure what each is worth. Without any, a picture
is what recipe ``resize`` makes of it; with all, nearly what recipe ``mnist`` does.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinymnist.diagnosis.ink_and_paper import InkAndPaper, Window, box_of, view, window
from tinymnist.imaging.digit.frame import BOX, MNIST_WIDTHS, SIDE, with_stroke_width
from tinymnist.imaging.picture.pixels import Array

REPAIRS = {
    "polarity": "dark ink on light paper is inverted",
    "paper": "paper becomes even and black; noise and all other marks go",
    "size": "the digit's longer side becomes 20 of 28 pixels, its proportions and place kept",
    "position": "the centre of mass comes to the middle",
    "stroke": "strokes grow or shrink to MNIST's width",
    "intensity": "paper is stretched to black and ink to white",
}
"""Name -> what it does, in the order in which they are made one after the other."""

Repairs = frozenset[str]


def _subsets(names: Iterable[str]) -> list[Repairs]:
    subsets: list[Repairs] = [frozenset()]
    for name in names:
        subsets += [subset | {name} for subset in subsets]
    return subsets


PLANS = _subsets(REPAIRS)
"""Every set of repairs: none, each alone, any two ... all six; 64 of them."""
NONE, EVERY = PLANS[0], PLANS[-1]


def in_sequence(name: str) -> Repairs:
    """A repair and those before it."""
    names = list(REPAIRS)
    return frozenset(names[: names.index(name) + 1])


def every_repair(parts: InkAndPaper, squeezed: Array) -> dict[Repairs, Array]:
    """The input of a network, (28, 28) float32 in 0..1, after each of the 64 sets of repairs.

    ``squeezed`` is the result of recipe ``resize``. A picture that already has MNIST's form stays
    the same.
    """
    if parts.is_mnist:
        return dict.fromkeys(PLANS, squeezed)
    pictures: dict[Repairs, Array] = {}
    for moves in _subsets(("size", "position", "stroke")):
        scene = _scene(parts, squeezed, moves)
        for lights in _subsets(("paper", "intensity")):
            light = np.clip(_lit(parts, scene, lights), 0, 1)
            pictures[moves | lights | {"polarity"}] = light
            pictures[moves | lights] = 1 - light if parts.is_dark else light
    pictures[NONE] = squeezed  # inverted twice, its last bits might differ
    return {plan: pictures[plan] for plan in PLANS}


def _scene(parts: InkAndPaper, squeezed: Array, moves: Repairs) -> tuple[Array, Array, Array]:
    """A part of the picture at 28x28: its light as it is, its ink alone, and the ink repaired."""
    fitted, centred, redraws = (name in moves for name in ("size", "position", "stroke"))
    drawn, corner = _redrawn(parts, fitted) if redraws else (parts.ink, (0, 0))
    box: Window = parts.box
    if fitted and redraws and (drawn > 0.5).any():
        down, across = corner
        top, left, bottom, right = box_of(drawn)
        box = (top + down, left + across, bottom + down, right + across)
    part = window(parts, box, fitted=fitted, centred=centred)
    if fitted or centred:
        light = view(parts.light, part, parts.paper)
    else:
        light = 1 - squeezed if parts.is_dark else squeezed
    ink = view(parts.ink, part, 0)
    return light, ink, view(drawn, part, 0, corner) if redraws else ink


def _redrawn(parts: InkAndPaper, fitted: bool) -> tuple[Array, tuple[int, int]]:
    """The digit with MNIST's stroke width, and where in the frame the corner of that array is."""
    height, width = parts.ink.shape
    scale = parts.longest / BOX if fitted else float(np.sqrt(height * width)) / SIDE
    narrowest, widest = (limit * scale for limit in MNIST_WIDTHS)
    margin = int(np.ceil(narrowest / 2)) + 2
    top, left, bottom, right = parts.box
    first, second = max(0, top - 1), max(0, left - 1)  # soft edges are outside of the box
    digit = np.pad(parts.ink[first : bottom + 1, second : right + 1], margin)
    return with_stroke_width(digit, narrowest, widest), (first - margin, second - margin)


def _lit(parts: InkAndPaper, scene: tuple[Array, Array, Array], lights: Repairs) -> Array:
    """Light ink, on clean paper or on the paper that is there; stretched or not."""
    light, ink, drawn = scene
    if "paper" in lights:
        picture, floor = parts.full * drawn, 0.0
    else:  # the paper as it is, and the ink that the strokes gained or lost
        picture, floor = light + (parts.full - parts.paper) * (drawn - ink), parts.paper
    brightest = float(drawn.max())
    if "intensity" not in lights or brightest <= 0:
        return picture
    full = float(picture[drawn >= 0.5 * brightest].max())
    return (picture - floor) / max(full - floor, 0.01)

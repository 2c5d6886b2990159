"""The ink of a whole page: even light, one level between ink and paper, and no ruled lines.

A page differs from a picture of one digit: its strokes are narrow against the frame, they cover
perhaps a hundredth of it, and tables, shadows and fingers lie around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.digit.components import Mask, find_components
from tinymnist.imaging.digit.filters import bordered, maximum, minimum, shrink
from tinymnist.imaging.digit.isolate import NoDigitFound, blank
from tinymnist.imaging.digit.paper import ink_is_dark, ink_map, noise_level, otsu, ridge_darkness
from tinymnist.imaging.digit.rules import without_rules
from tinymnist.imaging.page.outline import outlined
from tinymnist.imaging.picture.pixels import Array

_FINE, _UNDECIDED = 256, 0.25
"""Pixels on the longer side of the page in which dark and light strokes are compared, and the
balance of them up to which the page as a whole decides."""
_WIDEST_STROKE = 0.08
"""No stroke on a page is wider than this share of the frame; what is wider is part of the table."""
_LOST = 0.1
"""Strokes that lose more of their area to that limit are those of one large digit."""
_DARKEST_PAPER = 0.25
_FAINTEST = 0.06
"""Ink that takes away less of the paper's light is no ink."""
_MOST_PASSES = 3
_SMALL_NOISE = 0.004
_CLEAR, _NOISES = 10, 6
"""In standard deviations of the noise: ink that differs less from the paper calls for smoothing,
and what then differs less than the second is no ink."""
_MUCH_INK, _APART = 0.4, 0.8
"""Where more than this share of the picture is ink, its median need not be paper. It is ink if
this share of the variance lies between it and the rest; in noise, 2 / pi does."""
_EDGE = 0.3
"""Where, between paper (0) and ink (1), a stroke ends that somewhere is more than half ink."""


@dataclass(frozen=True)
class PageInk:
    """What is written on a page.

    Attributes:
        flat: (h, w) float32, how much of the paper's light is taken away, 0..1.
        mask: (h, w) bool, where there is ink.
        dark: (h, w) float32, the page with ink that is darker than paper.
        paper: (h, w) float32, how light it would be without ink.
    """

    flat: Array
    mask: Mask
    dark: Array
    paper: Array


def page_ink(grey: Array) -> PageInk:
    """Find the ink of a page.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity.

    Raises:
        NoDigitFound: when the page is blank.
    """
    dark = grey if _ink_is_dark(grey) else 1 - grey
    wide, narrow = ink_map(dark), narrow_ink(dark)
    try:
        page = _inked(narrow, dark)
    except NoDigitFound:
        return _inked(wide, dark)
    try:
        other = _inked(wide, dark)
    except NoDigitFound:
        return page
    fuller = np.count_nonzero(other.mask) >= np.count_nonzero(page.mask)
    return other if fuller and _hollow(page.mask, other.mask) else page


def _ink_is_dark(grey: Array) -> bool:
    """Whether a page is dark on light; a shadow or a dark desk may cover most of it."""
    strokes = ridge_darkness(shrink(grey, _FINE))
    return strokes > 0 if abs(strokes) > _UNDECIDED else ink_is_dark(grey)


def narrow_ink(dark: Array) -> Array:
    """As :func:`tinymnist.imaging.digit.paper.ink_map`, for strokes that are narrow on the page.

    The brightest of many noisy pixels is far too bright, so the paper is taken from a picture
    that is smoothed until its noise is small.
    """
    smooth = dark
    for _ in range(_MOST_PASSES):
        if min(dark.shape) < 3 or noise_level(smooth) < _SMALL_NOISE:
            break
        smooth = _blurred(smooth)
    radius = max(1, round(_WIDEST_STROKE * max(dark.shape) / 2))
    paper = minimum(maximum(smooth, radius), radius)
    paper = np.maximum(paper, _DARKEST_PAPER * paper.max() + 1e-6)
    ink: Array = np.clip(1 - dark / paper, 0, 1)
    return ink


def _hollow(narrow: Mask, wide: Mask) -> bool:
    """Whether strokes lost much of their ink because they are wider than a page's."""
    parts = find_components(wide)
    if len(parts.boxes) == 0:
        return False
    area = np.bincount(parts.labels[wide], minlength=len(parts.boxes))
    left = np.bincount(parts.labels[wide & narrow], minlength=len(parts.boxes))
    boxes, (height, width) = parts.boxes, wide.shape
    inside = (boxes[:, :2] > 0).all(1) & (boxes[:, 2] < height) & (boxes[:, 3] < width)
    if not inside.any():  # a digit that fills the frame, or an object beside nothing
        inside = ~inside
    main = int(np.argmax(area * inside))
    return bool(left[main] < (1 - _LOST) * area[main])


def _inked(flat: Array, dark: Array) -> PageInk:
    light = np.minimum(dark / np.maximum(1 - flat, np.float32(1e-3)), 1)
    for _ in range(_MOST_PASSES):
        flat, paper, noise, full = _clear(flat)
        edge = max(paper + _EDGE * (full - paper), paper + 3 * noise)
        parts = find_components(without_rules(flat > edge))
        kept = outlined(parts, dark, light)
        if kept.all():
            break
        # Other things may be darker than ink: its level is found without them.
        flat = np.where(np.append(~kept, False)[parts.labels], np.float32(paper), flat)
    inked = (parts.labels >= 0) & (flat > (paper + full) / 2)
    kept &= np.bincount(parts.labels[inked], minlength=len(kept)) > 0
    if not kept.any():
        raise blank()
    mask = np.append(kept, False)[parts.labels]  # label -1 is the paper
    return PageInk(np.clip(flat - paper, 0, 1), mask, dark, light)


def _clear(flat: Array) -> tuple[Array, float, float, float]:
    """Ink whose noise is small, and its levels."""
    paper, noise, full = _levels(flat)
    for _ in range(_MOST_PASSES):
        if full - paper >= _CLEAR * noise:
            break
        flat = _blurred(flat)
        paper, noise, full = _levels(flat)
    if full - paper < _NOISES * noise:
        raise blank()
    return flat, paper, noise, full


def _levels(flat: Array) -> tuple[float, float, float]:
    """Median of the paper, its noise (standard deviation) and the median of full ink."""
    level, apart = otsu(flat)
    full = apart > _APART and np.mean(flat > level) > _MUCH_INK
    below = flat[flat <= level] if full else flat
    paper = float(np.median(below))
    noise = 1.4826 * float(np.median(np.abs(below - paper)))
    dark = flat[flat > paper + max(_FAINTEST, 4 * noise)]
    if dark.size < 4:
        raise blank()
    level, _ = otsu(dark)
    return paper, noise, float(np.median(dark[dark >= min(level, dark.max())]))


def _blurred(flat: Array) -> Array:
    """The mean of 3x3 pixels: noise falls to a third, and strokes of two pixels stay."""
    height = flat.shape[0]
    padded = bordered(flat, 1)
    across = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    mean: Array = (across[:height] + across[1 : height + 1] + across[2:]) / 9
    return mean

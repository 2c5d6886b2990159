"""The ink of a whole page: even light, one level between ink and paper, and no ruled lines.

A page differs from a picture of one digit: its strokes are narrow compared with the frame, they
cover perhaps a hundredth of it, and tables, shadows and fingers lie around them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.digit.components import Components, Mask, find_components, surrounding_box
from tinymnist.imaging.digit.filters import average, maximum, minimum, shrink
from tinymnist.imaging.digit.isolate import NoDigitFound, no_digit_error
from tinymnist.imaging.digit.paper import (
    ink_is_dark,
    ink_map,
    light_taken,
    ridge_darkness,
)
from tinymnist.imaging.digit.rules import erase_page_rules
from tinymnist.imaging.picture.otsu import otsu_level
from tinymnist.imaging.picture.pixels import Array

_FINE_SIDE = 256  # pixels of the page's longer side where dark and light strokes are compared
_CLEAR_BALANCE = 0.25  # strokes decide the polarity if their balance (-1..1) is further from 0
_WIDEST_STROKE = 0.08  # strokes are at most this share of the page wide; wider is the table
_MAX_LOST = 0.1
"""Strokes that lose a larger share of their area to that limit are those of one large digit."""
_MIN_INK = 0.06  # ink takes away at least this share of the paper's light
_MAX_PASSES = 3  # times that a page is smoothed, or its ink searched again
_MAX_PAPER_NOISE = 0.004
"""Standard deviation of noise that hardly moves the estimate of the paper's brightness."""
_CLEAR_NOISES = 10
"""Ink that differs from the paper by fewer standard deviations of the noise calls for smoothing,"""
_MIN_NOISES = 6  # and if it then differs by fewer than this, there is no ink
_NORMAL_SPREAD = 1.4826  # standard deviation of normal numbers over the median of their size
_MUCH_INK = 0.4
"""If more than this share of the picture is ink, its median need not be paper. It is ink if the"""
_CLEAR_SURENESS = 0.8  # sureness of Otsu's split is more than this; in noise, it is 2 / pi
_STRIP_ASPECT, _STRIP_STEP = 5, 4
"""A page that is longer than this, in its shorter sides, is searched in parts as long as this."""
_EDGE = 0.3  # between paper (0) and ink (1), the level at which a stroke ends
_REACH = 3  # pixels from a mark to where paper is looked for; the first may be a soft edge
_MIN_LIGHTER = 0.5
"""From ink (0) to paper (1), how much lighter than the nearest ink the surroundings must be,"""
_MIN_OUTLINE = 0.75  # on this share of the outline; neighbours and the page's edge do not count


@dataclass(frozen=True)
class PageInk:
    """What is written on a page, (h, w) each."""

    flat: Array  # how much of the paper's light is taken away, 0..1
    mask: Mask  # where there is ink
    dark: Array  # the page with ink that is darker than paper
    paper: Array  # how light it would be without ink


def page_ink(grey: Array) -> PageInk:
    """Find the ink of a page (h, w) in 0..1 as displayed; NoDigitFound if it is blank."""
    dark = dark_on_light(grey)
    height, width = dark.shape
    if width > _STRIP_ASPECT * height:
        return _ink_of_strip(dark)
    if height > _STRIP_ASPECT * width:
        upright = _ink_of_strip(dark.T)
        return PageInk(upright.flat.T, upright.mask.T, upright.dark.T, upright.paper.T)
    return _ink_of(dark)


def _ink_of_strip(dark: Array) -> PageInk:
    """Find ink (h, w) part by part: the length of a strip says nothing about its strokes."""
    height, width = dark.shape
    found = PageInk(np.zeros_like(dark), np.zeros(dark.shape, bool), dark, dark.copy())
    step = _STRIP_STEP * height
    for start in range(0, width, step):
        first, end = max(start - height, 0), min(start + step + height, width)
        own, inside = slice(start, min(start + step, width)), slice(start - first, None)
        with suppress(NoDigitFound):
            part = _ink_of(dark[:, first:end])
            for whole, piece in (
                (found.flat, part.flat),
                (found.mask, part.mask),
                (found.paper, part.paper),
            ):
                whole[:, own] = piece[:, inside][:, : own.stop - own.start]
    if not found.mask.any():
        raise no_digit_error()
    return found


def _ink_of(dark: Array) -> PageInk:
    """Find the ink of a page (h, w) that is darker than the paper."""
    passes = _MAX_PASSES if min(dark.shape) >= 3 else 0
    narrow_ink = light_taken(dark, _WIDEST_STROKE, _MAX_PAPER_NOISE, passes)
    found: list[PageInk] = []
    for flat in (narrow_ink, ink_map(dark)):
        with suppress(NoDigitFound):
            found.append(_find_ink(flat, dark))
    if not found:
        raise no_digit_error()
    narrow, wide = found[0], found[-1]
    fuller = np.count_nonzero(wide.mask) >= np.count_nonzero(narrow.mask)
    return wide if fuller and _is_hollow(narrow.mask, wide.mask) else narrow


def find_outlined(parts: Components, dark: Array, paper: Array) -> Mask:
    """Find which of n marks are darker than their surroundings: (n,).

    Strokes are. But a page's paper is found by filling what is dark and narrow, so the corner of a
    desk, the tip of a telephone or the edge of its shadow is taken for ink if it is narrow enough.
    There the darkness goes on beyond the mark. ``dark`` and ``paper`` are as in :class:`PageInk`.
    """
    if len(parts.boxes) == 0:
        return np.zeros(0, bool)
    top, left, bottom, right = surrounding_box(parts.boxes)
    top, left = max(top - _REACH, 0), max(left - _REACH, 0)
    window = slice(top, bottom + _REACH), slice(left, right + _REACH)
    labels, dark, paper = parts.labels[window], dark[window], paper[window]
    mask, count = labels >= 0, len(parts.boxes)
    ink = minimum(np.where(mask, dark, np.float32(1)), _REACH)
    light = maximum(np.where(mask, paper, np.float32(0)), _REACH)
    nearest = maximum(labels.astype(np.float32), _REACH).astype(np.intp)
    around = (nearest >= 0) & ~(maximum(mask.astype(np.float32), 1) > 0)
    clear = around & (dark > ink + _MIN_LIGHTER * (light - ink))
    length = np.bincount(nearest[around], minlength=count)
    enough: Mask = np.bincount(nearest[clear], minlength=count) >= _MIN_OUTLINE * length
    return enough


def dark_on_light(grey: Array) -> Array:
    """The page (h, w) as it is if its ink is dark, else its negative."""
    return grey if _ink_is_dark(grey) else 1 - grey


def _ink_is_dark(grey: Array) -> bool:
    """Whether a page is dark on light; a shadow or a dark desk may cover most of it."""
    height, width = grey.shape
    if width > _STRIP_ASPECT * height:  # so that it is not reduced to a line; a sample is enough
        middle = (width - _STRIP_STEP * height) // 2
        return _ink_is_dark(grey[:, middle : middle + _STRIP_STEP * height])
    if height > _STRIP_ASPECT * width:
        return _ink_is_dark(grey.T)
    balance = ridge_darkness(shrink(grey, _FINE_SIDE))
    return balance > 0 if abs(balance) > _CLEAR_BALANCE else ink_is_dark(grey)


def _is_hollow(narrow: Mask, wide: Mask) -> bool:
    """Whether strokes lost much of their ink because they are wider than a page's."""
    parts = find_components(wide)
    area, left = parts.count(wide), parts.count(wide & narrow)
    boxes, (height, width) = parts.boxes, wide.shape
    inside = (boxes[:, :2] > 0).all(1) & (boxes[:, 2] < height) & (boxes[:, 3] < width)
    if not inside.any():  # a digit that fills the frame, or an object and nothing else
        inside = ~inside
    main = int(np.argmax(area * inside))
    return bool(left[main] < (1 - _MAX_LOST) * area[main])


def _find_ink(flat: Array, dark: Array) -> PageInk:
    light = np.minimum(dark / np.maximum(1 - flat, np.float32(1e-3)), 1)
    for _ in range(_MAX_PASSES):
        flat, paper, noise, full = _clear_noise(flat)
        edge = max(paper + _EDGE * (full - paper), paper + 3 * noise)
        parts = find_components(erase_page_rules(flat > edge))
        kept = find_outlined(parts, dark, light)
        if kept.all():
            break
        # Other things may be darker than ink: its level is found without them.
        flat = np.where(parts.pixels(~kept), np.float32(paper), flat)
    is_full = (parts.labels >= 0) & (flat > (paper + full) / 2)
    kept &= parts.count(is_full) > 0
    if not kept.any():
        raise no_digit_error()
    return PageInk(np.clip(flat - paper, 0, 1), parts.pixels(kept), dark, light)


def _clear_noise(flat: Array) -> tuple[Array, float, float, float]:
    """Smooth ink until its noise is small; returns it with its :func:`_levels`."""
    paper, noise, full = _levels(flat)
    for _ in range(_MAX_PASSES):
        if full - paper >= _CLEAR_NOISES * noise:
            break
        flat = average(flat)
        paper, noise, full = _levels(flat)
    if full - paper < _MIN_NOISES * noise:
        raise no_digit_error()
    return flat, paper, noise, full


def _levels(flat: Array) -> tuple[float, float, float]:
    """Median of the paper, its noise (standard deviation) and the median of full ink."""
    level, sureness = otsu_level(flat)
    is_mostly_ink = sureness > _CLEAR_SURENESS and np.mean(flat > level) > _MUCH_INK
    below = flat[flat <= level] if is_mostly_ink else flat
    paper = float(np.median(below))
    noise = _NORMAL_SPREAD * float(np.median(np.abs(below - paper)))
    dark = flat[flat > paper + max(_MIN_INK, 4 * noise)]
    if dark.size < 4:
        raise no_digit_error()
    level, _ = otsu_level(dark)
    return paper, noise, float(np.median(dark[dark >= min(level, dark.max())]))

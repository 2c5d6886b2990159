"""Ways of writing that are rare in MNIST, added to its digits or drawn from scratch.

Most of the world writes a 1 with an upstroke from the lower left, often half as long as the stem,
and some with a foot; many cross the 7; some write the 4 as an L with a short, low second stroke.
MNIST's 60,000 digits by American writers include few of these.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.frame import SIDE, centre, fit_box, stroke_width
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import curve, pen_stroke

_FLAG_DROPS = (20.0, 68.0)  # degrees by which a flag falls to the left, below the level
_FLAG_LENGTHS = (0.2, 0.75)
_LEVEL_FLAG = (28.0, 0.5)  # a flatter flag that is longer than this makes a 7
_FOOT_LENGTHS = (0.3, 0.8)
_FOOT_SHARE = 0.3  # the fraction of ones that also get a foot
_SHARE_OF_BARS = 0.25  # of steep sevens
_MARGIN = 14  # pixels around a digit for strokes that leave its frame

Line = list[Array]
"""Points (down, right) along the path of a pen."""


def with_flag(one: Array, rng: np.random.Generator) -> Array:
    """Add the upstroke, and sometimes the foot, to a 1: (28, 28) in MNIST's form, and again so."""
    top, bottom = _ends(one)
    stem = bottom - top
    length = float(np.hypot(*stem))
    tip = top + np.float32(length) * _flag(rng, np.arctan2(-stem[1], stem[0]))
    bend = np.asarray((top + tip) / 2 + rng.normal(0, 0.04 * length, 2), np.float32)
    lines = [[top, bend, tip]]
    if rng.random() < _FOOT_SHARE:
        left, right = rng.uniform(*_FOOT_LENGTHS, 2) * length / 2
        up, down = rng.normal(0, 0.03 * length, 2)
        lines.append([bottom + np.array([up, -left]), bottom + np.array([down, right])])
    return _with_lines(one, lines, _pen_of(one, rng))


def _flag(rng: np.random.Generator, lean: float) -> Array:
    """From the top of a 1 to the tip of its upstroke, (down, right) for a stem of length 1.

    ``lean`` is the angle of the stem, in radians, with the top to the right of the foot. The flag
    keeps a distance from the stem.
    """
    drop, length = rng.uniform(*_FLAG_DROPS), rng.uniform(*_FLAG_LENGTHS)
    if drop < _LEVEL_FLAG[0]:
        length = min(length, _LEVEL_FLAG[1])
    angle = min(np.deg2rad(drop), np.pi / 2 - lean - np.deg2rad(20))
    return np.array([np.sin(angle), -np.cos(angle)], np.float32) * np.float32(length)


def european_one(rng: np.random.Generator) -> Array:
    """Draw a 1 (28, 28) in MNIST's form with an upstroke of any length, and sometimes a foot."""
    lean = rng.normal(0.12, 0.12)  # radians
    top = np.array([0.0, 0.0])
    bottom = np.array([np.cos(lean), -np.sin(lean)])
    tip = _flag(rng, max(lean, 0.0))
    wobble = rng.normal(0, 0.02, (2, 2))
    lines = [[top, (top + bottom) / 2 + wobble[0], bottom], [tip, (top + tip) / 2 + wobble[1], top]]
    if rng.random() < _FOOT_SHARE:
        left, right = rng.uniform(*_FOOT_LENGTHS, 2) / 2
        lines.append(
            [bottom - np.array([0, left]), bottom, bottom + np.array([rng.normal(0, 0.03), right])]
        )
    return _drawn(lines, rng)


def drawn_seven(rng: np.random.Generator) -> Array:
    """Draw a 7 (28, 28) in MNIST's form, with or without a bar and a serif."""
    width, rise = rng.uniform(0.4, 0.75), np.tan(np.deg2rad(rng.uniform(-8, 10)))
    lean = np.deg2rad(rng.uniform(2, 38))
    corner = np.array([0.0, 0.0])
    start = np.array([rise * width, -width])
    bottom = np.array([np.cos(lean), -np.sin(lean)])
    bend = (corner + bottom) / 2 + rng.normal(0, 0.03, 2)
    lines = [[start, (start + corner) / 2 + rng.normal(0, 0.02, 2), corner], [corner, bend, bottom]]
    if rng.random() < 0.3:
        hook = start + np.array([rng.uniform(0.08, 0.25), rng.normal(-0.02, 0.03)])
        lines.append([hook, (hook + start) / 2, start])
    if rng.random() < 0.35:
        middle = bottom * rng.uniform(0.4, 0.6)
        reach = np.array([rng.normal(-0.02, 0.03), rng.uniform(0.12, 0.25)])
        lines.append([middle - reach, middle, middle + reach])
    return _drawn(lines, rng)


def _drawn(lines: list[Line], rng: np.random.Generator) -> Array:
    """Lines for a digit of height 1 as a digit in MNIST's form, by any pen."""
    first = np.min([point for line in lines for point in line], axis=0)
    scaled = [[SIDE * 0.7 * (point - first) for point in line] for line in lines]
    return _with_lines(np.zeros((SIDE, SIDE), np.float32), scaled, rng.uniform(0.7, 2.0))


def with_bar(seven: Array, rng: np.random.Generator) -> Array:
    """Cross the stem of a 7: (28, 28) in MNIST's form, and again so."""
    rows = np.flatnonzero((seven > 0.3).any(1))
    row = rows[0] + rng.uniform(0.4, 0.65) * np.ptp(rows)
    near = seven[max(round(row) - 1, 0) : round(row) + 2].sum(0)
    middle = np.array([row, float(near @ np.arange(SIDE) / max(near.sum(), 1e-6))])
    half = rng.uniform(2.0, 5.0)
    tilt = rng.uniform(-0.3, 0.15) * half  # the right end is rather up than down
    reach = np.array([tilt, half])
    return _with_lines(seven, [[middle - reach, middle + reach]], _pen_of(seven, rng))


def steep_seven(seven: Array, rng: np.random.Generator) -> Array:
    """Straighten the stem of a 7 and narrow it: (28, 28) in MNIST's form, and again so.

    Such 7s fill narrow boxes, and some are crossed. Between them and ones with a long flag only
    the angle decides.
    """
    whole = with_bar(seven, rng) if rng.random() < _SHARE_OF_BARS else seven
    ink = whole[bounds(whole > 0.3)]
    height, width = ink.shape
    narrower, upright = rng.uniform(0.55, 1.0), rng.uniform(0, 0.45)
    image = Image.fromarray(np.uint8(np.clip(ink, 0, 1) * 255))
    room = round(upright * height) + 2
    matrix = (1, upright, -upright * height / 2 - room, 0, 1, 0)  # the top to the left
    straight = image.transform(
        (width + 2 * room, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    wide = max(4, round(narrower * straight.width))
    small = straight.resize((wide, height), Image.Resampling.BILINEAR)
    narrowed = np.asarray(small, np.float32)
    return centre(fit_box(narrowed / narrowed.max()))  # resampling has made it paler


def low_four(rng: np.random.Generator) -> Array:
    """Draw a 4 (28, 28) in MNIST's form as an L with a low second stroke through its foot."""
    foot = rng.uniform(0.5, 0.8)
    corner = np.array([foot, rng.uniform(0.0, 0.2)])
    start = np.array([0.0, rng.uniform(0.3, 0.6)])
    end = np.array([foot + rng.uniform(-0.1, 0.08), rng.uniform(0.75, 1.05)])
    side = (start + corner) / 2 + rng.normal(0, 0.03, 2)
    low = np.array([foot - rng.triangular(0.0, 0.08, 0.35), rng.uniform(0.45, 0.72)])
    stem_end = np.array([1.0, low[1] + rng.uniform(-0.15, 0.06)])
    bend = (low + stem_end) / 2 + rng.normal(0, 0.02, 2)
    foot_line = [corner, (corner + end) / 2, end]
    is_round = rng.random() < 0.4
    written = [[start, side, *foot_line]] if is_round else [[start, side, corner], foot_line]
    lines = [*written, [low, bend, stem_end]]
    return _drawn(lines, rng)


def _pen_of(digit: Array, rng: np.random.Generator) -> float:
    """A radius close to that of the pen that wrote the digit."""
    return float(max(stroke_width(digit), 1.6) / 2 * rng.uniform(0.8, 1.1))


def _with_lines(digit: Array, lines: list[Line], radius: float) -> Array:
    """Draw smooth lines over a digit and bring it to MNIST's form."""
    canvas = np.pad(digit, _MARGIN)
    for line in lines:
        points = np.array(curve([(p[0], p[1]) for p in line], steps=4)) + _MARGIN
        np.maximum(canvas, pen_stroke(canvas.shape, points, radius), out=canvas)
    return centre(fit_box(canvas[bounds(canvas > 0)]))


def _ends(one: Array) -> tuple[Array, Array]:
    """The ends of the stem: the mean position of the ink in its first and last two rows."""
    rows = np.flatnonzero((one > 0.3).any(1))
    columns = np.arange(one.shape[1])
    ends = []
    for row in (rows[0], rows[-1]):
        near = one[max(row - 1, 0) : row + 2].sum(0)
        ends.append(np.array([float(row), float(near @ columns / near.sum())], np.float32))
    return ends[0], ends[1]

"""MNIST's digits in rows on an empty page, for :mod:`benchmarks.pages`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinymnist.imaging.digit.filters import dilate, resize
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import pen_stroke

Box = tuple[int, int, int, int]
Rng = np.random.Generator

_MARGIN = 0.9
"""Empty paper around the rows, in heights of a digit."""
_SIGNS = np.array(
    [[[0, 0], [0, 0.4]], [[0.45, 0], [0.47, 0.02]], [[0.7, 0], [-0.7, 0.5]]], np.float32
)
"""A dash, a full stop and a slash: start and end, (down, right) from the middle of the row, in
heights of a digit."""


@dataclass
class Page:
    """A page and its contents.

    Attributes:
        kind: a name of :data:`KINDS`.
        ink: (h, w) in 0..1, the inked fraction of each pixel.
        tall: approximate height of its digits in pixels.
        rows: for each row, from the top, its digits from the left: (class, box); a box is left,
            top, right, bottom in pixels, right and bottom exclusive.
        words: boxes of print and other marks that are not digits.
    """

    kind: str
    ink: Array
    tall: float
    rows: list[list[tuple[int, Box]]] = field(default_factory=list)
    words: list[Box] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The digits without spaces, the rows joined by newlines."""
        return "\n".join("".join(str(digit) for digit, _ in row) for row in self.rows)


@dataclass(frozen=True)
class Layout:
    """How the digits of a page are placed.

    Attributes:
        rows, columns: upper limits; between half and all are painted.
        slope: upper limit of the slope of rows, as a tangent.
        lean: upper limit of the slant of digits, as a tangent.
        sizes: heights vary by a factor of up to exp(sizes).
        jump: how far digits may be off their line, in heights.
        gaps: lower and upper limit of the gaps between digits, in heights.
        touching: the fraction of digits that touch the previous one.
        signs: the fraction of digits that follow a dash, a full stop or a slash.
    """

    rows: int = 5
    columns: int = 9
    slope: float = 0.01
    lean: float = 0.0
    sizes: float = 0.1
    jump: float = 0.05
    gaps: tuple[float, float] = (0.2, 0.6)
    touching: float = 0.0
    signs: float = 0.0


class Source:
    """Digits in MNIST's form, drawn at random."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Take images (n, 28, 28) and their labels (n,)."""
        self.images, self.labels = images, labels

    def draw(self, rng: Rng) -> tuple[int, Array]:
        """A random digit and its ink (h, w) in 0..1, cropped."""
        chosen = int(rng.integers(len(self.images)))
        ink = np.asarray(self.images[chosen], np.float32) / np.float32(255)
        rows, columns = (np.flatnonzero((ink > 0.3).any(axis)) for axis in (1, 0))
        inside = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return int(self.labels[chosen]), np.pad(inside, 1)


def write_page(kind: str, layout: Layout, source: Source, rng: Rng) -> Page:
    """Write rows of digits on an empty page."""
    tall = float(np.exp(rng.uniform(np.log(24), np.log(64))))
    counts = rng.integers((layout.columns + 1) // 2, layout.columns + 1, layout.rows)
    counts = counts[: rng.integers((layout.rows + 1) // 2, layout.rows + 1)]
    width = int(tall * (2 * _MARGIN + 1.6 * layout.columns))
    tilt = rng.uniform(-layout.slope, layout.slope)
    pitch = tall * rng.uniform(1.6, 2.4)
    drop = abs(tilt) * width
    height = int(2 * _MARGIN * tall + drop + pitch * len(counts))
    page = Page(kind, np.zeros((height, width), np.float32), tall)
    pen, lean = rng.uniform(-0.02, 0.025), rng.uniform(-layout.lean, layout.lean)
    for number, count in enumerate(counts):
        start = tall * (_MARGIN + rng.uniform(0, 1.5))
        level = tall * (_MARGIN + 0.5) + pitch * number + max(0.0, -tilt * width)
        page.rows.append([])
        for _ in range(count):
            if page.rows[-1] and rng.random() < layout.signs:
                start = _sign(page, start, level + tilt * start, pen, rng)
            digit, ink = source.draw(rng)
            ink = _enlarged(ink, tall * np.exp(rng.uniform(-1, 1) * layout.sizes), pen, lean)
            middle = level + tilt * start + tall * rng.uniform(-1, 1) * layout.jump
            top = int(middle - ink.shape[0] / 2)
            if page.rows[-1] and rng.random() < layout.touching:
                left = _where_touching(page.ink, ink, top, int(start), rng)
            else:
                left = int(start + tall * rng.uniform(*layout.gaps))
            if left + ink.shape[1] > width - 2:
                break
            page.rows[-1].append((digit, draw_onto(page.ink, ink, top, left)))
            start = float(page.rows[-1][-1][1][2])
    return page


def _enlarged(ink: Array, tall: float, pen: float, lean: float) -> Array:
    """Scale to a height, shear and sharpen; ``pen`` (in heights) makes strokes wider or finer."""
    high = max(10, round(tall * (ink.shape[0]) / (ink.shape[0] - 2)))
    wide = max(4, round(high * ink.shape[1] / ink.shape[0]))
    large = np.clip(resize(ink, (high, wide), Image.Resampling.BICUBIC), 0, 1)
    margin = int(abs(lean) * high / 2) + 2
    picture = Image.fromarray(np.pad(large, ((0, 0), (margin, margin))))
    shear = (1, lean, -lean * high / 2, 0, 1, 0)
    large = np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, shear, 2))
    crisp = np.clip((large - 0.5) / 0.4 + 0.5, 0, 1)
    radius = pen * tall
    if radius > 0:
        crisp = dilate(crisp, radius)
    elif (finer := 1 - dilate(1 - crisp, -radius)).sum() > 0.6 * crisp.sum():
        crisp = finer
    columns = np.flatnonzero((crisp > 0.3).any(0))
    return np.asarray(crisp[:, columns[0] : columns[-1] + 1], np.float32)


def _sign(page: Page, start: float, level: float, pen: float, rng: Rng) -> float:
    """Write a dash, a full stop or a slash; return where it ends."""
    ends = _SIGNS[rng.integers(len(_SIGNS))] + rng.normal(0, 0.03, (2, 2))
    radius = max(0.8, (0.05 + pen) * page.tall)
    margin = int(radius) + 2
    points = (ends - ends.min(0)) * page.tall + margin
    down, right = (int(side) + 1 for side in points.max(0) + margin)
    top = int(level + ends[:, 0].min() * page.tall - margin)
    left = int(start + page.tall * rng.uniform(0.15, 0.35) - margin)
    if left + right > page.ink.shape[1] - 2:
        return start
    page.words.append(draw_onto(page.ink, pen_stroke((down, right), points, radius), top, left))
    return float(page.words[-1][2])


def _where_touching(canvas: Array, ink: Array, top: int, start: int, rng: Rng) -> int:
    """The left edge at which a digit touches the previous one, which ends at ``start``."""
    rows = slice(max(top, 0), top + ink.shape[0])
    own = ink[max(-top, 0) :][: canvas[rows].shape[0]] > 0.5
    before = canvas[rows] > 0.5
    right = np.where(before.any(1), before.shape[1] - before[:, ::-1].argmax(1), -(10**6))
    left = np.where(own.any(1), own.argmax(1), 10**6)
    touch = int((right - left).max())
    if touch < start - ink.shape[1]:  # they do not meet in any row
        return start
    return max(touch - int(rng.integers(0, 2 + ink.shape[0] // 16)), 0)


def draw_onto(canvas: Array, ink: Array, top: int, left: int) -> Box:
    """Draw ink onto the canvas; return its box without soft edges."""
    top = int(np.clip(top, 0, canvas.shape[0] - ink.shape[0]))
    room = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(room, ink[:, : room.shape[1]], out=room)
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(
        rows[-1]) + 1  # fmt: skip


def padded(page: Page, top: int, bottom: int, sides: int) -> None:
    """Add empty paper around a page."""
    page.ink = np.pad(page.ink, ((top, bottom), (sides, sides)))
    page.rows = [[(digit, _moved(box, top, sides)) for digit, box in row] for row in page.rows]
    page.words = [_moved(box, top, sides) for box in page.words]


def _moved(box: Box, down: int, right: int) -> Box:
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down

"""Pages for ``benchmarks.pages``: MNIST's digits painted in rows, with all that lies around them.

What is written where is known, so what was read can be counted. Every kind of page adds one
difficulty to plain rows, and its own share of light, noise and blur.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tinymnist.imaging.filters import resize
from tinymnist.imaging.paint import clouds, slope
from tinymnist.imaging.pixels import Array
from tinymnist.imaging.strokes import grown

Box = tuple[int, int, int, int]
Rng = np.random.Generator

WORDS = (
    "Account", "Amount", "April", "Banknote", "Box", "Bread", "Car", "Date", "Delivery", "Desk",
    "Edge", "Form", "Garden", "Home", "Invoice", "June", "Kilo", "Lamp", "March", "Market",
    "Name", "Number", "Order", "Page", "Paper", "Phone", "Place", "Post", "Price", "Receipt",
    "River", "Room", "Sheet", "Signature", "Street", "Sugar", "Table", "Tax", "Thursday",
    "Title", "Total", "Town", "Value", "Water", "Weight", "Year",
)  # fmt: skip
SIGNS = ("#", "&", "%", "@", "?", "+", "=", "EUR", "No.", "kg")

_MARGIN = 0.9
"""Empty paper around what is written, in heights of a digit."""


@dataclass
class Page:
    """A page and what is on it.

    Attributes:
        kind: a name of :data:`KINDS`.
        ink: (h, w) in 0..1; how much of each pixel is inked.
        tall: the height of its digits, in pixels, give or take.
        rows: for each row, from the top, its digits from the left: (class, box); a box is left,
            top, right, bottom in pixels, right and bottom exclusive.
        words: boxes of printed matter, on which no digit is.
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
    """How the digits of a page stand.

    Attributes:
        rows, columns: most of them; between half and all are painted.
        slope: rows sink or climb by at most this, as a tangent.
        lean: digits lean by at most this, as a tangent.
        sizes: digits differ in height by at most the factor exp of this.
        jump: how far digits stand off their line, in their height.
        gaps: between digits, in heights: least and most.
        touching: the share of digits that touch the one before.
    """

    rows: int = 5
    columns: int = 9
    slope: float = 0.01
    lean: float = 0.0
    sizes: float = 0.1
    jump: float = 0.05
    gaps: tuple[float, float] = (0.2, 0.6)
    touching: float = 0.0


class Source:
    """Digits in MNIST's form, drawn at random."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Take images (n, 28, 28) and their labels (n,)."""
        self.images, self.labels = images, labels

    def draw(self, rng: Rng) -> tuple[int, Array]:
        """One digit and its ink (h, w) in 0..1, cut out."""
        chosen = int(rng.integers(len(self.images)))
        ink = np.asarray(self.images[chosen], np.float32) / np.float32(255)
        rows, columns = (np.flatnonzero((ink > 0.3).any(axis)) for axis in (1, 0))
        inside = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return int(self.labels[chosen]), np.pad(inside, 1)


def paint_page(kind: str, source: Source, rng: Rng) -> tuple[Page, Image.Image]:
    """Paint a page: what is on it, and the picture.

    Args:
        kind: a name of :data:`KINDS`.
        source: of digits.
        rng: where everything that varies comes from.
    """
    layout, extras, look = KINDS[kind]
    page = _written(kind, layout, source, rng)
    for extra in extras:
        extra(page, rng)
    return page, look(page.ink, rng)


def _written(kind: str, layout: Layout, source: Source, rng: Rng) -> Page:
    """Digits on an empty page."""
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
            page.rows[-1].append((digit, _drawn(page.ink, ink, top, left)))
            start = float(page.rows[-1][-1][1][2])
    return page


def _enlarged(ink: Array, tall: float, pen: float, lean: float) -> Array:
    """So tall, sheared, and with crisp edges; ``pen`` in heights makes strokes wider or finer."""
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
        crisp = grown(crisp, radius)
    elif (finer := 1 - grown(1 - crisp, -radius)).sum() > 0.6 * crisp.sum():
        crisp = finer
    columns = np.flatnonzero((crisp > 0.3).any(0))
    return np.asarray(crisp[:, columns[0] : columns[-1] + 1], np.float32)


def _where_touching(canvas: Array, ink: Array, top: int, start: int, rng: Rng) -> int:
    """How far to the left a digit must stand to run into what ends at ``start``."""
    rows = slice(max(top, 0), top + ink.shape[0])
    own = ink[max(-top, 0) :][: canvas[rows].shape[0]] > 0.5
    before = canvas[rows] > 0.5
    right = np.where(before.any(1), before.shape[1] - before[:, ::-1].argmax(1), -(10**6))
    left = np.where(own.any(1), own.argmax(1), 10**6)
    touch = int((right - left).max())
    if touch < start - ink.shape[1]:  # they miss each other
        return start
    return max(touch - int(rng.integers(0, 2 + ink.shape[0] // 16)), 0)


def _drawn(canvas: Array, ink: Array, top: int, left: int) -> Box:
    """Put ink onto the canvas; its box, without soft edges, is returned."""
    top = int(np.clip(top, 0, canvas.shape[0] - ink.shape[0]))
    room = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(room, ink[:, : room.shape[1]], out=room)
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(
        rows[-1]) + 1  # fmt: skip


def _free_spot(page: Page, size: tuple[int, int], rng: Rng) -> tuple[int, int] | None:
    """Where so much (h, w) paper is empty."""
    for _ in range(60):
        if size[0] >= page.ink.shape[0] or size[1] >= page.ink.shape[1]:
            return None
        top, left = (
            int(rng.integers(0, side - own)) for side, own in zip(page.ink.shape, size, strict=True)
        )
        gap = int(0.15 * page.tall)
        around = page.ink[max(top - gap, 0) : top + size[0] + gap,
                          max(left - gap, 0) : left + size[1] + gap]  # fmt: skip
        if not around.any():
            return top, left
    return None


def _print_words(page: Page, rng: Rng) -> None:
    """Printed words and signs in free places, some as large as the digits."""
    page.ink = np.pad(page.ink, ((int(2.5 * page.tall), int(page.tall)), (0, 0)))
    down = int(2.5 * page.tall)
    page.rows = [
        [(digit, (a, b + down, c, d + down)) for digit, (a, b, c, d) in row] for row in page.rows
    ]
    for _ in range(rng.integers(4, 12)):
        word = str(rng.choice(SIGNS if rng.random() < 0.2 else WORDS))
        ink = _printed(word, page.tall * rng.uniform(0.5, 1.3))
        if (spot := _free_spot(page, ink.shape, rng)) is not None:
            page.words.append(_drawn(page.ink, ink, *spot))


def _printed(word: str, size: float) -> Array:
    """A word in Pillow's own font, ``size`` pixels to the em, cut out."""
    font = ImageFont.load_default(size)
    picture = Image.new("L", (int(size * (len(word) + 1)), int(2 * size)), 0)
    ImageDraw.Draw(picture).text((size / 4, size / 4), word, 255, font)
    inside = picture.crop(picture.getbbox())
    return np.asarray(inside, np.float32) / np.float32(255)


def _blot(page: Page, rng: Rng) -> None:
    """Blots, scratches and dust in free places."""
    for _ in range(rng.integers(2, 7)):
        size = tuple(int(side) for side in page.tall * rng.uniform(0.3, 1.4, 2))
        if (spot := _free_spot(page, (size[0], size[1]), rng)) is None:
            continue
        down, right = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
        bumps = 0.25 * clouds((size[0], size[1]), 4, rng)
        blot = np.clip((0.7 - np.hypot(down, right) + bumps) / 0.1, 0, 1)
        blot *= np.hypot(down, right) < 1
        if (blot > 0.5).any():
            page.words.append(_drawn(page.ink, np.asarray(blot, np.float32), *spot))
    for _ in range(rng.integers(0, 25)):
        spot = tuple(int(rng.integers(0, side - 3)) for side in page.ink.shape)
        page.ink[spot[0] : spot[0] + rng.integers(1, 3), spot[1] : spot[1] + rng.integers(1, 4)] = 1
    _draw_lines(page, rng)


def _draw_lines(page: Page, rng: Rng) -> None:
    """Strokes between rows: a sum's line, a scratch."""
    width = page.ink.shape[1]
    for above, below in pairwise(page.rows):
        bottom = max((box[3] for _, box in above), default=0)
        top = min((box[1] for _, box in below), default=0)
        if rng.random() < 0.6 and top - bottom > 8:
            level = int((top + bottom) / 2)
            left, length = rng.uniform(0, 0.4) * width, rng.uniform(0.2, 0.6) * width
            drawn = Image.fromarray(np.uint8(page.ink * 255))
            ends = (int(left), level, int(left + length), level + int(rng.integers(-2, 3)))
            ImageDraw.Draw(drawn).line(ends, 255, max(1, round(0.06 * page.tall)))
            page.ink = np.asarray(drawn, np.float32) / np.float32(255)
            page.words.append((ends[0], level - 3, ends[2], level + 4))


def _rule(page: Page, rng: Rng) -> None:
    """Ruled or squared paper from edge to edge, fainter than ink."""
    height, width = page.ink.shape
    apart = page.tall * rng.uniform(0.5, 1.6)
    down, right = np.indices((height, width), np.float32)
    turn = np.tan(rng.uniform(-0.03, 0.03))
    ways = [down + turn * right, right - turn * down][: rng.integers(1, 3)]
    lines = [np.abs((way + rng.uniform(0, apart)) % apart - apart / 2) for way in ways]
    half = max(0.5, 0.015 * page.tall)
    rules = np.clip(half + 0.5 - np.minimum.reduce(lines), 0, 1)
    page.ink = np.maximum(page.ink, np.float32(rng.uniform(0.2, 0.6)) * rules)


def _box_in(page: Page, rng: Rng) -> None:
    """The boxes of a form, a digit in each; now and then one runs over its box's edge."""
    line = max(1, round(0.04 * page.tall))
    dark = np.float32(rng.uniform(0.5, 1))
    boxes = np.zeros_like(page.ink)
    for row in page.rows:
        if not row:
            continue
        gap = 0.18 * page.tall
        top = int(max(min(box[1] for _, box in row) - gap, 1))
        bottom = int(min(max(box[3] for _, box in row) + gap, page.ink.shape[0] - line - 1))
        edges = [max(row[0][1][0] - gap, 1)]
        edges += [(a[2] + b[0]) / 2 for (_, a), (_, b) in pairwise(row)]
        edges += [min(row[-1][1][2] + gap, page.ink.shape[1] - line - 1)]
        for level in (top, bottom):
            boxes[level : level + line, int(edges[0]) : int(edges[-1]) + line] = dark
        for edge in edges:
            boxes[top : bottom + line, int(edge) : int(edge) + line] = dark
    page.ink = np.maximum(page.ink, boxes)


def _scan(ink: Array, rng: Rng) -> Image.Image:
    """Black on white, from a scanner or a drawing program."""
    return _image(1 - rng.uniform(0.7, 1) * ink)


def _board(ink: Array, rng: Rng) -> Image.Image:
    """Chalk on a board."""
    board = 0.15 + 0.03 * clouds((ink.shape[0], ink.shape[1]), 6, rng)
    crumbs = rng.random(ink.shape, np.float32) < 0.9
    return _noisy(board + (0.85 - board) * ink * crumbs, rng.uniform(0.3, 0.8), 0.02, rng)


def _photo(ink: Array, rng: Rng) -> Image.Image:
    """Paper of some grey under a lamp, a little out of focus, with noise."""
    size = (ink.shape[0], ink.shape[1])
    light = 1 - rng.uniform(0.1, 0.55) * slope(size, rng.uniform(0, 360))
    light = light + 0.015 * clouds(size, 8, rng)
    contrast = rng.uniform(0.45, 0.85)
    seen = rng.uniform(0.7, 0.95) * (1 - contrast * ink) * light
    return _noisy(seen, rng.uniform(0.3, 1.2), rng.uniform(0.005, 0.05), rng)


def _noisy(seen: Array, blur: float, noise: float, rng: Rng) -> Image.Image:
    soft = _image(seen).filter(ImageFilter.GaussianBlur(blur))
    grey = np.asarray(soft, np.float32) / np.float32(255)
    return _image(grey + noise * rng.standard_normal(grey.shape, np.float32))


def _image(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(np.clip(grey, 0, 1) * 255 + 0.5))


Extra = Callable[[Page, Rng], None]
Look = Callable[[Array, Rng], Image.Image]

KINDS: dict[str, tuple[Layout, tuple[Extra, ...], Look]] = {
    "plain": (Layout(), (), _scan),
    "photo": (Layout(), (), _photo),
    "chalk": (Layout(), (), _board),
    "slanted": (Layout(slope=0.12, lean=0.5), (), _photo),
    "sizes": (Layout(sizes=0.35, jump=0.15), (), _scan),
    "ruled": (Layout(), (_rule,), _photo),
    "touching": (Layout(columns=7, touching=0.5, gaps=(0.15, 0.4)), (), _scan),
    "printed": (Layout(rows=3, columns=7), (_print_words,), _photo),
    "blots": (Layout(), (_blot,), _scan),
    "form": (Layout(gaps=(0.4, 0.7), jump=0.03), (_box_in,), _scan),
}
"""By name: how the digits stand, what else is drawn, and how it is seen."""

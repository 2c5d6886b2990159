"""Additions to a page: printed words, blots, ruled lines, the boxes of a form, wide margins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.page_writing import Page, Rng, draw_onto, padded
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds

WORDS = (
    "Account", "Amount", "April", "Banknote", "Box", "Bread", "Car", "Date", "Delivery", "Desk",
    "Edge", "Form", "Garden", "Home", "Invoice", "June", "Kilo", "Lamp", "March", "Market",
    "Name", "Number", "Order", "Page", "Paper", "Phone", "Place", "Post", "Price", "Receipt",
    "River", "Room", "Sheet", "Signature", "Street", "Sugar", "Table", "Tax", "Thursday",
    "Title", "Total", "Town", "Value", "Water", "Weight", "Year",
)  # fmt: skip
SIGNS = ("#", "&", "%", "@", "?", "+", "=", "EUR", "No.", "kg")


def _free_spot(page: Page, size: tuple[int, int], rng: Rng) -> tuple[int, int] | None:
    """A random place for (h, w) pixels on empty paper; None if none is found."""
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


def print_words(page: Page, rng: Rng) -> None:
    """Print words and signs in free places, some as large as the digits."""
    padded(page, int(2.5 * page.tall), int(page.tall), 0)
    for _ in range(rng.integers(4, 12)):
        word = str(rng.choice(SIGNS if rng.random() < 0.2 else WORDS))
        ink = _printed(word, page.tall * rng.uniform(0.5, 1.3))
        if (spot := _free_spot(page, ink.shape, rng)) is not None:
            page.words.append(draw_onto(page.ink, ink, *spot))


def _printed(word: str, size: float) -> Array:
    """A word in Pillow's own font, ``size`` pixels per em, cropped."""
    font = ImageFont.load_default(size)
    picture = Image.new("L", (int(size * (len(word) + 1)), int(2 * size)), 0)
    ImageDraw.Draw(picture).text((size / 4, size / 4), word, 255, font)
    inside = picture.crop(picture.getbbox())
    return np.asarray(inside, np.float32) / np.float32(255)


def blot(page: Page, rng: Rng) -> None:
    """Draw blots, scratches and dust in free places."""
    for _ in range(rng.integers(2, 7)):
        tall, wide = (int(side) for side in page.tall * rng.uniform(0.3, 1.4, 2))
        if (spot := _free_spot(page, (tall, wide), rng)) is None:
            continue
        down, right = np.meshgrid(np.linspace(-1, 1, tall), np.linspace(-1, 1, wide), indexing="ij")
        bumps = 0.25 * clouds((tall, wide), 4, rng)
        spread = np.clip((0.7 - np.hypot(down, right) + bumps) / 0.1, 0, 1)
        spread *= np.hypot(down, right) < 1
        if (spread > 0.5).any():
            page.words.append(draw_onto(page.ink, np.asarray(spread, np.float32), *spot))
    for _ in range(rng.integers(0, 25)):
        top, left = (int(rng.integers(0, side - 3)) for side in page.ink.shape)
        page.ink[top : top + rng.integers(1, 3), left : left + rng.integers(1, 4)] = 1
    _draw_lines(page, rng)


def _draw_lines(page: Page, rng: Rng) -> None:
    """Draw strokes between rows: the line above a sum, a scratch."""
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


def rule(page: Page, rng: Rng) -> None:
    """Rule the paper with lines or squares, fainter than ink."""
    height, width = page.ink.shape
    apart = page.tall * rng.uniform(0.5, 1.6)
    down, right = np.indices((height, width), np.float32)
    turn = np.tan(rng.uniform(-0.03, 0.03))
    ways = [down + turn * right, right - turn * down][: rng.integers(1, 3)]
    lines = [np.abs((way + rng.uniform(0, apart)) % apart - apart / 2) for way in ways]
    half = max(0.5, 0.015 * page.tall)
    rules = np.clip(half + 0.5 - np.minimum.reduce(lines), 0, 1)
    page.ink = np.maximum(page.ink, np.float32(rng.uniform(0.2, 0.6)) * rules)


def box_in(page: Page, rng: Rng) -> None:
    """Draw the boxes of a form, a digit in each; some digits cross the edge of their box."""
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


def add_margins(page: Page, rng: Rng) -> None:
    """Add margins, in which the desk may be seen."""
    room = int(2 * page.tall)
    padded(page, room, room, room)

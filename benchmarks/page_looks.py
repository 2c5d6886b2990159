"""Pictures of a page: scanned, on a board, photographed under a lamp, on a dark desk."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.page_writing import Page, Rng
from tinymnist.imaging.digit.components import Mask
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds, slope


def scan(page: Page, rng: Rng) -> Image.Image:
    """Black on white, from a scanner or a drawing program."""
    return _image(1 - rng.uniform(0.7, 1) * page.ink)


def board(page: Page, rng: Rng) -> Image.Image:
    """Chalk on a blackboard."""
    ink = page.ink
    dark = 0.15 + 0.03 * clouds((ink.shape[0], ink.shape[1]), 6, rng)
    crumbs = rng.random(ink.shape, np.float32) < 0.9
    return _noisy(dark + (0.85 - dark) * ink * crumbs, rng.uniform(0.3, 0.8), 0.02, rng)


def photo(page: Page, rng: Rng) -> Image.Image:
    """Greyish paper under a lamp, slightly out of focus, with noise."""
    size = (page.ink.shape[0], page.ink.shape[1])
    light = 1 - rng.uniform(0.1, 0.55) * slope(size, rng.uniform(0, 360))
    light = light + 0.015 * clouds(size, 8, rng)
    contrast = rng.uniform(0.45, 0.85)
    seen = rng.uniform(0.7, 0.95) * (1 - contrast * page.ink) * light
    return _noisy(seen, rng.uniform(0.3, 1.2), rng.uniform(0.005, 0.05), rng)


def desk(page: Page, rng: Rng) -> Image.Image:
    """A sheet with visible edges on a desk, a shadow, and an object beside it."""
    size = (page.ink.shape[0], page.ink.shape[1])
    room = 2 * page.tall
    light = (1 - rng.uniform(0, 0.4) * slope(size, rng.uniform(0, 360))) * _shadow(page, rng)
    seen = rng.uniform(0.75, 0.95) * (1 - rng.uniform(0.5, 0.85) * page.ink)
    wood = rng.uniform(0.05, 0.45) + 0.02 * clouds(size, 12, rng)
    seen = np.where(_beside(page, room, rng), wood, seen) * light
    object_ = _thing(page, room, rng)
    seen = seen * (1 - object_) + rng.uniform(0.05, 0.2) * object_
    return _noisy(seen, rng.uniform(0.5, 1.2), rng.uniform(0.003, 0.02), rng)


def _beside(page: Page, room: float, rng: Rng) -> Mask:
    """A mask of the desk: on each side with probability 0.4, within the empty margin."""
    down, right = np.indices(page.ink.shape, np.float32)
    height, width = page.ink.shape
    beside = np.zeros(page.ink.shape, bool)
    middle, centre = right - width / 2, down - height / 2
    edges = ((down, middle), (height - down, middle), (right, centre), (width - right, centre))
    for way, across in edges:
        if rng.random() < 0.4:
            turn = rng.uniform(-0.5, 0.5) * room / float(np.abs(across).max())
            beside |= way + turn * across < room * rng.uniform(0.2, 0.45)
    return beside


def _shadow(page: Page, rng: Rng) -> Array:
    """The light left by a shadow with a soft edge: 0.45 to 1."""
    ramp = slope((page.ink.shape[0], page.ink.shape[1]), rng.uniform(0, 360))
    soft = rng.uniform(0.02, 0.5) * page.tall / max(page.ink.shape)
    share: Array = np.clip((ramp - rng.uniform(0.2, 1.2)) / soft, 0, 1)
    return 1 - rng.uniform(0.2, 0.55) * share


def _thing(page: Page, room: float, rng: Rng) -> Array:
    """A phone or a pen that reaches into the picture, but not to the digits."""
    height, width = page.ink.shape
    drawn = Image.new("L", (width, height))
    depth, start = room * rng.uniform(0.3, 0.8), rng.uniform(-0.3, 0.8) * width
    end = start + rng.uniform(0.1, 0.7) * width
    box = (start, height - depth, end, height + room)
    ImageDraw.Draw(drawn).rounded_rectangle(box, rng.uniform(0.1, 0.9) * depth, 255)
    soft = drawn.filter(ImageFilter.GaussianBlur(page.tall * rng.uniform(0.01, 0.15)))
    return np.asarray(soft, np.float32) / np.float32(255 if rng.random() < 0.6 else np.inf)


def _noisy(seen: Array, blur: float, noise: float, rng: Rng) -> Image.Image:
    soft = _image(seen).filter(ImageFilter.GaussianBlur(blur))
    grey = np.asarray(soft, np.float32) / np.float32(255)
    return _image(grey + noise * rng.standard_normal(grey.shape, np.float32))


def _image(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(np.clip(grey, 0, 1) * 255 + 0.5))

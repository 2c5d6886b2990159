"""Curves with a dot for each run, as a PNG, drawn with Pillow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from os import PathLike
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from benchmarks.chart import COLOURS

Curve: TypeAlias = tuple[str, Sequence[tuple[int, Sequence[float]]]]
"""A name, and for each place along the axis the values of all runs there."""
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 460, 70, 60, 60


def draw_curves(
    curves: Sequence[Curve], path: str | PathLike[str], *, title: str, lines: Sequence[float] = ()
) -> None:
    """Draw the means as lines and the runs as dots; the places are evenly spaced.

    Args:
        curves: what to draw; all have the same places.
        path: the PNG file.
        title: stands on top.
        lines: values at which a faint line goes across.
    """
    values = [v for _, points in curves for _, runs in points for v in runs]
    low, high = min([0.0, *values]), max([*values, *lines, 1.0])
    places = [place for place, _ in curves[0][1]]
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)

    def at(number: int, value: float) -> tuple[float, float]:
        step = (WIDTH - LEFT - 40) / max(len(places) - 1, 1)
        down = (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return LEFT + number * step, TOP + down

    _text(draw, (16, 14), title, 16)
    for value in (low, 0.0, *lines, high):
        y = at(0, value)[1]
        draw.line((LEFT - 8, y, WIDTH - 30, y), "#dddddd")
        _text(draw, (16, y - 8), f"{value:.0f}", 12)
    for number, place in enumerate(places):
        _text(draw, (at(number, 0)[0] - 4, HEIGHT - BOTTOM + 8), str(place), 13)
    for (name, points), colour, row in zip(curves, COLOURS, range(len(curves)), strict=False):
        means = [at(i, statistics.fmean(runs)) for i, (_, runs) in enumerate(points)]
        draw.line(means, colour, 3)
        for i, (_, runs) in enumerate(points):
            for value in runs:
                x, y = at(i, value)
                x += (row - 1) * 5
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), outline=colour)
        _text(draw, (LEFT + row * 230, HEIGHT - 26), name, 12, colour)
    image.save(path, format="PNG")


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: str = "#333333",
) -> None:
    draw.text(place, text, colour, ImageFont.load_default(size))

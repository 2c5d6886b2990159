"""Bar charts and curves as PNG files, drawn with Pillow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#3b6ea5", "#e0913a", "#7a9a3c")
PANEL_WIDTH, LABEL_WIDTH, BAR_WIDTH = 620, 210, 300
ROW, TITLE, MARGIN = 20, 34, 16

Curve: TypeAlias = tuple[str, Sequence[tuple[int, Sequence[float]]]]
"""A name, and for each place along the axis the values of all runs."""


class Panel(NamedTuple):
    """A group of bars. Each row has a label and one number per part; parts are stacked."""

    title: str
    rows: Sequence[tuple[str, Sequence[float]]]


def draw_bars(
    panels: Sequence[Panel],
    path: str | PathLike[str],
    *,
    title: str,
    parts: Sequence[str],
    highlight: str = "",
    columns: int = 2,
) -> None:
    """Write stacked horizontal bars.

    Bars longer than six times the shortest in their panel are cut and marked.

    Args:
        panels: groups of bars, each with its own scale.
        path: the PNG file.
        title: of the chart.
        parts: names of the stacked numbers.
        highlight: the label to draw in a darker ink.
        columns: panels side by side.
    """
    heights = [TITLE + ROW * len(panel.rows) + MARGIN for panel in panels]
    lines = [heights[i : i + columns] for i in range(0, len(panels), columns)]
    top = 2 * TITLE + MARGIN
    size = (columns * PANEL_WIDTH + MARGIN, top + sum(map(max, lines)))
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), title, "black", ImageFont.load_default(18))
    _draw_legend(draw, parts)
    for number, panel in enumerate(panels):
        line, column = divmod(number, columns)
        corner = (column * PANEL_WIDTH + MARGIN, top + sum(map(max, lines[:line])))
        _draw_panel(draw, corner, panel, highlight)
    image.save(path, format="PNG")


def _draw_legend(draw: ImageDraw.ImageDraw, parts: Sequence[str]) -> None:
    x, y = MARGIN, MARGIN + 28
    for part, colour in zip(parts, COLOURS, strict=False):
        draw.rectangle((x, y, x + 12, y + 12), colour)
        draw.text((x + 18, y - 2), part, "black", ImageFont.load_default(13))
        x += 120


def _draw_panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], panel: Panel, highlight: str
) -> None:
    x, y = corner
    draw.text((x, y), panel.title, "black", ImageFont.load_default(14))
    longest = 6 * min(sum(numbers) for _, numbers in panel.rows)
    scale = BAR_WIDTH / min(longest, max(sum(numbers) for _, numbers in panel.rows))
    for number, (label, numbers) in enumerate(panel.rows):
        row = y + TITLE - 8 + ROW * number
        ink = "black" if label == highlight else "#666666"
        draw.text((x, row), label, ink, ImageFont.load_default(13))
        _draw_bar(draw, (x + LABEL_WIDTH, row), [scale * value for value in numbers])
        end = x + LABEL_WIDTH + min(scale * sum(numbers), BAR_WIDTH) + 8
        draw.text((end, row), f"{sum(numbers):.3g}", ink, ImageFont.load_default(13))


def _draw_bar(draw: ImageDraw.ImageDraw, start: tuple[int, int], widths: Sequence[float]) -> None:
    x, y = start
    left = float(x)
    for width, colour in zip(widths, COLOURS, strict=False):
        right = min(left + width, x + BAR_WIDTH)
        if right > left:
            draw.rectangle((left, y + 2, right, y + ROW - 5), colour)
        left = right
    if sum(widths) > BAR_WIDTH:  # cut: a white notch near the end
        end, low, high = x + BAR_WIDTH - 12, y + ROW - 4, y + 1
        draw.polygon([(end, low), (end + 5, high), (end + 9, high), (end + 4, low)], "white")


WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 460, 70, 60, 60


def draw_curves(
    curves: Sequence[Curve], path: str | PathLike[str], *, title: str, lines: Sequence[float] = ()
) -> None:
    """Draw means as lines and single runs as dots; the places are evenly spaced.

    Args:
        curves: all with the same places.
        path: the PNG file.
        title: of the chart.
        lines: values at which to draw a faint horizontal line.
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


def draw_roofline(
    points: Mapping[str, Sequence[tuple[float, float]]],
    path: str | PathLike[str],
    *,
    gflops: float,
    gbytes: float,
) -> None:
    """Draw speeds below the roof that a machine allows (Williams, Waterman and Patterson, 2009).

    Args:
        points: for each candidate, pairs of operations per byte and Gflop/s; both axes are
            logarithmic.
        path: the PNG file.
        gflops: the flat part of the roof.
        gbytes: the slope of the other part, in Gbyte/s.
    """
    intensities = [x for own in points.values() for x, _ in own]
    speeds = [y for own in points.values() for _, y in own]
    left, right = min([*intensities, gflops / gbytes]) / 1.5, max(intensities) * 1.5
    low, high = min([*speeds, gbytes * left]) / 1.5, max([*speeds, gflops]) * 1.5
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / left) / math.log(right / left)
        down = math.log(high / y) / math.log(high / low)
        return LEFT + across * (WIDTH - LEFT - 40), TOP + down * (HEIGHT - TOP - BOTTOM)

    _text(draw, (16, 14), "Speed (Gflop/s) over intensity (flop/byte)", 16)
    for speed in (value * 10**power for power in range(-2, 5) for value in (1, 2, 5)):
        if low < speed < high:
            draw.line((*at(left, speed), *at(right, speed)), "#eeeeee")
            _text(draw, (16, at(left, speed)[1] - 8), f"{speed:g}", 12)
    for intensity in (value * 10**power for power in range(-2, 5) for value in (1, 2, 5)):
        if left < intensity < right:
            _text(draw, (at(intensity, low)[0] - 6, HEIGHT - BOTTOM + 6), f"{intensity:g}", 12)
    ridge = gflops / gbytes
    draw.line([at(left, gbytes * left), at(ridge, gflops), at(right, gflops)], "#333333", 2)
    for (name, own), colour, number in zip(points.items(), COLOURS, range(3), strict=False):
        for x, y in own:
            column, row = at(x, y)
            draw.ellipse((column - 4, row - 4, column + 4, row + 4), colour)
        _text(draw, (LEFT + number * 230, HEIGHT - 26), name, 12, colour)
    image.save(path, format="PNG")

"""A bar chart as a PNG, drawn with Pillow, which tinymnist needs anyway."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#3b6ea5", "#e0913a", "#7a9a3c")
PANEL_WIDTH, LABEL_WIDTH, BAR_WIDTH = 620, 210, 300
ROW, TITLE, MARGIN = 20, 34, 16


class Panel(NamedTuple):
    """One group of bars. Each row has a label and one number a part; parts are stacked."""

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

    Bars longer than six times the shortest of their panel are cut, marked so, and their number
    tells.

    Args:
        panels: groups of bars, each on a scale of its own.
        path: the PNG file.
        title: stands on top.
        parts: what the stacked numbers are.
        highlight: the label that is drawn in a darker ink.
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

"""Charts as inline SVG, coloured by the page's style sheet, so that they fit dark and light pages.

Every ``title`` is read out to those who cannot see the chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

_BINS = 24
_WIDTH, _HEIGHT, _FOOT = 260, 90, 16


def histogram(title: str, yours: Values, theirs: Values) -> str:
    """Two distributions on top of each other: yours as bars, theirs as an area behind them.

    Each is scaled to its own peak. The bins span the middle 98 % of both; the first and the last
    hold all values beyond.

    Args:
        title: what is measured.
        yours, theirs: values of any shape; NaN are left out.
    """
    both = [values[~np.isnan(values)] for values in (yours, theirs)]
    ends = [np.percentile(values, (1, 99)) for values in both if values.size]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    margin = 0.04 * (high - low)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    counts = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] for v in both]
    peaks, line = (number / max(number.max(), 1) for number in counts)
    step = _WIDTH / _BINS
    drawn = "".join(
        f'<rect class="yours" x="{i * step + 0.5:.1f}" y="{_HEIGHT * (1 - height):.1f}" '
        f'width="{step - 1:.1f}" height="{_HEIGHT * height:.1f}"/>'
        for i, height in enumerate(peaks)
        if height > 0
    )
    points = " ".join(
        f"{x:.1f},{_HEIGHT * (1 - height):.1f}"
        for i, height in enumerate(line)
        for x in (i * step, (i + 1) * step)
    )
    drawn += (
        f'<polygon class="theirs" points="0,{_HEIGHT} {points} {_WIDTH},{_HEIGHT}"/>'
        f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>'
    )
    digits = int(np.clip(np.ceil(1 - np.log10(edges[-1] - edges[0])), 0, 4))
    for i, anchor in ((0, "start"), (_BINS // 2, "middle"), (_BINS, "end")):
        number = round(float(edges[i]), digits) + 0.0  # adding 0 makes -0.0 plain 0.0
        drawn += _tick(f"{_WIDTH * i / _BINS:.0f}", _HEIGHT + 12, f"{number:.{digits}f}", anchor)
    return _svg(title, _WIDTH, _HEIGHT + _FOOT, drawn)


def bars(
    title: str,
    rows: Sequence[tuple[str, float, str, str]],
    left: int = 190,
    ticks: Sequence[tuple[float, str]] = (),
    limit: float | None = None,
) -> str:
    """Horizontal bars.

    Args:
        title: what is measured.
        rows: name, length 0..1, what to write behind the bar, the bar's CSS class.
        left: the room for names, in pixels.
        ticks: place 0..1 and text of each mark below the bars.
        limit: the place 0..1 of a broken line across all bars; None for none.
    """
    height, room = 26, 360
    drawn, foot = "", height * len(rows)
    for i, (name, share, note, kind) in enumerate(rows):
        y, width = i * height, max(0.0, min(1.0, share)) * room
        drawn += (
            f'<text class="label" x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(name)}'
            f'</text><rect class="track" x="{left}" y="{y + 4}" width="{room}" height="18"/>'
            f'<rect class="{kind}" x="{left}" y="{y + 4}" width="{width:.1f}" height="18"/>'
            f'<text class="label" x="{left + room + 8}" y="{y + 17}">{escape(note)}</text>'
        )
    for place, text in ticks:
        drawn += _tick(f"{left + place * room:.1f}", foot + 14, text)
    if limit is not None:
        x = f"{left + limit * room:.1f}"
        drawn += f'<line class="limit" x1="{x}" y1="0" x2="{x}" y2="{foot}"/>'
    return _svg(title, left + room + 130, foot + (20 if ticks else 0), drawn)


def columns(title: str, names: Sequence[str], yours: Values, theirs: Values) -> str:
    """A pair of columns per name; ``theirs`` may be empty."""
    top = max(yours.max(initial=0), theirs.max(initial=0), 1e-9)
    step = _WIDTH / max(len(names), 1)
    drawn = ""
    for i, name in enumerate(names):
        for values, kind, shift in ((yours, "yours", 0.1), (theirs, "theirs", 0.5)):
            if i < len(values):
                height = _HEIGHT * float(values[i]) / top
                drawn += (
                    f'<rect class="{kind}" x="{(i + shift) * step:.1f}" '
                    f'y="{_HEIGHT - height:.1f}" width="{0.4 * step:.1f}" height="{height:.1f}"/>'
                )
        drawn += _tick(f"{(i + 0.5) * step:.1f}", _HEIGHT + 12, name[:6])
    return _svg(title, _WIDTH, _HEIGHT + _FOOT, drawn)


def _tick(x: str, y: int, text: str, anchor: str = "middle") -> str:
    return f'<text class="tick" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, width: float, height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>'
        f"{inside}</svg>"
    )

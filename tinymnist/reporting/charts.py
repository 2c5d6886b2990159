"""Charts as inline SVG, coloured by the page's style sheet, so that they fit dark and light pages.

Every ``title`` is read out to those who cannot see the chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_BINS = 24
_WIDTH, _HEIGHT, _FOOT = 260, 90, 16


def histogram(title: str, yours: NDArray[np.floating], theirs: NDArray[np.floating]) -> str:
    """Two distributions on top of each other: yours as bars, theirs as an area behind them.

    Each is scaled to its own peak. The first and the last bar hold all values beyond.

    Args:
        title: what is measured.
        yours, theirs: values of any shape; NaN are left out.
    """
    yours, theirs = (values[~np.isnan(values)] for values in (yours, theirs))
    edges = _edges(yours, theirs)
    bars, line = (_heights(values, edges) for values in (yours, theirs))
    step = _WIDTH / _BINS
    drawn = "".join(
        f'<rect class="yours" x="{i * step + 0.5:.1f}" y="{_HEIGHT * (1 - height):.1f}" '
        f'width="{step - 1:.1f}" height="{_HEIGHT * height:.1f}"/>'
        for i, height in enumerate(bars)
        if height > 0
    )
    points = " ".join(
        f"{x:.1f},{_HEIGHT * (1 - height):.1f}"
        for i, height in enumerate(line)
        for x in (i * step, (i + 1) * step)
    )
    outline = (
        f'<polygon class="theirs" points="0,{_HEIGHT} {points} {_WIDTH},{_HEIGHT}"/>'
        f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>'
    )
    return _svg(title, _WIDTH, _HEIGHT + _FOOT, drawn + outline + _ticks(edges))


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
    drawn, foot = [], height * len(rows)
    for i, (name, share, note, kind) in enumerate(rows):
        y, width = i * height, max(0.0, min(1.0, share)) * room
        drawn.append(
            f'<text class="label" x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(name)}'
            f'</text><rect class="track" x="{left}" y="{y + 4}" width="{room}" height="18"/>'
            f'<rect class="{kind}" x="{left}" y="{y + 4}" width="{width:.1f}" height="18"/>'
            f'<text class="label" x="{left + room + 8}" y="{y + 17}">{escape(note)}</text>'
        )
    drawn += [
        f'<text class="tick" x="{left + place * room:.1f}" y="{foot + 14}" text-anchor="middle">'
        f"{escape(text)}</text>"
        for place, text in ticks
    ]
    if limit is not None:
        x = f"{left + limit * room:.1f}"
        drawn.append(f'<line class="limit" x1="{x}" y1="0" x2="{x}" y2="{foot}"/>')
    return _svg(title, left + room + 130, foot + (20 if ticks else 0), "".join(drawn))


def columns(
    title: str, names: Sequence[str], yours: NDArray[np.floating], theirs: NDArray[np.floating]
) -> str:
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
        drawn += (
            f'<text class="tick" x="{(i + 0.5) * step:.1f}" y="{_HEIGHT + 12}" '
            f'text-anchor="middle">{escape(name[:6])}</text>'
        )
    return _svg(title, _WIDTH, _HEIGHT + _FOOT, drawn)


def _edges(yours: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bins that span the middle 98 % of both."""
    ends = [np.percentile(values, (1, 99)) for values in (yours, theirs) if values.size]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    margin = 0.04 * (high - low)
    edges: NDArray[np.float64] = np.linspace(low - margin, high + margin, _BINS + 1)
    return edges


def _heights(values: NDArray[np.floating], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(values, edges[0], edges[-1])
    counts = np.histogram(inside, edges)[0].astype(np.float64)
    heights: NDArray[np.float64] = counts / max(counts.max(initial=0), 1)
    return heights


def _ticks(edges: NDArray[np.float64]) -> str:
    """Three numbers below the axis, with only the digits that distinguish them."""
    span = float(edges[-1] - edges[0])
    digits = int(np.clip(np.ceil(1 - np.log10(span)), 0, 4))
    places = ((0, "start"), (_BINS // 2, "middle"), (_BINS, "end"))
    return "".join(
        f'<text class="tick" x="{_WIDTH * i / _BINS:.0f}" y="{_HEIGHT + 12}" '
        f'text-anchor="{anchor}">{_short(edges[i], digits)}</text>'
        for i, anchor in places
    )


def _short(number: float, digits: int) -> str:
    return f"{round(float(number), digits) + 0.0:.{digits}f}"  # adding 0 makes -0.0 plain 0.0


def _svg(title: str, width: float, height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>'
        f"{inside}</svg>"
    )

"""Charts as inline SVG; the page's style sheet colours them, so they fit dark and light."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_BINS = 24
_WIDTH, _HEIGHT, _FOOT = 260, 90, 16


def histogram(title: str, yours: NDArray[np.floating], theirs: NDArray[np.floating]) -> str:
    """Two distributions over one another: yours as bars, MNIST's as a line.

    Each is scaled to its own peak. The first and the last bar hold whatever lies beyond.

    Args:
        title: for those who cannot see it.
        yours, theirs: values, any shape; NaN are left out.
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
        f'<polygon class="mnist" points="0,{_HEIGHT} {points} {_WIDTH},{_HEIGHT}"/>'
        f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>'
    )
    return _svg(title, _WIDTH, _HEIGHT + _FOOT, drawn + outline + _ticks(edges))


def bars(title: str, rows: Sequence[tuple[str, float, str, str]]) -> str:
    """Horizontal bars.

    Args:
        title: for those who cannot see it.
        rows: name, length 0..1, what to write behind it, class of the bar.
    """
    height, left, room = 26, 190, 360
    drawn = []
    for i, (name, share, note, kind) in enumerate(rows):
        y, width = i * height, max(0.0, min(1.0, share)) * room
        drawn.append(
            f'<text class="label" x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(name)}'
            f'</text><rect class="track" x="{left}" y="{y + 4}" width="{room}" height="18"/>'
            f'<rect class="{kind}" x="{left}" y="{y + 4}" width="{width:.1f}" height="18"/>'
            f'<text class="label" x="{left + room + 8}" y="{y + 17}">{escape(note)}</text>'
        )
    return _svg(title, left + room + 130, height * len(rows), "".join(drawn))


def columns(
    title: str, names: Sequence[str], yours: NDArray[np.floating], theirs: NDArray[np.floating]
) -> str:
    """Pairs of columns, one pair a class; ``theirs`` may be empty."""
    top = max(yours.max(initial=0), theirs.max(initial=0), 1e-9)
    step = _WIDTH / max(len(names), 1)
    drawn = ""
    for i, name in enumerate(names):
        for values, kind, shift in ((yours, "yours", 0.1), (theirs, "mnist", 0.5)):
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
    """Bins over the middle 98 % of both, whichever reaches further."""
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
    """Three numbers below the axis, as short as tells them apart."""
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

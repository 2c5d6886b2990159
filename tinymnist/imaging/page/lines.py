"""Drawn lines on a page, nearly level or upright: of tables, forms, boxes and under sums.

A line is a ridge: darker than the paper on both its sides, along a stretch longer than a stroke.
Averaging along that stretch first brings out lines that are fainter than the noise, lets them be
crossed and broken, and weakens everything that is short. Lines may bend: each is a curve, sampled
in every column (or row) of the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.digit.components import Index, Mask, find_components
from tinymnist.imaging.digit.filters import pad_edges
from tinymnist.imaging.picture.otsu import sample
from tinymnist.imaging.picture.pixels import Array

_STRETCH, _MIN_STRETCH = 0.014, 7
"""Darkness is averaged along this share of the page's longer side, and over at least 7 pixels."""
_HALF_WIDTHS = (2, 4, 7)  # pixels from a line's middle to where paper must lie, for each thickness
_MIN_RIDGE = 0.012  # how much darker than the paper beside it a line is at least (0..1),
_MIN_TO_USUAL, _USUAL = 3.0, 0.7  # and than this quantile of all pixels' ridges, this many times
_MIN_LENGTH = 1.6  # of a piece of a line, in stretches
_MAX_GAP, _MAX_OFF, _MAX_TURN = 3.0, 2.5, 0.06
"""Pieces are joined over gaps of this many stretches, if each leads to the other up to this many
pixels, and one more for each 1 / 0.06 pixels of the gap."""
_GAP_COST = 0.05  # of two pieces that a line may go on with, one is nearer by this many pixels
_MIN_REACH = 20  # pixels of a piece's end from which its direction is taken, or half of it
_MAX_LINES = 120  # the longest are kept


@dataclass(frozen=True)
class Lines:
    """n lines that are nearly level, as functions of the column; upright ones of the row."""

    at: Array  # (n, w), the height of each line in each column, extended beyond its ends
    starts: Index  # (n,), the first column of each,
    ends: Index  # (n,), and the last, exclusive
    ridge: Array  # (h, w) of the page, how much darker each pixel is than what is above and below


def stretch_of(shape: tuple[int, ...]) -> int:
    """The length in pixels along which a page's darkness is averaged; it is odd."""
    return max(_MIN_STRETCH, round(_STRETCH * max(shape)) | 1)


def find_lines(ink: Array) -> Lines:
    """Find the lines of a page that are nearly level.

    Args:
        ink: (h, w), how much of the paper's light is taken away, 0..1.

    Returns:
        The longest lines, in no order. Those of ``ink.T`` are the upright ones.
    """
    stretch = stretch_of(ink.shape)
    ridge = _ridges(_average_along(ink, stretch))
    level = max(_MIN_RIDGE, _MIN_TO_USUAL * float(np.quantile(sample(ridge), _USUAL)))
    pieces = _trace(_crests(ridge, level), ridge, int(_MIN_LENGTH * stretch))
    return _as_lines(_joined(pieces, stretch), ridge)


def _average_along(ink: Array, stretch: int) -> Array:
    """The mean of ``stretch`` pixels of the row around each pixel."""
    wide = pad_edges(ink, stretch // 2 + 1)[stretch // 2 + 1 : -(stretch // 2) - 1]
    sums = np.cumsum(wide, axis=1, dtype=np.float32)
    return np.asarray(
        (sums[:, stretch : stretch + ink.shape[1]] - sums[:, : ink.shape[1]]) / stretch, np.float32
    )


def _ridges(ink: Array) -> Array:
    """How much darker each pixel is than the darker of what lies above and below it; 0 if not."""
    best = np.zeros_like(ink)
    height = len(ink)
    for half in _HALF_WIDTHS:
        padded = pad_edges(ink, half)[:, half:-half]
        beside = np.maximum(padded[:height], padded[2 * half :])
        np.maximum(best, ink - beside, out=best)
    return best


def _crests(ridge: Array, level: float) -> Mask:
    """The pixels that are the highest of a ridge from top to bottom, and those next to them."""
    padded = pad_edges(ridge, 2)[:, 2:-2]
    height = len(ridge)
    top = ridge > level
    for down in (0, 1, 3, 4):
        top &= ridge >= padded[down : down + height]
    thick = top.copy()
    thick[1:] |= top[:-1]
    thick[:-1] |= top[1:]
    return thick & (ridge > level)


Piece = tuple[int, Array]
"""A piece of a line: its first column, and its height in each column from there."""


def _trace(crests: Mask, ridge: Array, shortest: int) -> list[Piece]:
    """Each component of the crests as a curve: the mean height of each column's pixels."""
    parts = find_components(crests)
    wide, tall = parts.boxes[:, 3] - parts.boxes[:, 1], parts.boxes[:, 2] - parts.boxes[:, 0]
    kept = np.flatnonzero((wide >= shortest) & (tall <= wide / 2))
    pieces: list[Piece] = []
    for mark in kept:
        top, left, bottom, right = parts.boxes[mark]
        own = parts.labels[top:bottom, left:right] == mark
        weight = ridge[top:bottom, left:right] * own
        mass = weight.sum(0)
        heights = top + (weight * np.arange(bottom - top, dtype=np.float32)[:, None]).sum(0) / mass
        pieces.append((int(left), np.asarray(heights, np.float32)))
    return pieces


def _joined(pieces: list[Piece], stretch: int) -> list[list[Piece]]:
    """Chain pieces that continue each other, from the left."""
    pieces = sorted(pieces, key=lambda piece: piece[0])
    chains: list[list[Piece]] = []
    ends = np.zeros((len(pieces), 4))  # of each chain: last column, length, height and slope there
    for piece in pieces:
        start, length = piece[0], len(piece[1])
        last, before, height, slope = ends[: len(chains)].T
        own_height, own_slope = _direction(piece, at_end=False)
        gap = start - last
        near = (gap >= -stretch) & (gap <= _MAX_GAP * stretch + np.maximum(before, length) / 4)
        off = np.abs(height + slope * gap / 2 - (own_height - own_slope * gap / 2))
        cost = off + _GAP_COST * gap
        cost[~near | (off > _MAX_OFF + _MAX_TURN * gap.clip(0))] = np.inf
        number = int(np.argmin(cost)) if len(cost) and np.isfinite(cost).any() else len(chains)
        if number == len(chains):
            chains.append([])
        chains[number].append(piece)
        ends[number] = (start + length, length, *_direction(piece, at_end=True))
    return chains


def _direction(piece: Piece, *, at_end: bool) -> tuple[float, float]:
    """The height and slope of a piece at its end, or at its start."""
    heights = piece[1]
    reach = min(len(heights), max(_MIN_REACH, len(heights) // 2))
    part = heights[-reach:] if at_end else heights[:reach]
    columns = np.arange(reach) - (reach - 1) / 2
    slope = float(columns @ part) / max(float(columns @ columns), 1.0)
    return float(part.mean()) + slope * (reach / 2 if at_end else -reach / 2), slope


def _as_lines(chains: list[list[Piece]], ridge: Array) -> Lines:
    """Fill the gaps of each chain, smooth it, and extend it over the whole page."""
    chains.sort(key=lambda chain: -sum(len(piece[1]) for piece in chain))
    chains, width = chains[:_MAX_LINES], ridge.shape[1]
    at = np.zeros((len(chains), width), np.float32)
    starts, ends = np.zeros(len(chains), np.intp), np.zeros(len(chains), np.intp)
    columns = np.arange(width, dtype=np.float32)
    for number, chain in enumerate(chains):
        known = np.concatenate([start + np.arange(len(heights)) for start, heights in chain])
        heights = np.concatenate([heights for _, heights in chain])
        known, first = np.unique(known, return_index=True)
        heights = heights[first]
        starts[number], ends[number] = known[0], known[-1] + 1
        degree = 2 if len(known) > 60 else 1
        curve = np.polynomial.Polynomial.fit(known, heights, degree)
        left, right = float(known[0]), float(known[-1])
        slope = curve.deriv()
        inside = np.clip(columns, left, right)
        at[number] = curve(inside) + slope(inside) * (columns - inside)
        at[number, known[0] : known[-1] + 1] += _smooth(
            np.interp(columns[known[0] : known[-1] + 1], known, heights - curve(known))
        )
    return Lines(at, starts, ends, ridge)


def _smooth(values: Array) -> Array:
    """A running mean over 9 values; the ends are repeated."""
    wide = np.pad(values, 4, mode="edge")
    sums = np.cumsum(np.concatenate([[0.0], wide]))
    return np.asarray((sums[9:] - sums[:-9]) / 9, np.float32)

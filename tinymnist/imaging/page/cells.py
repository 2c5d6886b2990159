"""The cells of a grid, each cut out upright and clear of the grid's lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.digit.components import Components, Mask, find_components
from tinymnist.imaging.digit.paper import light_taken
from tinymnist.imaging.page.grid import Corners, Lattice
from tinymnist.imaging.page.lattice import Box
from tinymnist.imaging.picture.pixels import Array

_SIDE = 56  # pixels of a patch for the shorter side of a cell,
_MAX_ASPECT = 12  # and at most this many times more for the longer one
_MARGIN = 0.18  # of the shorter side, shown around the cell: ink may cross its lines
_WIDEST_STROKE = 0.55  # of a cell's shorter side; what is wider is a tinted cell, or a shadow
_CORE = 0.2  # of the shorter side, from the cell's lines to where only writing is expected
_BAND = 0.14  # of the shorter side, on both sides of where a line should be
_MIN_LINE = 0.6  # the share of a row of pixels that a line covers
_FULL = 0.97  # the quantile of the ink in a cell's middle that is what is written there
_MIN_INK = 0.06  # writing takes away at least this share of the light,
_MIN_TO_MOST = 0.18  # and this share of what the darkest cells' writing takes;
_DARKEST = 0.9  # they are at this quantile of all cells
_EDGE = 0.35  # between paper (0) and a cell's darkest ink (1), where a stroke ends
_MIN_CORE = 0.25  # the share of a mark that lies in the core, or it is a neighbour's
_MIN_MARK = 0.1  # of the shorter side; smaller marks are dust


@dataclass(frozen=True)
class Patch:
    """A cell, upright."""

    row: int
    column: int
    ink: Array  # (h, w), how much of the paper's light is taken away, 0..1, with margins
    inner: tuple[slice, slice]  # the cell without margins
    corners: Corners  # (2, 2, 2): of the cell, down and right in pixels of the page

    @property
    def box(self) -> Box:
        """Top, left, bottom, right of the cell on the page."""
        return _around(self.corners.reshape(-1, 2))

    def on_page(self, box: Box) -> Box:
        """Top, left, bottom, right on the page of a box in the patch."""
        (rows, columns), (upper, lower) = self.inner, self.corners
        down = (np.array(box[::2]) - rows.start) / (rows.stop - rows.start)
        across = (np.array(box[1::2]) - columns.start) / (columns.stop - columns.start)
        top = upper[0] + across[:, None] * (upper[1] - upper[0])
        bottom = lower[0] + across[:, None] * (lower[1] - lower[0])
        return _around((top + down[:, None, None] * (bottom - top)).reshape(-1, 2))


def cut_cells(dark: Array, lattice: Lattice) -> list[Patch]:
    """Cut the cells of a grid out of a page (h, w) in 0..1 with dark ink, row by row."""
    corners = lattice.corners
    top, left = np.maximum(corners.reshape(-1, 2).min(0) - _cell_side(corners), 0).astype(int)
    bottom, right = (corners.reshape(-1, 2).max(0) + _cell_side(corners)).astype(int) + 1
    area = dark[top:bottom, left:right]
    widest = _WIDEST_STROKE * _cell_side(corners) / max(area.shape)
    ink = light_taken(area, widest, 0.004, 2)
    talls, wides = (np.linalg.norm(np.diff(corners, axis=axis), axis=-1) for axis in (0, 1))
    heights = [_pixels(float(tall), _cell_side(corners)) for tall in np.median(talls, axis=1)]
    widths = [_pixels(float(wide), _cell_side(corners)) for wide in np.median(wides, axis=0)]
    return [
        _patch(ink, corners[row : row + 2, column : column + 2], (top, left), row, column, size)
        for row, height in enumerate(heights)
        for column, width in enumerate(widths)
        for size in [(height, width)]
    ]


def _pixels(side: float, usual: float) -> int:
    """The pixels of a patch along a side of this length."""
    return round(_SIDE * min(max(side / usual, 0.5), _MAX_ASPECT))


def _around(points: Corners) -> Box:
    """The box around points (n, 2)."""
    top, left = np.floor(points.min(0)).astype(int).clip(0).tolist()
    bottom, right = np.ceil(points.max(0)).astype(int).clip(1).tolist()
    return top, left, bottom, right


def find_marks(patches: list[Patch]) -> list[Components]:
    """Find what is written in each cell, clear of the lines around it; nothing in empty cells."""
    inks = np.array([_written(patch) for patch in patches])
    least = max(_MIN_INK, _MIN_TO_MOST * float(np.quantile(inks, _DARKEST)))
    return [
        _marks(patch, ink) if ink >= least else _no_marks(patch)
        for patch, ink in zip(patches, inks.tolist(), strict=True)
    ]


def _core(patch: Patch) -> Array:
    """The middle of a cell, away from its lines."""
    rows, columns = patch.inner
    depth = round(_CORE * _SIDE)
    return patch.ink[
        rows.start + depth : rows.stop - depth, columns.start + depth : columns.stop - depth
    ]


def _written(patch: Patch) -> float:
    """How much darker than its paper the darkest part of a cell's middle is."""
    return float(np.quantile(_core(patch), _FULL)) - _paper(patch)


def _paper(patch: Patch) -> float:
    """The ink of a cell's paper; a bold digit fills more than half of the middle, not of all."""
    return float(min(np.median(_core(patch)), np.median(patch.ink[patch.inner])))


def _no_marks(patch: Patch) -> Components:
    return Components(np.full(patch.ink.shape, -1, np.intp), np.zeros((0, 4), np.intp))


def _marks(patch: Patch, ink: float) -> Components:
    """The marks in a cell of whose middle the darkest part is ``ink`` darker than paper."""
    paper = _paper(patch)
    mask = patch.ink > paper + _EDGE * ink
    mask &= ~_lines(mask, patch.inner)
    parts = find_components(mask)
    core = np.zeros(mask.shape, bool)
    depth = round(_MIN_MARK * _SIDE)
    rows, columns = patch.inner
    core[rows.start + depth : rows.stop - depth, columns.start + depth : columns.stop - depth] = (
        True
    )
    inside = parts.count(mask & core) >= _MIN_CORE * parts.count(mask)
    sizes = (parts.boxes[:, 2:] - parts.boxes[:, :2]).max(1, initial=0)
    return parts.only(np.flatnonzero(inside & (sizes >= _MIN_MARK * _SIDE)))


def _lines(mask: Mask, inner: tuple[slice, slice]) -> Mask:
    """The pixels of the lines around a cell, except those where a stroke crosses one."""
    return _level_lines(mask, *inner) | _level_lines(mask.T, *inner[::-1]).T


def _level_lines(mask: Mask, rows: slice, columns: slice) -> Mask:
    """The lines above and below."""
    found = np.zeros_like(mask)
    band = round(_BAND * _SIDE)
    covered = mask[:, columns].mean(1) >= _MIN_LINE
    for middle in (rows.start, rows.stop):
        lines = np.flatnonzero(covered[max(middle - band, 0) : middle + band])
        if lines.size == 0:
            continue
        first = max(middle - band, 0) + int(lines[0])
        last = max(middle - band, 0) + int(lines[-1])
        above = mask[max(first - 2, 0)] if first > 0 else np.zeros(mask.shape[1], bool)
        below = mask[min(last + 2, len(mask) - 1)]
        crossed = above & below & mask[max(first - 1, 0)] & mask[min(last + 1, len(mask) - 1)]
        found[first : last + 1] = ~crossed
    return found


def _cell_side(corners: Corners) -> float:
    """The usual length of a cell's shorter sides, in pixels."""
    lengths = [np.linalg.norm(np.diff(corners, axis=axis), axis=-1) for axis in (0, 1)]
    return float(min(np.median(lengths[0]), np.median(lengths[1])))


def _patch(
    ink: Array,
    corners: Corners,
    start: tuple[int, int],
    row: int,
    column: int,
    size: tuple[int, int],
) -> Patch:
    margin, (height, width) = round(_MARGIN * _SIDE), size
    down = ((np.arange(height + 2 * margin) - margin + 0.5) / height)[:, None, None]
    across = ((np.arange(width + 2 * margin) - margin + 0.5) / width)[:, None]
    upper = corners[0, 0] + across * (corners[0, 1] - corners[0, 0])  # (w, 2)
    lower = corners[1, 0] + across * (corners[1, 1] - corners[1, 0])
    places = upper + down * (lower - upper) - np.array(start)  # (h, w, 2)
    inner = slice(margin, margin + height), slice(margin, margin + width)
    return Patch(row, column, _sampled(ink, places), inner, corners)


def _sampled(ink: Array, places: Corners) -> Array:
    """Values between pixels (h, w, 2), by bilinear interpolation; 0 beyond the page."""
    limits = np.array(ink.shape) - 1
    inside = ((places >= 0) & (places <= limits)).all(-1)
    first = np.clip(np.floor(places).astype(np.intp), 0, np.maximum(limits - 1, 0))
    share = np.clip(places - first, 0, 1).astype(np.float32)
    down, right = first[..., 0], first[..., 1]
    below, after = np.minimum(down + 1, limits[0]), np.minimum(right + 1, limits[1])
    upper = ink[down, right] * (1 - share[..., 1]) + ink[down, after] * share[..., 1]
    lower = ink[below, right] * (1 - share[..., 1]) + ink[below, after] * share[..., 1]
    mixed = upper * (1 - share[..., 0]) + lower * share[..., 0]
    return np.asarray(np.where(inside, mixed, 0), np.float32)

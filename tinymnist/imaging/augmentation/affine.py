"""Rotation, shift, shear and zoom as one matrix: Keras's, so that pictures come out as there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Parameters = Mapping[str, NDArray[Any]]
"""By Keras's names (theta, tx, ty, shear, zx, zy ...), (n,) each: one number a picture."""

STILL = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0}
"""What leaves a picture where it is."""


def moves(parameters: Parameters) -> bool:
    """Whether any picture is moved at all."""
    return any(np.any(parameters[name] != value) for name, value in STILL.items())


def affine_maps(
    parameters: Parameters, height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each picture, where its pixels come from: ``matrix @ (row, column) + offset``.

    Keras multiplies rotation, shift, shear and zoom, in this order, about the middle of the
    picture, with ``x`` standing for columns and ``y`` for rows in its matrices, while ``tx`` counts
    columns by that matrix only: the axes change places at the end. Its shear is no area-preserving
    one: rows are also drawn together by the cosine.

    Args:
        parameters: ``theta`` and ``shear`` in degrees, ``tx`` and ``ty`` in pixels, ``zx`` and
            ``zy`` as factors, (n,) each.
        height, width: of the pictures.

    Returns:
        matrices (n, 2, 2) and offsets (n, 2), over (row, column).
    """
    p = {name: np.asarray(parameters[name], np.float64) for name in STILL}
    one, zero = np.ones_like(p["theta"]), np.zeros_like(p["theta"])
    cos, sin = np.cos(np.deg2rad(p["theta"])), np.sin(np.deg2rad(p["theta"]))
    slant = np.deg2rad(p["shear"])
    factors = (
        ((cos, -sin, zero), (sin, cos, zero)),
        ((one, zero, p["tx"]), (zero, one, p["ty"])),
        ((one, -np.sin(slant), zero), (zero, np.cos(slant), zero)),
        ((p["zx"], zero, zero), (zero, p["zy"], zero)),
    )
    matrix = _square(factors[0])
    for factor in factors[1:]:
        matrix = matrix @ _square(factor)  # (n, 3, 3)
    middle = height / 2 - 0.5, width / 2 - 0.5
    matrix = _moved(*middle) @ matrix @ _moved(-middle[0], -middle[1])
    matrix = matrix[:, [1, 0, 2]][:, :, [1, 0, 2]]
    return matrix[:, :2, :2], matrix[:, :2, 2]


def _square(rows: Any) -> NDArray[np.float64]:
    """Two rows of three (n,) arrays, and 0 0 1 below: (n, 3, 3)."""
    upper = np.stack([np.stack(row, axis=-1) for row in rows], axis=1)  # (n, 2, 3)
    lowest = np.broadcast_to([0.0, 0.0, 1.0], (len(upper), 1, 3))
    return np.concatenate([upper, lowest], axis=1)


def _moved(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

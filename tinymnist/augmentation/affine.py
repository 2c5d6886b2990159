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
    picture, and lets the axes change places at the end. So ``tx`` moves along columns, although
    it is drawn from ``height_shift_range``, and on pictures that are not square the middle lies
    elsewhere. Its shear also draws the picture together, by the cosine.

    Args:
        parameters: ``theta`` and ``shear`` in degrees, ``tx`` and ``ty`` in pixels, ``zx`` and
            ``zy`` as factors, (n,) each.
        height, width: of the pictures.

    Returns:
        matrices (n, 2, 2) and offsets (n, 2), over (row, column).
    """
    turn, slant = np.deg2rad(parameters["theta"]), np.deg2rad(parameters["shear"])
    factors = np.zeros((4, len(turn), 3, 3))
    factors[:] = np.eye(3)
    rotation, shift, shear, zoom = factors
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(turn)
    rotation[:, 1, 0] = np.sin(turn)
    rotation[:, 0, 1] = -rotation[:, 1, 0]
    shift[:, 0, 2], shift[:, 1, 2] = parameters["tx"], parameters["ty"]
    shear[:, 0, 1], shear[:, 1, 1] = -np.sin(slant), np.cos(slant)
    zoom[:, 0, 0], zoom[:, 1, 1] = parameters["zx"], parameters["zy"]
    middle = height / 2 - 0.5, width / 2 - 0.5
    centred = _moved(*middle) @ (rotation @ shift @ shear @ zoom) @ _moved(-middle[0], -middle[1])
    matrices = centred[:, :2]  # (n, 2, 3)
    return matrices[:, ::-1, 1::-1], matrices[:, ::-1, 2]


def _moved(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

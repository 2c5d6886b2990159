"""What a visitor does to pictures in MNIST's form before the network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.augmentation.compose import map_planes
from tinymnist.augmentation.effects import Blur
from tinymnist.augmentation.resample import affine_maps, resample_affine
from tinymnist.errors import InputError
from tinymnist.imaging.digit.filters import dilate
from tinymnist.nn.arrays import Array

_DISC = 1.5  # the radius, from the centre of a pixel, of a disc that covers its four neighbours
RANGES: dict[str, tuple[float, float]] = {
    "noise": (0, 1),  # standard deviation
    "blur": (0, 4),  # pixels, standard deviation
    "thickness": (-1.5, 3),  # pixels by which every edge of a stroke moves
    "turn": (-180, 180),  # degrees, clockwise
    "right": (-14, 14),  # pixels
    "down": (-14, 14),  # pixels
}
"""The effects and their limits; 0 leaves a picture as it is."""


def check_effects(given: Any) -> dict[str, float]:
    """The effects that do something.

    Raises:
        InputError: for an unknown one, or a number outside its range.
    """
    if not isinstance(given, Mapping) or (unknown := sorted(set(given) - set(RANGES))):
        rule = f"effects may be {', '.join(RANGES)}"
        raise InputError(f"{rule}; received {unknown if isinstance(given, Mapping) else given!r}")
    for name, value in given.items():
        low, high = RANGES[name]
        if not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"{name} must be in {low}..{high}; received {value!r}")
    return {name: float(value) for name, value in given.items() if value}


def apply_effects(images: Array, effects: Mapping[str, float], seed: int = 0) -> Array:
    """Change pictures (n, h, w, 1) in 0..1; the result is in 0..1 too.

    Strokes first, then the place, then the lens, then the sensor: as a picture is made.
    """
    if radius := effects.get("thickness"):
        images = map_planes(lambda plane, _: _moved_edges(plane, radius), images)
    if effects.keys() & {"turn", "right", "down"}:
        images = _placed(images, effects)
    if sigma := effects.get("blur"):
        images = Blur(sigma, sigma)(images, np.random.default_rng(seed))
    if noise := effects.get("noise"):
        drawn = np.random.default_rng(seed).normal(0, noise, images.shape)
        images = np.clip(images + drawn.astype(np.float32), 0, 1)
    return images


def _moved_edges(ink: Array, pixels: float) -> Array:
    """Strokes whose edges move out, or in if the number is negative, pixel by pixel.

    A fraction of a pixel interpolates, as in :class:`tinymnist.augmentation.effects.StrokeWidth`.
    """
    if pixels < 0:
        thinner: Array = 1 - _moved_edges(1 - ink, -pixels)
        return thinner
    while pixels > 0:
        ink = ink + np.float32(min(pixels, 1)) * (dilate(ink, _DISC) - ink)
        pixels -= 1
    return ink


def _placed(images: Array, effects: Mapping[str, float]) -> Array:
    """Turned about the centre, then shifted; black comes in from outside."""
    n, h, w, _ = images.shape
    angle, ones = np.full(n, -effects.get("turn", 0.0)), np.ones(n)
    zero = 0 * ones
    maps = affine_maps(
        {"theta": angle, "shear": zero, "tx": zero, "ty": zero, "zx": ones, "zy": ones}, h, w
    )
    shift = np.array([effects.get("down", 0.0), effects.get("right", 0.0)])
    offsets = maps[1] - maps[0] @ shift  # the place of the output that is not shifted
    return resample_affine(images, (maps[0], offsets), "constant")

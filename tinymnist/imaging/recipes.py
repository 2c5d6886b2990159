"""Ways to make a network's input of a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL.Image import Resampling

from tinymnist.errors import InputError
from tinymnist.imaging.decode import Source, decode, describe
from tinymnist.imaging.filters import resize
from tinymnist.imaging.frame import SIDE
from tinymnist.imaging.isolate import NoDigitFound
from tinymnist.imaging.normalize import normalize
from tinymnist.imaging.pixels import Array


def mnist(grey: Array) -> Array:
    """MNIST's own recipe, and what it takes for granted: see :mod:`tinymnist.imaging.normalize`."""
    return normalize(grey)


def tutorial(grey: Array) -> Array:
    """The tutorials' recipe: resize to 28x28, whatever is on the picture and whichever its ink."""
    return np.clip(resize(grey, (SIDE, SIDE), Resampling.BICUBIC), 0, 1)


def as_it_is(grey: Array) -> Array:
    """Nothing: the picture is (28, 28), white ink on black.

    Raises:
        InputError: when it has another shape.
    """
    if grey.shape != (SIDE, SIDE):
        raise InputError(
            f"recipe 'none' takes a picture of {SIDE}x{SIDE} pixels as it is; use recipe 'mnist' "
            f"for others. Received: {grey.shape[1]}x{grey.shape[0]} pixels"
        )
    return grey


RECIPES: dict[str, Callable[[Array], Array]] = {
    "mnist": mnist,
    "resize": tutorial,
    "none": as_it_is,
}
"""Name -> a function of a grey picture (h, w) in 0..1, as displayed, to (28, 28) in 0..1."""


def prepare(source: Source, recipe: str = "mnist") -> Array:
    """Make a network's input of one picture.

    Args:
        source: anything that :func:`tinymnist.imaging.decode.decode` takes.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``.

    Returns:
        (28, 28, 1) float32 in 0..1. White ink on black if the recipe is ``mnist``; the others
        leave the ink as it is.

    Raises:
        InputError: when the source cannot be read or does not fit the recipe.
        NoDigitFound: an InputError, when recipe ``mnist`` finds a blank picture.
        ValueError: when there is no such recipe.
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe is one of {', '.join(RECIPES)}. Received: recipe={recipe!r}")
    grey = decode(source)
    try:
        return RECIPES[recipe](grey)[..., None]
    except NoDigitFound as error:
        raise NoDigitFound(f"{describe(source)}: {error}") from None
    except InputError as error:
        raise InputError(f"{describe(source)}: {error}") from None

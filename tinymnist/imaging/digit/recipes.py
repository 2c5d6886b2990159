"""Ways to make a network's input of a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL.Image import Resampling

from tinymnist.errors import InputError
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.frame import SIDE
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.readings import readings as readings_of
from tinymnist.imaging.picture.decode import Source, decode, describe
from tinymnist.imaging.picture.pixels import Array


def mnist(grey: Array) -> Array:
    """MNIST's own recipe, and what it takes for granted: see :mod:`.normalize`."""
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


def prepare_image(source: Source, recipe: str = "mnist") -> Array:
    """Make a network's input of one picture.

    Args:
        source: anything that :func:`tinymnist.imaging.picture.decode.decode` takes.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``.

    Returns:
        (28, 28, 1) float32 in 0..1. White ink on black if the recipe is ``mnist``; the others
        leave the ink as it is.

    Raises:
        InputError: when the source cannot be read or does not fit the recipe.
        NoDigitFound: an InputError, when recipe ``mnist`` finds a blank picture.
        ValueError: when there is no such recipe.
    """
    return _followed(source, recipe, RECIPES)[..., None]


def readings(source: Source, recipe: str = "mnist") -> Array:
    """Make a network's inputs of one picture: every way in which the recipe may understand it.

    Args:
        source, recipe: as for :func:`prepare_image`.

    Returns:
        (k, 28, 28, 1) float32; the first is what :func:`prepare_image` gives. Recipe ``mnist`` gives up
        to four, see :mod:`tinymnist.imaging.digit.readings`; the others give one.

    Raises:
        InputError, NoDigitFound, ValueError: as :func:`prepare_image`.
    """
    ways = {name: partial(_alone, make) for name, make in RECIPES.items()}
    return _followed(source, recipe, ways | {"mnist": readings_of})[..., None]


def _alone(make: Callable[[Array], Array], grey: Array) -> Array:
    return make(grey)[None]


def _followed(source: Source, recipe: str, ways: dict[str, Callable[[Array], Array]]) -> Array:
    """What a recipe makes of a source; errors tell the source's name."""
    if recipe not in RECIPES:
        raise ValueError(f"recipe is one of {', '.join(RECIPES)}. Received: recipe={recipe!r}")
    grey = decode(source)
    try:
        return ways[recipe](grey)
    except NoDigitFound as error:
        raise NoDigitFound(f"{describe(source)}: {error}") from None
    except InputError as error:
        raise InputError(f"{describe(source)}: {error}") from None

"""Every way in which a picture may be understood, where the recipe is in doubt.

A stage of the recipe has to decide, and a later one cannot take it back. Where two decisions are
nearly as good, both are carried through to MNIST's form, and the network, which knows what digits
look like, weighs them: it is sure of digits alone, so each reading counts by the network's odds.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from tinymnist.imaging.digit.filters import shrink
from tinymnist.imaging.digit.frame import SIDE
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import is_mnist, normalize
from tinymnist.imaging.digit.paper import ink_darkness
from tinymnist.imaging.picture.pixels import Array

_DOUBT = 0.6
"""Below this, of 1.25, the polarity is not sure."""
_COARSE = 384


def readings(grey: Array) -> Array:
    """Bring one digit to MNIST's form, in more than one way where there is doubt.

    The polarity may be the other one. A picture of 28x28 pixels may have MNIST's form but for some
    damage, which the recipe could take for ink; so it is also read as it is.

    Args:
        grey: (h, w) float32 in 0..1 as displayed.

    Returns:
        (k, 28, 28) float32 in 0..1, white ink on black, k from 1 to 4. The recipe's own result,
        that of :func:`~tinymnist.imaging.digit.normalize.normalize`, comes first.

    Raises:
        NoDigitFound: when the picture is blank, or nothing stands out in it.
    """
    ways = [normalize(grey)]
    if is_mnist(grey):
        return np.stack(ways)
    darkness = ink_darkness(shrink(grey, _COARSE))
    light, dark = (1 - grey, grey) if darkness >= 0 else (grey, 1 - grey)
    is_doubtful = abs(darkness) < _DOUBT
    if is_doubtful:
        with suppress(NoDigitFound):
            ways.append(normalize(light, skip=("slant", "polarity")))
    if grey.shape == (SIDE, SIDE):
        ways += [light, dark] if is_doubtful else [light]
    return np.stack(ways)

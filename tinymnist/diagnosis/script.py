"""Lines of Python that repair a user's own script: with tinymnist, and without it."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis import by_hand
from tinymnist.imaging.picture.decode import decode
from tinymnist.reader import Reader
from tinymnist.reporting.figures import to_picture

MOST_MEASURED = 100
"""Pictures on which the lines without tinymnist are measured."""
WITH_TINYMNIST = """\
from tinymnist import prepare_image

x = prepare_image("photo.jpg")[None]  # (1, 28, 28, 1) float32 in 0..1, white on black
print(model.predict(x).argmax(axis=1))
"""
_USE = """

x = prepare("photo.jpg").reshape(1, 28, 28, 1)
print(model.predict(x).argmax(axis=1))
"""


class ByHand(NamedTuple):
    """How many of ``n`` pictures are read right after ``by_hand.prepare``."""

    right: int
    n: int


def without_tinymnist() -> str:
    """The lines that need NumPy and Pillow alone."""
    source = inspect.getsource(by_hand)
    return source[source.index("import numpy") :] + _USE


def measure_by_hand(sources: Sequence[Any], truth: NDArray[np.int64], reader: Reader) -> ByHand:
    """Prepare pictures by hand and read them; one on which it fails counts as misread.

    Args:
        sources: n of what :func:`tinymnist.imaging.picture.decode.decode` takes; at most
            :data:`MOST_MEASURED` of them are taken, evenly.
        truth: (n,) the numbers of their classes.
        reader: the network.
    """
    count = min(len(sources), MOST_MEASURED)
    numbers = np.unique(np.linspace(0, len(sources) - 1, count).round().astype(int))
    right = 0
    for number in numbers.tolist():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                x = by_hand.prepare(_as_file(sources[number])).astype(np.float32)
        except Exception:  # whatever a script of a few lines trips over
            continue
        right += int(reader.probabilities(x[None, ..., None])[0].argmax() == truth[number])
    return ByHand(right, len(numbers))


def _as_file(source: Any) -> Any:
    if isinstance(source, str | PathLike):
        return source
    file = io.BytesIO()
    to_picture(decode(source)).save(file, "PNG")
    file.seek(0)
    return file

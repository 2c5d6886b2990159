"""From pictures in MNIST's form to a network's input, and from its output to a prediction.

Pictures in MNIST's form are (28, 28, 1), 0..1, white ink on black. Other people's networks take
them flat, larger, in 0..255 or normalized. A model's ``metadata["preprocessing"]`` says how::

    {"recipe": "mnist",
     "scaling": {"name": "x/127.5-1", "scale": 2.0, "offset": -1.0},
     "fit": "pad"}

The network gets ``picture * scale + offset``. A scaling may also have ``"axis": 1``, for every
column of the picture divided by its length, or 2, for every row. ``fit`` is how 28x28 becomes the
size that the network takes: zeros around the picture ("pad"), "resize", or means of blocks
("average", for 14x14 and 7x7). If both are missing, pictures go in as they are. The model's input
shape decides how they are reshaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional import softmax
from tinymnist.nn.layers import Dropout, Flatten, Reshape
from tinymnist.nn.metadata import FITS
from tinymnist.nn.sequential import Sequential
from tinymnist.reporting.text import percent

SIDE = 28
SCALINGS: dict[str, tuple[float, float]] = {
    "x/255": (1.0, 0.0),
    "raw": (255.0, 0.0),
    "x/127.5-1": (2.0, -1.0),
    "norm(.1307,.3081)": (1 / 0.3081, -0.1307 / 0.3081),
    "1-x/255": (-1.0, 1.0),
    "x/255-0.5": (1.0, -0.5),
}
"""By name, scale and offset for pictures in 0..1; ``x`` in the names is a pixel in 0..255."""
UNIT_LENGTH_AXES = {"normalize(axis=1)": 1, "normalize(axis=2)": 2}
"""The axis of (n, h, w) along which ``keras.utils.normalize`` made vectors of length 1."""
SCALING_NAMES = (*SCALINGS, *UNIT_LENGTH_AXES)
"""Every scaling, the most common first."""


def picture_side(shape: Shape) -> int | None:
    """The side of the square pictures that a model with this input takes; None if it takes none.

    (28, 28, 1), (28, 28), (784,), (1, 784), (1, 28, 28) and (28, 28, 3) all take pictures of 28.
    """
    sides = list(shape)
    while 1 in sides:
        sides.remove(1)
    if len(sides) == 3 and shape[-1] == 3:
        sides.pop()
    if len(sides) == 2 and sides[0] == sides[1]:
        return sides[0]
    if len(sides) == 1 and (side := math.isqrt(sides[0])) ** 2 == sides[0]:
        return side
    return None


def possible_fits(shape: Shape) -> tuple[str | None, ...]:
    """The ways to bring 28x28 to the size that a model takes; (None,) if it takes 28x28."""
    side = picture_side(shape)
    if side is None or side == SIDE:
        return (None,)
    if side > SIDE:
        return ("pad", "resize")
    return ("resize",) if SIDE % side else ("average", "resize")


def scaling_entry(name: str) -> dict[str, Any]:
    """The entry ``preprocessing["scaling"]`` for a scaling of :data:`SCALING_NAMES`."""
    scale, offset = SCALINGS.get(name, (1.0, 0.0))
    axis = {"axis": UNIT_LENGTH_AXES[name]} if name in UNIT_LENGTH_AXES else {}
    return {"name": name, "scale": scale, "offset": offset, **axis}


def model_input(images: Array, shape: Shape, preprocessing: Mapping[str, Any]) -> Array:
    """Bring pictures in MNIST's form to the form that a model takes.

    Args:
        images: (n, 28, 28, 1) in 0..1.
        shape: the model's input shape.
        preprocessing: the model's.

    Returns:
        (n, *shape), float32; the same array if there is nothing to do.

    Raises:
        InputError: when the model does not take pictures, or the preprocessing is invalid.
    """
    side = picture_side(shape)
    if side is None:
        raise InputError(f"the model takes {shape}; expected a model that takes square pictures")
    x = images if side == SIDE else _resized(images, side, preprocessing.get("fit", "resize"))
    if (scaling := preprocessing.get("scaling")) is not None:
        x = _scaled(x, scaling)
    if len(shape) == 3 and shape[-1] == 3:
        x = np.repeat(x, 3, axis=-1)  # (n, side, side, 1) -> (n, side, side, 3)
    return x.reshape(len(x), *shape)


def _resized(images: Array, side: int, fit: object) -> Array:
    if fit == "pad" and side > SIDE:
        before = (side - SIDE) // 2
        frame = (before, side - SIDE - before)
        return np.pad(images, ((0, 0), frame, frame, (0, 0)))
    if fit == "average" and SIDE % side == 0:
        block = SIDE // side
        means: Array = images.reshape(-1, side, block, side, block, 1).mean(axis=(2, 4))
        return means
    if fit != "resize":
        raise InputError(f"preprocessing must fit by one of {FITS} here; received {fit!r}")
    from tinymnist.imaging.digit.filters import resize

    small = [resize(image[..., 0], (side, side)) for image in images]
    return np.stack(small)[..., None] if small else np.zeros((0, side, side, 1), np.float32)


def _scaled(x: Array, scaling: object) -> Array:
    match scaling:
        case {"scale": int() | float() as scale, "offset": int() | float() as offset, **rest}:
            if "axis" in rest:
                x = with_unit_length(x, rest["axis"])
            return x if (scale, offset) == (1, 0) else x * np.float32(scale) + np.float32(offset)
    raise InputError(
        f"preprocessing must scale by {{'scale': number, 'offset': number}}; received {scaling!r}"
    )


def with_unit_length(x: Array, axis: object) -> Array:
    """Divide every column (``axis`` 1) or row (2) of pictures (n, h, w, c) by its length.

    An empty one stays 0. Keras: ``keras.utils.normalize(x, axis)``.

    Raises:
        InputError: for another axis.
    """
    if axis not in UNIT_LENGTH_AXES.values():
        raise InputError(f"preprocessing may divide along axis 1 or 2; received {axis!r}")
    length = np.sqrt(np.square(x).sum(axis=1 if axis == 1 else 2, keepdims=True))
    return np.divide(x, np.where(length > 0, length, np.float32(1)))


_MIN_FOR_A_PLAN = 8
"""For the one or two readings of a single picture, making a plan costs more than it saves."""
_MOST_ODDS = 1e4
"""The largest weight of one reading of a picture: a network is never quite certain."""


def probabilities(model: Sequential, x: Array, *, plain: bool | None = None) -> NDArray[np.float32]:
    """A model's output for ``x``, as probabilities (n, classes).

    ``plain`` leaves out the inference plan; None does so for a few examples.

    Logits and log-probabilities go through a softmax, unless the model ends in one; sigmoids are
    divided by their sum.
    """
    if plain is None:
        plain = len(x) < _MIN_FOR_A_PLAN
    outputs = model.predict(x, logits=True, plain=plain)
    outputs = outputs.reshape(len(outputs), -1)
    activation, is_last = final_activation(model)
    if not is_last and activation == "softmax":
        return outputs
    if activation == "sigmoid":
        return shares_of(outputs)
    return np.asarray(softmax(outputs)[0])


def shares_of(outputs: Array) -> NDArray[np.float32]:
    """Divide the numbers (n, classes) of each picture by their sum."""
    total: Array = np.maximum(outputs.sum(axis=1, keepdims=True), np.float32(1e-12))
    return np.divide(outputs, total)


def final_activation(model: Sequential) -> tuple[str, bool]:
    """The activation, or else the class in lower case, of the last layer that computes something.

    Also whether it is the last layer of all, which none follows that only moves numbers.
    """
    moving = (Dropout, Flatten, Reshape)  # layers that only move numbers
    last: object = None
    for layer in model.layers:
        last = last if isinstance(layer, moving) else layer
    return getattr(last, "activation", type(last).__name__.lower()), last is model.layers[-1]


def check_classifier(model: Sequential) -> None:
    """Make sure that a model takes square pictures and answers with one number per class.

    Raises:
        InputError: if it does not.
    """
    name, shape, outputs = model.name, model.input_shape, model.output_shape
    if picture_side(shape) is None:
        raise InputError(f"{name} takes {shape}; expected a model that takes square pictures")
    if sum(side != 1 for side in outputs) != 1 or math.prod(outputs) == math.prod(shape):
        what = "a number" if math.prod(outputs) == 1 else "a picture"
        expected = "expected one number per class, so a classifier"
        raise InputError(f"{name} answers with {what}, {outputs}; {expected}")


_SURE_OF_DIGIT = 0.5
"""With less confidence than this, what is on a picture may not be a digit."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a network makes of one picture. A notebook shows it with the picture.

    Two predictions are equal if their probabilities and class names are; ``int(prediction)`` is
    the digit.

    Attributes:
        probabilities: (classes,) float32, summing to 1.
        class_names: what the classes are called.
        picture: (28, 28) in 0..1, what the network saw; None if unknown. Of several readings of
            the picture it is the one that counts most.
        count: how many digits seem to stand beside each other; with more than one, no answer is
            more probable than its share of them.
    """

    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture: NDArray[np.float32] | None = None
    count: int = 1

    @property
    def digit(self) -> int | str:
        """The most probable class: a number if all classes are digits, else its name."""
        return self._ranked[0][0]

    @property
    def confidence(self) -> float:
        """The probability of :attr:`digit`."""
        return self._ranked[0][1]

    @property
    def runner_up(self) -> tuple[int | str, float]:
        """The second most probable class and its probability."""
        return self._ranked[1]

    @property
    def note(self) -> str:
        """What speaks against the answer, in a few words; empty if nothing does."""
        if self.count > 1:
            return "several digits: use tinymnist read"
        first, confidence = self._ranked[0]
        is_doubtful = confidence < _SURE_OF_DIGIT and isinstance(first, int)
        return "may not be a digit" if is_doubtful else ""

    @cached_property
    def _ranked(self) -> list[tuple[int | str, float]]:
        """All classes and their probabilities, the most probable first."""
        kind = int if set(self.class_names) <= set("0123456789") else str
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        return [(kind(self.class_names[i]), float(self.probabilities[i])) for i in order]

    def __int__(self) -> int:
        return int(self.digit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prediction):
            return NotImplemented
        return self.class_names == other.class_names and np.array_equal(
            self.probabilities, other.probabilities
        )

    def __hash__(self) -> int:
        return hash((self.class_names, self.probabilities.tobytes()))

    def __repr__(self) -> str:
        return f"Prediction(digit={self.digit!r}, confidence={self.confidence:.4f})"

    def _repr_html_(self) -> str:
        """The picture as the network saw it, the class, and the most probable other ones."""
        from html import escape  # none of these is needed to read

        from tinymnist.reporting.figures import to_picture
        from tinymnist.reporting.html import image

        first, *others = (f"{escape(str(name))} {percent(p)}" for name, p in self._ranked[:3])
        shown = ""
        if self.picture is not None:
            shown = image(to_picture(self.picture, (112, 112)), f"read as {self.digit}") + "<br>"
        return f"<div>{shown}<b>{first}</b><br><small>{', '.join(others)}</small></div>"


_SURE_OF_MARK = 0.6
"""A mark that is read with this confidence counts as a digit, if there are others beside it."""
_SURE_OF_PIECES = 0.9
"""Marks that together are read with this confidence are pieces of one digit."""


def mean_by_odds(ways: NDArray[np.float32], owners: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of every picture's readings, each weighed by the odds on its most probable class.

    If a reading confuses ink and paper, the network is unsure of it. In a plain mean it would halve
    the confidence of the other reading. ``ways`` (r, classes) belong to the pictures ``owners``
    (r,); the result is (pictures, classes) float32.
    """
    sure = ways.max(axis=1).astype(np.float64)
    odds = sure / np.maximum(1 - sure, 1 / _MOST_ODDS)
    totals = np.bincount(owners, odds)
    means = np.zeros((len(totals), ways.shape[1]))
    np.add.at(means, owners, (odds / totals[owners])[:, None] * ways)
    return means.astype(np.float32)


def share_among_marks(
    shares: NDArray[np.float32], marks: NDArray[np.float32], is_gathered: bool
) -> tuple[NDArray[np.float32], int]:
    """The probabilities of a digit that may be one of several on a picture.

    Args:
        shares: (classes,), of the picture as a whole.
        marks: (m, classes), of each mark alone.
        is_gathered: whether the whole holds all the marks; then they may be pieces of one digit.

    Returns:
        The probabilities (classes,), of which the highest falls to its share of the digits, and
        how many digits there are.
    """
    highest = float(shares.max())
    count = int((marks.max(axis=1) >= _SURE_OF_MARK).sum())
    if count < 2 or (is_gathered and highest >= _SURE_OF_PIECES):
        return shares, 1
    even = 1 / len(shares)
    kept = max(highest / count - even, 0) / max(highest - even, 1e-6)
    return np.asarray(even + kept * (shares - even), np.float32), count

"""The array types of the whole network, and how windows fit into pictures.

The rules of "same" and "valid" padding, for convolution and pooling, are TensorFlow's:
https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A NumPy array; float32 or float64 unless stated otherwise."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one picture or feature vector: without the batch axis."""

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]
"""((top, bottom), (left, right))"""
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]
"""What callers may pass for ``padding``."""


class Eager(np.ndarray[Any, Any]):
    """An array with the one method of TensorFlow's that scripts call: ``model(x).numpy()``."""

    def numpy(self) -> Array:
        """The same numbers as a plain array."""
        return np.asarray(self)


class Named(dict[str, Array]):
    """Arrays by name, and as scripts for Keras have them, by number: ``model.weights[0]``."""

    def __missing__(self, key: Any) -> Array:
        if not isinstance(key, (int, np.integer)):
            raise KeyError(key)
        return [*self.values()][key].view(Eager)


FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
"""What a network computes in: float32 for use, float64 as the reference."""


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Check a dtype for parameters and activations.

    Raises:
        ValueError: for any dtype other than float32 and float64.
    """
    chosen: np.dtype[Any] = np.dtype(dtype)
    if chosen not in FLOATS:
        raise ValueError(f"dtype must be float32 or float64. Received: dtype={dtype!r}")
    return chosen


def settings_repr(owner: Any, always: Container[str] = ()) -> str:
    """How a dataclass of settings was made: ``Conv2D(32, 3, activation="relu", name="conv2d")``.

    Settings without a default come first, by position; then those that differ from their default,
    and those named in ``always``.
    """
    fields = [f for f in dataclasses.fields(owner) if f.init and f.repr]
    shown = []
    for field in sorted(fields, key=lambda f: (f.kw_only, f.name in ("name", "trainable"))):
        value = getattr(owner, field.name)
        text = f'"{value}"' if isinstance(value, str) else repr(value)
        factory, missing = field.default_factory, dataclasses.MISSING
        if field.default is missing and factory is missing:
            shown.append(text)
        elif field.name in always or value != (field.default if factory is missing else factory()):
            shown.append(f"{field.name}={text}")
    return f"{type(owner).__name__}({', '.join(shown)})"


_NO_PADS = ((0, 0), (0, 0))


class Windows(NamedTuple):
    """How a window slides over pictures. All sizes are pixels, as (height, width).

    Window (i, j) has its tap (a, b) on pixel ``(i * sh + a * dh, j * sw + b * dw)`` of the padded
    picture.
    """

    size: Pair
    """(h, w) of the picture, without padding."""
    kernel: Pair
    strides: Pair
    dilation: Pair
    pads: Pads
    output: Pair
    """(oh, ow): how many windows fit."""


def fit_windows(
    size: Shape,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Windows:
    """Check the settings of a sliding window, and count how often it fits into a picture.

    Args:
        size: (h, w).
        kernel_size, strides, dilation: one number, or (height, width).
        padding: ``"valid"`` (none), ``"same"`` (output is input / stride, rounded up), one number
            for all four sides, ``(vertical, horizontal)``, or ``((top, bottom), (left, right))``.

    Raises:
        ValueError: if a setting is not valid, or no window fits.
    """
    pairs: list[Pair] = []
    for name, value in (("kernel_size", kernel_size), ("strides", strides), ("dilation", dilation)):
        if isinstance(value, int) and value > 0:
            pairs.append((value, value))
        else:
            pairs.append(as_pair(value, name))
    pads = _NO_PADS if padding in ("valid", "same") else _read_padding(padding)
    found, output = [], []
    for side, (taps, stride, gap), pad in zip(size, zip(*pairs, strict=True), pads, strict=True):
        span = (taps - 1) * gap + 1  # from the first tap to the last
        if padding == "same":  # as little as lets ceil(side / stride) fit; an odd pixel goes last
            total = max((-(-side // stride) - 1) * stride + span - side, 0)
            pad = (total // 2, total - total // 2)  # noqa: PLW2901
        room = side + pad[0] + pad[1] - span
        if room < 0:
            raise ValueError(
                "the window must fit into the padded input. "
                f"Received: size={side}, padding={pad}, kernel={taps}, dilation={gap}"
            )
        found.append(pad)
        output.append(room // stride + 1)
    window, steps, gaps = pairs
    h, w = size
    return Windows((h, w), window, steps, gaps, (found[0], found[1]), (output[0], output[1]))


def as_pair(value: int | Sequence[int], name: str, minimum: int = 1) -> Pair:
    """Read ``3`` as ``(3, 3)`` and ``(3, 5)`` as itself.

    Raises:
        ValueError: unless it is one or two whole numbers of at least ``minimum``.
    """
    match (value, value) if isinstance(value, int) else tuple(value):
        case (int(first), int(second)) if min(first, second) >= minimum:
            return first, second
    rule = f"{name} must be one or two whole numbers of at least {minimum}"
    raise ValueError(f"{rule}. Received: {name}={value!r}")


def _read_padding(padding: Padding) -> Pads:
    """A padding in numbers: one for all sides, one per axis, or one per side."""
    received = f"Received: padding={padding!r}"
    if isinstance(padding, str):
        raise ValueError(f'padding must be "valid", "same" or numbers of pixels. {received}')
    sides: Sequence[Any] = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(sides) != 2:
        raise ValueError(f"padding must be given for two axes, height and width. {received}")
    return as_pair(sides[0], "padding", 0), as_pair(sides[1], "padding", 0)

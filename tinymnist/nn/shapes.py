"""Output sizes and padding of sliding windows: integers only, no arrays.

The one place with the rules of "same" and "valid", for convolution and pooling. They are
TensorFlow's: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]
"""((top, bottom), (left, right))"""
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]
"""What callers may pass for ``padding``."""


def as_pair(value: int | Sequence[int], name: str, minimum: int = 1) -> Pair:
    """Read ``3`` as ``(3, 3)`` and ``(3, 5)`` as itself.

    Raises:
        ValueError: unless it is one or two whole numbers of at least ``minimum``.
    """
    match (value, value) if isinstance(value, int) else tuple(value):
        case (int(first), int(second)) if min(first, second) >= minimum:
            return first, second
    raise ValueError(
        f"{name} must be one or two whole numbers of at least {minimum}. Received: {name}={value!r}"
    )


def window_span(kernel: int, dilation: int) -> int:
    """How many pixels a window covers from its first tap to its last."""
    return (kernel - 1) * dilation + 1


def output_size(size: int, kernel: int, stride: int, dilation: int, pad: Pair) -> int:
    """How many windows fit along one axis: ``floor((size + pad - span) / stride) + 1``.

    Raises:
        ValueError: if the window does not fit at all.
    """
    room = size + pad[0] + pad[1] - window_span(kernel, dilation)
    if room < 0:
        raise ValueError(
            "the window must fit into the padded input. "
            f"Received: size={size}, padding={pad}, kernel={kernel}, dilation={dilation}"
        )
    return room // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    """The padding for an output of ``ceil(size / stride)``; an odd pixel goes last."""
    wanted = -(-size // stride)
    total = max((wanted - 1) * stride + window_span(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


def resolve_padding(
    padding: Padding, size: Pair, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)
) -> Pads:
    """Turn the setting ``padding`` into pixels.

    Args:
        padding: ``"valid"`` (none), ``"same"`` (output is input / stride, rounded up), one number
            for all four sides, ``(vertical, horizontal)``, or ``((top, bottom), (left, right))``.
        size, kernel, strides, dilation: (height, width) each.

    Raises:
        ValueError: for any other padding.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        vertical, horizontal = (
            same_padding(*axis) for axis in zip(size, kernel, strides, dilation, strict=True)
        )
        return vertical, horizontal
    if isinstance(padding, str):
        raise ValueError(
            f'padding must be "valid", "same" or numbers of pixels. Received: padding={padding!r}'
        )
    sides: tuple[int | Sequence[int], ...] = (
        (padding, padding) if isinstance(padding, int) else tuple(padding)
    )
    if len(sides) != 2:
        raise ValueError(
            f"padding must be given for two axes, height and width. Received: padding={padding!r}"
        )
    return as_pair(sides[0], "padding", 0), as_pair(sides[1], "padding", 0)


def window_output(
    size: Pair, kernel: Pair, strides: Pair, pads: Pads, dilation: Pair = (1, 1)
) -> Pair:
    """(height, width) of the output of a window that slides over ``size``."""
    return (
        output_size(size[0], kernel[0], strides[0], dilation[0], pads[0]),
        output_size(size[1], kernel[1], strides[1], dilation[1], pads[1]),
    )

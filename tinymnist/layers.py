"""Layers where Keras users look for them: ``from tinymnist.layers import Conv2D, Dense``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn import layers
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.graph import Input as Input  # noqa: PLC0414
from tinymnist.nn.layers import *  # noqa: F403
from tinymnist.nn.layers.base import Tensor


def add(inputs: Sequence[Tensor]) -> Any:
    """``Add()(inputs)``."""
    return layers.Add()(inputs)


def concatenate(inputs: Sequence[Tensor], axis: int = -1) -> Any:
    """``Concatenate()(inputs)``; of the channels alone."""
    if axis not in (-1, 3):
        raise ValueError(f"axis of concatenate must be -1. Received: {axis=}")
    return layers.Concatenate()(inputs)


def multiply(inputs: Sequence[Tensor]) -> Any:
    """``Multiply()(inputs)``."""
    return layers.Multiply()(inputs)


def average(inputs: Sequence[Tensor]) -> Any:
    """The mean of two or more tensors: their sum, scaled."""
    return layers.Rescaling(1 / len(inputs))(layers.Add()(inputs))


def Average() -> Callable[[Sequence[Tensor]], Any]:
    """:func:`average`, to be called on tensors."""
    return average


def InputLayer(input_shape: Sequence[int] | None = None, *args: Any, **settings: Any) -> Input:
    """``Input``; the shape has had two names."""
    return Input(settings.pop("shape", input_shape), *args, **settings)


class _Chain(Graph):
    """Layers in place of one of Keras's; a model that takes them in builds them."""

    def __init__(self, *chain: layers.Layer) -> None:
        super().__init__()
        self.layers += chain
        if chain[0].input_shape is not None:
            self.shapes[INPUT] = chain[0].input_shape

    def __call__(self, inputs: Any) -> Any:
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


def SeparableConv2D(
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    **settings: Any,
) -> Graph:
    """Two layers: ``DepthwiseConv2D`` without a bias, and a ``Conv2D`` of one pixel.

    Args:
        filters, kernel_size, strides, padding: as of ``Conv2D``.
        settings: Keras's further ones; those of ``depthwise_...`` and ``pointwise_...`` go to the
            layer that they name. ``name`` is the second layer's; the first one has "_depthwise"
            behind it.

    Raises:
        TypeError, ValueError: as the two layers do.
    """
    words = ("dilation_rate", "depth_multiplier", "input_shape", "input_dim", "batch_input_shape")
    first = {word: settings.pop(word) for word in words if word in settings}
    both = {word: settings[word] for word in ("data_format", "trainable") if word in settings}
    for word in [*settings]:
        part, _, rest = word.partition("_")
        if part in ("depthwise", "pointwise"):
            (first if part == "depthwise" else settings)[f"kernel_{rest}"] = settings.pop(word)
    if settings.get("name"):
        first["name"] = f"{settings['name']}_depthwise"
    depthwise = layers.DepthwiseConv2D(
        kernel_size, strides, padding, use_bias=False, **first, **both
    )
    return _Chain(depthwise, layers.Conv2D(filters, 1, **settings))


_PROBES = np.concatenate([np.linspace(-4, 4, 15), [1e-3, 255.0, -1e4, 1e5]]).reshape(1, 19, 1, 1)


def Lambda(function: Callable[[Any], Any], **settings: Any) -> layers.Layer:
    """The layer that computes what ``function`` does: ``Lambda(lambda x: x / 255)`` rescales.

    A function could not be saved, and has no gradient here. So it is called once, on numbers that
    show whether it is ``x * scale + offset`` or an activation; that layer takes its place.

    Args:
        function: works on arrays; not kept.
        settings: ``name``, ``input_shape`` and ``trainable``.

    Raises:
        InputError: if it is neither.
    """
    settings = {word: value for word, value in settings.items() if word != "output_shape"}
    try:
        found = np.asarray(function(_PROBES), np.float64)
    except Exception as error:  # whatever the user's code raises
        raise _unknown(function, f"{type(error).__name__}: {error}") from error
    if found.shape == _PROBES.shape:
        offset = float(found.flat[7])  # at 0
        scale = float((found.flat[-1] - offset) / _PROBES.flat[-1])
        if np.allclose(found, _PROBES * scale + offset, rtol=1e-6, atol=1e-9):
            return layers.Rescaling(scale, offset, **settings)
        for name, (activation, _) in sorted(layers.ACTIVATIONS.items()):
            with np.errstate(all="ignore"):
                if np.allclose(found, activation(_PROBES)[0], rtol=1e-6, atol=1e-9):
                    return layers.Activation(name, **settings)
    raise _unknown(function, "other numbers")


def _unknown(function: Callable[[Any], Any], found: str) -> InputError:
    rule = "Lambda must compute x * scale + offset or an activation; write a layer for anything"
    return InputError(f"{rule} else (a subclass of Layer). Received: {function!r}, giving {found}")

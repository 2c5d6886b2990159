"""Layers where Keras users look for them: ``from tinymnist.layers import Conv2D, Dense``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinymnist.nn import layers
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

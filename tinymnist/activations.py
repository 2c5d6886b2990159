"""Activations where Keras users look for them: ``Dense(10, activation=activations.relu)``.

``activations.NAME(x)`` computes an array; a layer takes the function or its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array, Eager
from tinymnist.nn.layers.activation import ACTIVATIONS, check_activation


def get(identifier: Any) -> Callable[[Any], Array]:
    """The function of a name; of None "linear".

    Raises:
        ValueError: for an unknown name.
    """
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    name = check_activation(identifier)

    def activation(x: Any) -> Array:
        numbers = np.asarray(x)
        real = numbers if numbers.dtype.kind == "f" else numbers.astype(np.float32)
        return ACTIVATIONS[name][0](real)[0].view(Eager)

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = f"Compute ``{name}`` of an array."
    return activation


def __getattr__(name: str) -> Callable[[Any], Array]:
    if name not in (*ACTIVATIONS, "swish"):
        rule = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(rule, name=name, obj=sys.modules[__name__])
    return get(name)


def __dir__() -> list[str]:
    return ["get", *ACTIVATIONS]

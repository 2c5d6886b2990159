"""What a loss charges for large parameters, and what a parameter may not exceed, by Keras's names.

Like initializers, these are dicts ready for JSON: ``{"name": "l1_l2", "l1": 0.0, "l2": 0.01}`` and
``{"name": "max_norm", "max_value": 3, "axis": 0}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.layers.base import Layer

Part: TypeAlias = "dict[str, Any]"
_EPSILON = 1e-7
"""Keras adds this to a norm before it divides."""


def penalty_of(layers: Iterable[Layer]) -> float:
    """The sum of ``l1 * sum |w| + l2 * sum w^2`` over all regularized arrays that learn."""
    total = 0.0
    for layer, key, part in _parts(layers, "regularizer"):
        w = getattr(layer, key)
        total += part["l1"] * float(np.abs(w).sum()) + part["l2"] * float(np.square(w).sum())
    return total


def add_penalty_gradients(layers: Iterable[Layer], gradients: dict[str, Array]) -> None:
    """Add ``l1 * sign(w) + 2 * l2 * w`` to the gradients, by ``"layer/array"``."""
    for layer, key, part in _parts(layers, "regularizer"):
        w = getattr(layer, key)
        slope = part["l1"] * np.sign(w) + 2 * part["l2"] * w
        gradients[f"{layer.name}/{key}"] = gradients[f"{layer.name}/{key}"] + slope.astype(w.dtype)


def constrain(layers: Iterable[Layer]) -> None:
    """Bring all constrained arrays back into their bounds, in place."""
    for layer, key, part in _parts(layers, "constraint"):
        w, kind = getattr(layer, key), part["name"]
        if kind == "non_neg":
            np.maximum(w, 0, out=w)
            continue
        norms = np.sqrt(np.square(w).sum(axis=_axes(part["axis"]), keepdims=True))
        if kind == "max_norm":
            w *= np.clip(norms, 0, part["max_value"]) / (norms + _EPSILON)
        else:
            w /= norms + _EPSILON


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _parts(layers: Iterable[Layer], what: str) -> Iterable[tuple[Layer, str, Part]]:
    """Each layer that learns, the name of its array, and the part."""
    for layer in layers:
        for key in layer.parameters if layer.learns else ():
            part = getattr(layer, f"{key}_{what}", None)
            if part is not None and getattr(layer, key) is not None:
                yield layer, key, part

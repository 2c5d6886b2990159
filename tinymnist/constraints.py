"""Constraints where Keras users look for them: ``Dense(10, kernel_constraint=MaxNorm(3))``.

Each is a dict, see :mod:`tinymnist.nn.layers.regularizers`. It is applied after every step.
"""

from __future__ import annotations

from typing import Any


def MaxNorm(max_value: float = 2.0, axis: Any = 0) -> dict[str, Any]:
    """Scale down what is longer than ``max_value`` along ``axis``: the weights of one unit."""
    return {"name": "max_norm", "max_value": max_value, "axis": axis}


def UnitNorm(axis: Any = 0) -> dict[str, Any]:
    """Scale to a length of 1 along ``axis``."""
    return {"name": "unit_norm", "axis": axis}


def NonNeg() -> dict[str, Any]:
    """Raise negative weights to 0."""
    return {"name": "non_neg"}


max_norm = maxnorm = MaxNorm
unit_norm, non_neg, nonneg = UnitNorm, NonNeg, NonNeg

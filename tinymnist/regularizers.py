"""Regularizers where Keras users look for them: ``Dense(10, kernel_regularizer=l2(0.01))``.

Each is a dict, see :mod:`tinymnist.nn.layers.regularizers`; its name alone works, too.
"""

from __future__ import annotations

from typing import Any


def l1_l2(l1: float = 0.0, l2: float = 0.0) -> dict[str, Any]:
    """Add ``l1 * sum |w| + l2 * sum w^2`` to the loss."""
    return {"name": "l1_l2", "l1": float(l1), "l2": float(l2)}


def l1(l1: float = 0.01, l: float | None = None) -> dict[str, Any]:  # noqa: E741
    """Add ``l1 * sum |w|`` to the loss; Keras 2 called it ``l``."""
    return l1_l2(l1=l1 if l is None else l)


def l2(l2: float = 0.01, l: float | None = None) -> dict[str, Any]:  # noqa: E741
    """Add ``l2 * sum w^2`` to the loss; Keras 2 called it ``l``."""
    return l1_l2(l2=l2 if l is None else l)


L1, L2, L1L2 = l1, l2, l1_l2

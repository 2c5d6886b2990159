"""Dropout (Srivastava et al., 2014): switch numbers off at random while training."""

from __future__ import annotations

import numpy as np

from tinymnist.nn.arrays import Array


def dropout(x: Array, drop_rate: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Zero each number with probability ``drop_rate``; scale the others by ``1 / (1 - drop_rate)``.

    The scaling keeps the expected value, so that inference needs no correction ("inverted"
    dropout, as in Keras and PyTorch).

    Args:
        x: any shape.
        drop_rate: 0 <= drop_rate < 1.
        rng: where the choice comes from.

    Returns:
        y and the mask (0 or the scale), which is all that the backward pass needs.
    """
    if not 0 <= drop_rate < 1:
        raise ValueError(f"drop_rate must be in [0, 1). Received: drop_rate={drop_rate!r}")
    kept = rng.random(x.shape, np.float32) >= drop_rate
    mask = kept * np.asarray(1 / (1 - drop_rate), x.dtype)
    return x * mask, mask


def dropout_backward(dy: Array, mask: Array) -> Array:
    """What was switched off gets no gradient, the rest is scaled as it was."""
    return dy * mask

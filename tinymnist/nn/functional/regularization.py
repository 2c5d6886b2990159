"""Dropout (Srivastava et al., 2014): set numbers to zero at random while training."""

from __future__ import annotations

import numpy as np

from tinymnist.nn.arrays import Array


def dropout(x: Array, drop_rate: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Zero each number with probability ``drop_rate``; scale the others by ``1 / (1 - drop_rate)``.

    The scaling keeps the expected value, so inference needs no correction ("inverted" dropout, as
    in Keras and PyTorch).

    Args:
        x: any shape.
        drop_rate: 0 <= drop_rate < 1.
        rng: draws one number per value of ``x``.

    Returns:
        y in the shape and dtype of ``x``, and the mask (0 or the scale) for the backward pass.

    Raises:
        ValueError: for a rate outside [0, 1).
    """
    if not 0 <= drop_rate < 1:
        raise ValueError(f"drop_rate must be in [0, 1). Received: drop_rate={drop_rate!r}")
    kept = rng.random(x.shape, np.float32) >= drop_rate
    mask = kept * np.asarray(1 / (1 - drop_rate), x.dtype)
    return x * mask, mask


def dropout_backward(dy: Array, mask: Array) -> Array:
    """Zero and scale the gradient exactly as the values were."""
    return dy * mask

"""The mean of the weights before and after training, which generalizes better than either.

Wortsman et al., "Robust fine-tuning of zero-shot models" (2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def average_with(model: Sequential, start: Mapping[str, Array], share: float) -> None:
    """Move every weight back towards its start; one that did not change keeps every bit.

    Args:
        model: its weights are changed in place.
        start: the weights before training, with the names and shapes of ``model.weights``.
        share: the weight of ``start`` in the mean, 0..1.
    """
    for name, array in model.weights.items():
        np.add(array, share * (start[name] - array), out=array)

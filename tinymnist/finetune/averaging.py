"""The mean of weights from before and after a training, which is surer than either.

Wortsman et al., "Robust fine-tuning of zero-shot models" (2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def average_with(model: Sequential, start: Mapping[str, Array], share: float) -> None:
    """Move every weight back by a share of its way; one that stayed keeps its very bits.

    Args:
        model: its weights are changed in place.
        start: the weights from before, with the names and shapes of ``model.weights``.
        share: of ``start`` in the mean, 0..1.
    """
    for name, array in model.weights.items():
        np.add(array, share * (start[name] - array), out=array)

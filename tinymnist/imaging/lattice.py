"""What is written in a row: the best way through its candidates.

A row is a chain of pieces of ink, and a candidate is a run of pieces that may be a digit. Who can
read says how sure each candidate is, and the cheapest way from one end to the other, over
candidates and past pieces that are no digit, is what is written: "heuristic over-segmentation",
Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE, 1998, section V. Costs are in nats: minus the logarithm of a
probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.pixels import Array

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Candidate:
    """A run of pieces that may be a digit.

    Attributes:
        first, last: numbers of its pieces in their row; ``last`` is exclusive.
        box: top, left, bottom, right in pixels of the page, bottom and right exclusive.
        image: (28, 28) float32, in MNIST's form.
        cost: what speaks against it by its geometry alone.
    """

    first: int
    last: int
    box: Box
    image: Array
    cost: float


@dataclass(frozen=True)
class Row:
    """What may be written in a row.

    Attributes:
        candidates: in no order of preference.
        skips: (n,) for each piece the cost of its being no digit.
        cuts: (n,) for each piece the cost of parting it from the one before.
    """

    candidates: list[Candidate]
    skips: Array
    cuts: Array

    def cheapest(self, confidences: Sequence[float]) -> list[int]:
        """The numbers of the candidates that are written here, from the left.

        Args:
            confidences: for each candidate the probability, in 0..1, of its being what it is
                taken for.
        """
        best, way = [0.0], [(-1, -1)]  # for each place between pieces: cost; candidate, place
        for place, skip in enumerate(self.skips, start=1):
            best.append(best[-1] + float(self.cuts[place - 1]) + float(skip))
            way.append((-1, place - 1))
            for number, candidate in enumerate(self.candidates):
                if candidate.last == place:
                    first = candidate.first
                    sure = max(float(confidences[number]), 1e-9)
                    cost = best[first] + float(self.cuts[first]) + candidate.cost - np.log(sure)
                    if cost < best[place]:
                        best[place], way[place] = float(cost), (number, first)
        chosen, place = [], len(self.skips)
        while place > 0:
            number, place = way[place]
            if number >= 0:
                chosen.append(number)
        return chosen[::-1]

"""What is written in a row: the cheapest path through its candidates.

A row is a chain of pieces of ink, and a candidate is a run of pieces that may be a digit. A reader
reports how sure it is of each candidate, and the cheapest path from one end to the other, over
candidates and past discarded pieces, is what is written: "heuristic over-segmentation", Y. LeCun,
L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE, 1998, section V. Costs are in nats: minus the logarithm of a probability.

At each place a path is in one of two states: among digits, where discarding a mark is an accident
and expensive, or among other matter, words for instance, where marks are passed cheaply, even if
one looks like a digit, as an o does. Going from one state to the other costs something as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.page.costs import uncertainty_cost
from tinymnist.imaging.picture.pixels import Array

Box = tuple[int, int, int, int]

DIGITS, OTHER = 0, 1
"""The states of a path."""


@dataclass(frozen=True)
class Candidate:
    """A run of pieces that may be a digit.

    Attributes:
        first, last: the range of its pieces in their row; ``last`` is exclusive.
        box: top, left, bottom, right in pixels of the page, bottom and right exclusive.
        image: (28, 28) float32, in MNIST's form.
        cost: the cost of its geometry.
    """

    first: int
    last: int
    box: Box
    image: Array
    cost: float


class _Move(NamedTuple):
    """A step of a path: over a candidate (its number), or past a piece (-1)."""

    state: int
    first: int
    last: int
    cost: float
    number: int


@dataclass(frozen=True)
class Row:
    """What may be written in a row.

    Attributes:
        candidates: the candidates, in no order of preference.
        skips: (n,), the cost of discarding each piece among digits.
        cuts: (n,), the cost of cutting each piece from the one before, of which the candidate that
            ends there pays half and the one that begins there half.
        passes: (n,), the cost of discarding each piece among other matter.
        switches: (n,), the cost of changing the state just before each piece; the first is the cost
            of beginning among other matter.
    """

    candidates: list[Candidate]
    skips: Array
    cuts: Array
    passes: Array
    switches: Array

    def cheapest(self, confidences: Sequence[float]) -> list[int]:
        """Find the numbers of the candidates that are written here, from the left.

        Args:
            confidences: for each candidate, how sure its reader is of it, 0..1.
        """
        best = [[math.inf, math.inf] for _ in range(len(self.skips) + 1)]  # by place and state
        best[0][DIGITS] = 0.0
        steps: dict[tuple[int, int], tuple[_Move, int]] = {}
        for move in self._moves(confidences):
            costs = best[move.first].copy()  # of coming to the move from either state
            costs[1 - move.state] += float(self.switches[move.first])
            state = DIGITS if costs[DIGITS] <= costs[OTHER] else OTHER
            if costs[state] + move.cost < best[move.last][move.state]:
                best[move.last][move.state] = costs[state] + move.cost
                steps[move.last, move.state] = move, state
        chosen: list[int] = []
        place, state = len(self.skips), DIGITS if best[-1][DIGITS] <= best[-1][OTHER] else OTHER
        while place > 0:
            move, state = steps[place, state]
            place = move.first
            if move.number >= 0:
                chosen.append(move.number)
        return chosen[::-1]

    def _moves(self, confidences: Sequence[float]) -> Iterator[_Move]:
        """Every step; all that lead to a place come before those that leave it."""
        starting: list[list[int]] = [[] for _ in self.skips]
        for number, candidate in enumerate(self.candidates):
            starting[candidate.first].append(number)
        cuts = np.append(self.cuts, 0.0)
        for place, numbers in enumerate(starting):
            yield _Move(DIGITS, place, place + 1, float(self.skips[place]), -1)
            yield _Move(OTHER, place, place + 1, float(self.passes[place]), -1)
            for number in numbers:
                candidate = self.candidates[number]
                cutting = float(cuts[candidate.first] + cuts[candidate.last]) / 2
                cost = candidate.cost + cutting + uncertainty_cost(float(confidences[number]))
                yield _Move(DIGITS, place, candidate.last, cost, number)

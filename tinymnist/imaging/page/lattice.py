"""What is written in a row: the best way through its candidates.

A row is a chain of pieces of ink, and a candidate is a run of pieces that may be a digit. Who can
read says how sure each candidate is, and the cheapest way from one end to the other, over
candidates and past pieces that are no digit, is what is written: "heuristic over-segmentation",
Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE, 1998, section V. Costs are in nats: minus the logarithm of a
probability.

A way is at any place in one of two states: among digits, where a mark that is none is an accident
and dear, or among other matter, words for instance, where marks are passed cheaply, even if one
looks like a digit, as an o does. Going from one state into the other costs something as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.page.costs import doubt_cost
from tinymnist.imaging.picture.pixels import Array

Box = tuple[int, int, int, int]

DIGITS, OTHER = 0, 1
"""The states of a way."""


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


class _Move(NamedTuple):
    """A step of a way: over a candidate (its number), or past a piece (-1)."""

    state: int
    first: int
    last: int
    cost: float
    number: int


@dataclass(frozen=True)
class Row:
    """What may be written in a row.

    Attributes:
        candidates: in no order of preference.
        skips: (n,) for each piece the cost of its being no digit, though it is among digits.
        cuts: (n,) for each piece the cost of parting it from the one before, which is paid half by
            the candidate that ends there and half by the one that begins.
        passes: (n,) for each piece the cost of its being other matter among other matter.
        switches: (n,) the cost of going into the other state just before a piece; the first is that
            of not beginning among digits.
    """

    candidates: list[Candidate]
    skips: Array
    cuts: Array
    passes: Array
    switches: Array

    def cheapest(self, confidences: Sequence[float]) -> list[int]:
        """The numbers of the candidates that are written here, from the left.

        Args:
            confidences: for each candidate the probability, in 0..1, of its being what it is
                taken for.
        """
        best = np.full((len(self.skips) + 1, 2), np.inf)  # cost of coming to each place and state
        best[0] = 0.0, np.inf
        way: dict[tuple[int, int], tuple[_Move, int]] = {}
        for move in self._moves(confidences):
            ways = self._entrances(best, move)
            state = int(np.argmin(ways))
            if ways[state] + move.cost < best[move.last, move.state]:
                best[move.last, move.state] = ways[state] + move.cost
                way[move.last, move.state] = move, state
        chosen, place, state = [], len(self.skips), int(np.argmin(best[-1]))
        while place > 0:
            move, state = way[place, state]
            place = move.first
            if move.number >= 0:
                chosen.append(move.number)
        return chosen[::-1]

    def _moves(self, confidences: Sequence[float]) -> Iterator[_Move]:
        """Every step, so ordered that all that lead to a place come before those that leave it."""
        starting: list[list[int]] = [[] for _ in self.skips]
        for number, candidate in enumerate(self.candidates):
            starting[candidate.first].append(number)
        cuts = np.append(self.cuts, 0.0)
        for place, numbers in enumerate(starting):
            yield _Move(DIGITS, place, place + 1, float(self.skips[place]), -1)
            yield _Move(OTHER, place, place + 1, float(self.passes[place]), -1)
            for number in numbers:
                candidate = self.candidates[number]
                parted = float(cuts[candidate.first] + cuts[candidate.last]) / 2
                cost = candidate.cost + parted + doubt_cost(float(confidences[number]))
                yield _Move(DIGITS, place, candidate.last, cost, number)

    def _entrances(self, costs: Array, move: _Move) -> Array:
        """What it costs to come to the beginning of a move by way of each state: (2,)."""
        turnings = np.full(2, self.switches[move.first], np.float32)
        turnings[move.state] = 0.0
        entrances: Array = costs[move.first] + turnings
        return entrances

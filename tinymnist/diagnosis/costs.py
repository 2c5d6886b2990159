"""What each mismatch costs: the same pictures read with some things repaired and others not.

The value of a repair depends on what else is repaired: thick strokes help little while the ink is
dark. So every set of repairs is tried, and each repair gets its Shapley value: its gain, averaged
over all orders in which the six can be made (L. Shapley, "A Value for n-Person Games", 1953). This
is the only division that adds up to the whole gain, gives nothing to a repair that never changes
anything, and gives the same to two repairs that always do the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis.repairs import EVERY, NONE, PLANS, REPAIRS, Repairs, in_sequence

Flags = NDArray[np.bool_]

_SIGNIFICANCE = 0.05
_FEWEST = 6
"""If fewer pictures change, they all change for the better by chance in more than 5 % of cases."""


@dataclass(frozen=True)
class Change:
    """How a repair changes what is read.

    Attributes:
        before, after: the share of pictures read right (or as the recipe does), 0..1.
        fixed: how many were wrong before and are right after.
        broken: how many were right before and are wrong after.
    """

    before: float
    after: float
    fixed: int
    broken: int

    @property
    def gain(self) -> float:
        """The change in share, -1..1."""
        return self.after - self.before

    @property
    def is_certain(self) -> bool:
        """Whether it is more than chance: McNemar's exact test, two-sided, at 5 %.

        By chance, each picture that changes is as likely fixed as broken (Q. McNemar, Psychometrika
        12, 1947).
        """
        total, fewer = self.fixed + self.broken, min(self.fixed, self.broken)
        every = total * math.log(2)
        tail = sum(math.exp(log_ways(total, k) - every) for k in range(fewer + 1))
        return 2 * tail <= _SIGNIFICANCE


@dataclass(frozen=True)
class Cost:
    """What one mismatch costs.

    Attributes:
        repair: its name.
        points: the Shapley value of its repair, -1..1; over all repairs they add up to the gain
            from the tutorials' way to all repaired.
        error: half of the 95 % confidence interval of ``points``.
        is_certain: whether ``points`` is more than chance.
        alone: from the tutorials' way to the tutorials' way with this repair.
        step: from the repairs before it in the sequence to those and this one.
        left_out: from all repairs but this one to all.
    """

    repair: str
    points: float
    error: float
    is_certain: bool
    alone: Change
    step: Change
    left_out: Change


def log_ways(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose k of n; the number itself may overflow."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def change(before: Flags, after: Flags) -> Change:
    """Compare which of the same pictures (n,) are read right."""
    fixed, broken = int((~before & after).sum()), int((before & ~after).sum())
    return Change(float(before.mean()), float(after.mean()), fixed, broken)


def shapley(right: Callable[[Repairs], Flags], name: str) -> NDArray[np.float64]:
    """The contribution of a repair to reading each picture right: (n,) in -1..1.

    ``right`` says which pictures (n,) are read right after a set of repairs.
    """
    n = len(REPAIRS)
    total = np.zeros(right(NONE).shape)
    for others in (plan for plan in PLANS if name not in plan):
        # The share of the n! orders in which exactly these others come before it.
        weight = math.factorial(len(others)) * math.factorial(n - 1 - len(others))
        gain = right(others | {name}).astype(np.float64) - right(others)
        total += gain * (weight / math.factorial(n))
    return total


def costs_of(right: Callable[[Repairs], Flags]) -> list[Cost]:
    """The cost of every mismatch, the highest first; ``right`` as for :func:`shapley`."""
    costs = []
    for name in REPAIRS:
        shares = shapley(right, name)
        points = float(shares.mean())
        error = 1.96 * float(shares.std()) / math.sqrt(len(shares))
        is_certain = int((np.abs(shares) > 1e-9).sum()) >= _FEWEST and abs(points) > error
        upto = in_sequence(name)
        alone = change(right(NONE), right(frozenset({name})))
        step = change(right(upto - {name}), right(upto))
        left_out = change(right(EVERY - {name}), right(EVERY))
        costs.append(Cost(name, points, error, is_certain, alone, step, left_out))
    return sorted(costs, key=lambda cost: -cost.points)

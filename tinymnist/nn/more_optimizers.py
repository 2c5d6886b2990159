"""Optimizers beside the usual ones: Adagrad, Adadelta, Adamax, Nadam, Lion.

Names, formulas and defaults are Keras's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.optimizers import OPTIMIZERS, Optimizer, get_optimizer, move


@dataclass(repr=False)
class Adagrad(Optimizer):
    """``p -= learning_rate * g / sqrt(sum of g^2 + epsilon)`` (Duchi, Hazan and Singer, 2011).

    The sum starts at ``initial_accumulator_value``.
    """

    slots: ClassVar[tuple[str, ...]] = ("accumulator",)

    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def _slots_of(self, name: str, parameter: Array) -> list[Array]:
        is_new = f"{name}:accumulator" not in self.state
        slots = super()._slots_of(name, parameter)
        if is_new:
            slots[0] += self.initial_accumulator_value
        return slots

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        slots[0] += gradient * gradient
        return gradient * -learning_rate / np.sqrt(slots[0] + self.epsilon)


@dataclass(repr=False)
class Adadelta(Optimizer):
    """Steps in the ratio of the last steps to the last gradients (Zeiler, 2012).

    ``d = -g * rms(d) / rms(g)`` with moving averages of the squares; the parameter moves by
    ``learning_rate * d``.
    """

    slots: ClassVar[tuple[str, ...]] = ("gradients", "steps")

    rho: float = 0.95
    epsilon: float = 1e-7

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        gradients, steps = slots
        move(gradients, gradient * gradient, 1 - self.rho)
        step = -gradient * np.sqrt(steps + self.epsilon) / np.sqrt(gradients + self.epsilon)
        move(steps, step * step, 1 - self.rho)
        change: Array = learning_rate * step
        return change


@dataclass(repr=False)
class Adamax(Optimizer):
    """Adam with the largest recent gradient instead of the root (Kingma and Ba, 2014)."""

    slots: ClassVar[tuple[str, ...]] = ("momentum", "largest")

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        m, u = slots
        move(m, gradient, 1 - self.beta_1)
        np.maximum(self.beta_2 * u, np.abs(gradient), out=u)
        rate = learning_rate / (1 - self.beta_1**self.iterations)
        return -rate * m / (u + self.epsilon)


@dataclass(repr=False)
class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2015), whose share rises from step to step.

    ``mu_t = beta_1 * (1 - 0.96^t / 2)``; the step uses ``mu_(t+1) * m`` corrected by the product
    of all mu up to t+1, and ``(1 - mu_t) * g`` corrected by that up to t.
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        (m, v), t = slots, self.iterations
        move(m, gradient, 1 - self.beta_1)
        move(v, gradient * gradient, 1 - self.beta_2)
        now, following = _share(self.beta_1, t), _share(self.beta_1, t + 1)
        looked_ahead = m * (following / (1 - _product(self.beta_1, t + 1)))
        looked_ahead += gradient * ((1 - now) / (1 - _product(self.beta_1, t)))
        root = np.sqrt(v / (1 - self.beta_2**t))
        change: Array = -learning_rate * looked_ahead / (root + self.epsilon)
        return change


def _share(beta_1: float, step: int) -> float:
    return beta_1 * (1 - 0.5 * 0.96**step)


@lru_cache(maxsize=64)
def _product(beta_1: float, steps: int) -> float:
    """The product of the shares of the first steps; after some thousands it is 0."""
    return math.prod(_share(beta_1, step) for step in range(1, min(steps, 10_000) + 1))


@dataclass(repr=False)
class Lion(Optimizer):
    """Steps of one size, by the sign of a moving average (Chen et al., 2023)."""

    slots: ClassVar[tuple[str, ...]] = ("momentum",)

    beta_1: float = 0.9
    beta_2: float = 0.99

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        (m,) = slots
        change: Array = -learning_rate * np.sign(m + (1 - self.beta_1) * (gradient - m))
        move(m, gradient, 1 - self.beta_2)
        return change


OPTIMIZERS.update(
    {kind.__name__.lower(): kind for kind in (Adagrad, Adadelta, Adamax, Nadam, Lion)}
)
__all__ = ["Adadelta", "Adagrad", "Adamax", "Lion", "Nadam", "get_optimizer"]

"""Learning-rate schedules: functions from the number of steps done to the next learning rate.

Those with Keras's names compute what Keras does; rates are positive numbers, steps count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Schedule(Protocol):
    """Anything that can be called with the number of steps done so far (0, 1, ...)."""

    def __call__(self, step: int) -> float:
        """The learning rate of the next step."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same rate at every step."""

    learning_rate: float

    def __call__(self, step: int) -> float:
        """The rate, whatever the step."""
        return self.learning_rate


@dataclass(frozen=True)
class _Decay:
    """What decays by ``decay_rate`` per ``decay_steps`` steps have in common."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def _done(self, step: int) -> float:
        """How many ``decay_steps`` are done; with ``staircase``, whole ones only."""
        return step // self.decay_steps if self.staircase else step / self.decay_steps


@dataclass(frozen=True)
class ExponentialDecay(_Decay):
    """Multiply the rate by ``decay_rate`` every ``decay_steps`` steps.

    The rate falls a little at every step; with ``staircase``, only every ``decay_steps`` steps.
    """

    def __call__(self, step: int) -> float:
        """``initial_learning_rate * decay_rate ** (step / decay_steps)``."""
        return float(self.initial_learning_rate * self.decay_rate ** self._done(step))


@dataclass(frozen=True)
class InverseTimeDecay(_Decay):
    """Divide the rate by ``1 + decay_rate * step / decay_steps``.

    With ``staircase``, only every ``decay_steps`` steps.
    """

    def __call__(self, step: int) -> float:
        """The rate at ``step``."""
        return self.initial_learning_rate / (1 + self.decay_rate * self._done(step))


@dataclass(frozen=True)
class PolynomialDecay:
    """From the initial rate to ``end_learning_rate`` along ``(1 - step / decay_steps)^power``.

    It stays there; with ``cycle``, it starts again from above, over a multiple of the steps.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __call__(self, step: int) -> float:
        """The rate at ``step``."""
        rounds = max(math.ceil(step / self.decay_steps), 1) if self.cycle else 1
        left = 1 - min(step / (self.decay_steps * rounds), 1.0)
        fall = self.initial_learning_rate - self.end_learning_rate
        return float(fall * left**self.power + self.end_learning_rate)


@dataclass(frozen=True)
class PiecewiseConstantDecay:
    """``values[i]`` up to and including step ``boundaries[i]``, then the next value.

    Raises:
        ValueError: unless there is one value more than boundaries.
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            found = f"{len(self.values)} values, {len(self.boundaries)} boundaries"
            raise ValueError(f"values must be one more than boundaries. Received: {found}")

    def __call__(self, step: int) -> float:
        """The rate at ``step``."""
        return float(self.values[sum(step > boundary for boundary in self.boundaries)])


@dataclass(frozen=True)
class WithoutSteps:
    """A function without arguments that gives the rate of the next step."""

    function: Callable[[], float]

    def __call__(self, step: int) -> float:
        """What the function returns."""
        return float(self.function())


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from ``initial_learning_rate`` down to ``alpha`` times that.

    Without restarts, from Loshchilov and Hutter, 2016, https://arxiv.org/abs/1608.03983. With
    ``warmup_target``, the rate first rises to it along a line of ``warmup_steps``.
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = field(default=None, repr=False)
    warmup_steps: int = field(default=0, repr=False)

    def __call__(self, step: int) -> float:
        """The rate at ``step``; after ``decay_steps`` it stays at the last one."""
        peak = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return peak + (self.warmup_target - peak) * step / self.warmup_steps
            step, peak = step - self.warmup_steps, self.warmup_target
        done = min(step / self.decay_steps, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return peak * ((1 - self.alpha) * cosine + self.alpha)


@dataclass(frozen=True)
class OneCycle:
    """Up to ``max_learning_rate`` along a cosine, then down to almost 0.

    From Smith and Topin, 2017, https://arxiv.org/abs/1708.07120, with the cosines of PyTorch's
    OneCycleLR (whose ``final_div_factor`` counts from the first rate and not from the peak).

    Attributes:
        max_learning_rate: the peak.
        total_steps: the length of the whole training.
        rise: the share of the steps that lead up to the peak.
        start_factor, end_factor: the first and the last rate, as shares of the peak.
    """

    max_learning_rate: float
    total_steps: int
    rise: float = 0.3
    start_factor: float = 0.04
    end_factor: float = 1e-4

    def __call__(self, step: int) -> float:
        """The rate at ``step``; after the end it stays at the last one."""
        peak = self.rise * self.total_steps
        if step < peak:
            return self._between(self.start_factor, 1.0, step / peak)
        done = min((step - peak) / max(self.total_steps - 1 - peak, 1), 1.0)
        return self._between(1.0, self.end_factor, done)

    def _between(self, first: float, last: float, done: float) -> float:
        weight = 0.5 * (1 + math.cos(math.pi * done))
        return self.max_learning_rate * (last + (first - last) * weight)


@dataclass(frozen=True)
class WarmUp:
    """Rise linearly over ``steps`` steps, then follow the schedule ``then`` from its beginning.

    From Goyal et al., 2017, https://arxiv.org/abs/1706.02677, section 2.2.
    """

    steps: int
    then: Schedule

    def __call__(self, step: int) -> float:
        """``then(0) * (step + 1) / (steps + 1)`` at first, ``then(step - steps)`` afterwards."""
        if step < self.steps:
            return self.then(0) * (step + 1) / (self.steps + 1)
        return self.then(step - self.steps)

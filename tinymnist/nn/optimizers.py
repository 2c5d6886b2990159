"""How parameters move along their gradients: SGD, RMSprop, Adam, AdamW.

Names, formulas and defaults are Keras's. If PyTorch differs in a way that shows in the numbers,
there is a setting for it. Between steps an optimizer keeps ``iterations`` (steps done, from 0) and
``state`` (moving averages in the dtype of their parameter); a checkpoint saves both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinymnist.errors import did_you_mean
from tinymnist.nn.arrays import Array, settings_repr
from tinymnist.nn.schedules import InverseTimeDecay, Schedule, WithoutSteps

_UNUSED = {"amsgrad", "centered", "name", "use_ema", "ema_momentum", "ema_overwrite_frequency"}
_UNUSED |= {"gradient_accumulation_steps", "loss_scale_factor", "jit_compile"}
"""Keras's settings that must be off; a name and the momentum of an average that is off may stay."""


class _MadeAsInKeras(type):
    """Lets people write settings in the words of every Keras."""

    if not TYPE_CHECKING:  # for whom an optimizer takes its fields

        def __call__(cls, *args: Any, **settings: Any) -> Any:
            for word in _UNUSED & settings.keys():
                if (value := settings.pop(word)) and word not in ("name", "ema_momentum"):
                    raise ValueError(f"{word} is not supported. Received: {word}={value!r}")
            if "lr" in settings:
                settings["learning_rate"] = settings.pop("lr")
            if settings.get("weight_decay", 0) is None:
                settings["weight_decay"] = 0.0
            decay = settings.pop("decay", None)
            made = super().__call__(*args, **settings)
            rate = made.learning_rate
            if decay:
                made.learning_rate = InverseTimeDecay(rate, 1, decay)
            elif callable(rate) and not isinstance(rate, type) and not signature(rate).parameters:
                made.learning_rate = WithoutSteps(rate)
            return made


_AT_LEAST_0 = (lambda value: 0 <= value < math.inf, "at least 0")
_ABOVE_0 = (lambda value: 0 < value < math.inf, "above 0")
_SHARE = (lambda value: 0 <= value <= 1, "in 0..1")
_DECAY = (lambda value: 0 <= value < 1, "at least 0 and below 1")
_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": _AT_LEAST_0,
    "weight_decay": _AT_LEAST_0,
    "clipvalue": _ABOVE_0,
    "clipnorm": _ABOVE_0,
    "global_clipnorm": _ABOVE_0,
    "momentum": _SHARE,
    "rho": _SHARE,
    "beta_1": _DECAY,
    "beta_2": _DECAY,
    "epsilon": _AT_LEAST_0,
}
"""What every setting of every optimizer must be. NaN is none of it."""


@dataclass(repr=False)
class Optimizer(metaclass=_MadeAsInKeras):
    """What all optimizers share: the step count, the schedule, clipping, and weight decay.

    Attributes:
        learning_rate: a number; or a schedule, called with the number of steps done; or a function
            without arguments. ``lr`` and ``decay``, Keras's older words, are understood.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter, 2017,
            https://arxiv.org/abs/1711.05101): before the step, every parameter shrinks by the
            share ``learning_rate * weight_decay``.
        exclude_from_weight_decay: names of arrays to exclude, for instance ``("bias", "gamma")``.
        decay_to_start: shrink towards the value before the first step instead of towards 0, which
            preserves what a fine-tuned model has learned: the "starting point as the reference"
            (L2-SP) of Li, Grandvalet and Davoine, 2018, https://arxiv.org/abs/1802.01483.
        multipliers: factors of ``learning_rate`` by the name of a layer, or by ``"layer/array"``;
            1 for all others.
        clipvalue: clip every number of every gradient to +-clipvalue.
        clipnorm: scale each gradient array down to at most this Euclidean norm.
        global_clipnorm: scale all gradients together down to at most this norm (Pascanu, Mikolov
            and Bengio, 2012, https://arxiv.org/abs/1211.5063).

    Raises:
        ValueError: for a setting with which no training makes sense.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that are kept for each parameter between steps."""

    learning_rate: float | Schedule = 0.001
    weight_decay: float = field(default=0.0, kw_only=True)
    exclude_from_weight_decay: tuple[str, ...] = field(default=(), kw_only=True)
    decay_to_start: bool = field(default=False, kw_only=True)
    multipliers: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    clipvalue: float | None = field(default=None, kw_only=True)
    clipnorm: float | None = field(default=None, kw_only=True)
    global_clipnorm: float | None = field(default=None, kw_only=True)
    iterations: int = field(default=0, init=False)
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)
    """``"conv2d/kernel:momentum"`` -> array; ``:start`` is the value before the first step."""
    owner: Any = field(default=None, init=False, repr=False, compare=False)
    """The model that was compiled with it, whose arrays the state belongs to."""

    def __post_init__(self) -> None:
        for name, (is_valid, rule) in _RULES.items():
            value = getattr(self, name, None)
            if value is not None and not callable(value) and not is_valid(value):
                raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")
        for name, factor in self.multipliers.items():
            if not 0 <= factor < math.inf:
                raise ValueError(f"multipliers must be at least 0. Received: {name!r}: {factor!r}")

    def __repr__(self) -> str:
        return settings_repr(self, always=("learning_rate",))

    def current_learning_rate(self) -> float:
        """The learning rate of the next step."""
        if callable(self.learning_rate):
            return self.learning_rate(self.iterations)
        return self.learning_rate

    @property
    def lr(self) -> Any:
        """Keras's older name of ``learning_rate``."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    def apply(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Make one step: change ``parameters`` in place.

        Args:
            parameters: name to array.
            gradients: name to array of the same shape; parameters without one do not change.
        """
        learning_rate = self.current_learning_rate()
        self.iterations += 1
        for name, gradient in self._clipped(gradients).items():
            parameter, rate = parameters[name], learning_rate * self._multiplier(name)
            if self.weight_decay and name.split("/")[-1] not in self.exclude_from_weight_decay:
                self._decay(name, parameter, rate * self.weight_decay)
            parameter += self._change(gradient, rate, self._slots_of(name, parameter))

    def _multiplier(self, name: str) -> float:
        """The factor for the array, or else for its layer."""
        return self.multipliers.get(name, self.multipliers.get(name.rpartition("/")[0], 1.0))

    def _decay(self, name: str, parameter: Array, share: float) -> None:
        """Move the parameter by ``share`` of the way to 0, or to its value at the start."""
        if not self.decay_to_start:
            parameter *= 1 - share
            return
        key = f"{name}:start"
        if key not in self.state:
            self.state[key] = parameter.copy()
        move(parameter, self.state[key], share)

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        """What to add to the parameter; the slots are updated in place."""
        raise NotImplementedError

    def _slots_of(self, name: str, parameter: Array) -> list[Array]:
        keys = [f"{name}:{slot}" for slot in self.slots]
        for key in keys:
            if key not in self.state:
                self.state[key] = np.zeros_like(parameter)
        return [self.state[key] for key in keys]

    def _clipped(self, gradients: dict[str, Array]) -> dict[str, Array]:
        if self.clipvalue is not None:
            limit = self.clipvalue
            gradients = {n: np.clip(g, -limit, limit) for n, g in gradients.items()}
        if self.clipnorm is not None:
            gradients = {n: g * _shrink(_norm([g]), self.clipnorm) for n, g in gradients.items()}
        if self.global_clipnorm is not None:
            factor = _shrink(_norm(gradients.values()), self.global_clipnorm)
            gradients = {n: g * factor for n, g in gradients.items()}
        return gradients


def _norm(arrays: Any) -> float:
    """The Euclidean norm of all numbers in all arrays together."""
    return math.sqrt(sum(float(np.vdot(a, a)) for a in arrays))


def _shrink(norm: float, limit: float) -> float:
    """The factor that brings ``norm`` down to ``limit``; 1 if it is below already."""
    return limit / norm if norm > limit else 1.0


def move(array: Array, target: Array, share: float) -> None:
    """``array += share * (target - array)``, with one temporary array instead of two."""
    step = target - array
    step *= share
    array += step


@dataclass(repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with optional momentum.

    ``v = momentum * v - learning_rate * g``, and the parameter moves by ``v``; with ``nesterov``
    by ``momentum * v - learning_rate * g`` with the new v (Sutskever et al., 2013,
    https://proceedings.mlr.press/v28/sutskever13.html).
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum",)

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        step = gradient * -learning_rate
        if not self.momentum:
            return step
        (velocity,) = slots
        velocity *= self.momentum
        velocity += step
        return self.momentum * velocity + step if self.nesterov else velocity


@dataclass(repr=False)
class RMSprop(Optimizer):
    """Steps of one size for small and large gradients (Hinton, 2012, lecture 6e of Coursera).

    ``v += (1 - rho) * (g^2 - v)``, and the parameter moves by
    ``-learning_rate * g / sqrt(v + epsilon)``; with momentum, by a decaying sum of those steps.
    Keras puts epsilon under the root, PyTorch beside it.
    """

    slots: ClassVar[tuple[str, ...]] = ("velocity", "momentum")

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        v, velocity = slots
        move(v, gradient * gradient, 1 - self.rho)
        step = gradient / np.sqrt(v + self.epsilon) * -learning_rate
        if not self.momentum:
            return step
        velocity *= self.momentum
        velocity += step
        return velocity


@dataclass(repr=False)
class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980).

    ``m += (1 - beta_1) * (g - m)`` and ``v += (1 - beta_2) * (g^2 - v)`` are moving averages of
    the gradient and of its square. They begin at 0, so after t steps they hold only the shares
    ``1 - beta_1^t`` and ``1 - beta_2^t`` of the averages; divided by these, they are unbiased.
    Then ``lr * m / sqrt(v)`` is a step of about ``lr``, whatever the scale of the gradient.

    Epsilon keeps the root from 0. Two variants are in use, which differ for small gradients:

    - ``epsilon_hat=False`` adds it to the corrected root, as algorithm 1 of the paper and PyTorch
      (``epsilon=1e-8``): ``lr * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``.
    - ``epsilon_hat=True`` adds it to the plain root, as the end of the paper's section 2, Keras and
      TensorFlow: ``lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)``.

    The first equals the second with the smaller ``epsilon * sqrt(1 - beta_2^t)``.
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    epsilon_hat: bool = True

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        m, v = slots
        move(m, gradient, 1 - self.beta_1)
        move(v, gradient * gradient, 1 - self.beta_2)
        root = math.sqrt(1 - self.beta_2**self.iterations)
        step = np.sqrt(v)
        step += self.epsilon if self.epsilon_hat else self.epsilon * root
        np.divide(m, step, out=step)
        step *= -learning_rate * root / (1 - self.beta_1**self.iterations)
        return step


@dataclass(repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017); the default is Keras's."""

    weight_decay: float = field(default=0.004, kw_only=True)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
"""By name; :mod:`tinymnist.nn.more_optimizers` adds its own."""


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Find an optimizer by Keras's name ("adam"), or return one unchanged.

    Raises:
        ValueError: for any other name or type.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer.lower() not in OPTIMIZERS:
        rule = f"optimizer must be one of {list(OPTIMIZERS)}. Received: {optimizer!r}"
        raise ValueError(f"{rule}{did_you_mean(optimizer, OPTIMIZERS)}")
    return OPTIMIZERS[optimizer.lower()]()

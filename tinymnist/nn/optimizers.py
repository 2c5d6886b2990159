"""How parameters move along their gradients: SGD, RMSprop, Adam, AdamW.

Names and formulas are Keras's. Where PyTorch differs in a way that shows in the numbers, there is
a setting for it, and tests hold both against golden steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.schedules import Schedule


@dataclass
class Optimizer:
    """What all optimizers share: the step count, the schedule, clipping, and weight decay.

    Attributes:
        learning_rate: a number, or a schedule that is called with the number of steps done.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter, 2017): before the step,
            every parameter shrinks by ``learning_rate * weight_decay`` of itself.
        exclude_from_weight_decay: last names that are spared, for instance ``("bias", "gamma")``.
        decay_to_start: shrink towards where each parameter was before its first step, instead of
            towards 0, so that what was learnt before is kept unless the new examples speak
            against it: the "starting point as the reference" (L2-SP) of Li, Grandvalet and
            Davoine, 2018, https://arxiv.org/abs/1802.01483, decoupled like the decay above.
        multipliers: the rate of some layers, as a share of ``learning_rate``, by the layer's name
            or by ``"layer/array"``; 1 for what is not named.
        clipvalue: every number of every gradient is kept within +-clipvalue.
        clipnorm: each gradient array is scaled down to at most this Euclidean norm.
        global_clipnorm: all gradients together are scaled down to at most this norm.
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
    """``"conv2d/kernel:momentum"`` -> array; where a parameter started is ``:start``."""
    owner: Any = field(default=None, init=False, repr=False, compare=False)
    """The model that was compiled with it; the state is about that one's arrays."""
    _scratch: Array = field(
        default_factory=lambda: np.empty(0), init=False, repr=False, compare=False
    )

    def current_learning_rate(self) -> float:
        """The rate of the next step."""
        if callable(self.learning_rate):
            return self.learning_rate(self.iterations)
        return self.learning_rate

    def apply(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Make one step: change ``parameters`` in place.

        Args:
            parameters: name to array.
            gradients: name to array of the same shape; parameters without a gradient stay still.
        """
        learning_rate = self.current_learning_rate()
        self.iterations += 1
        for name, gradient in self._clipped(gradients).items():
            parameter, rate = parameters[name], learning_rate * self._multiplier(name)
            if self.weight_decay and name.split("/")[-1] not in self.exclude_from_weight_decay:
                self._decay(name, parameter, rate * self.weight_decay)
            parameter += self._change(gradient, rate, self._slots_of(name, parameter))

    def _multiplier(self, name: str) -> float:
        """The array's own, or else its layer's."""
        return self.multipliers.get(name, self.multipliers.get(name.rpartition("/")[0], 1.0))

    def _decay(self, name: str, parameter: Array, share: float) -> None:
        """Move the parameter by ``share`` of its way to 0, or to where it started."""
        if not self.decay_to_start:
            parameter *= 1 - share
            return
        key = f"{name}:start"
        if key not in self.state:
            self.state[key] = parameter.copy()
        parameter += (self.state[key] - parameter) * share

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        """What is added to the parameter; the slots are updated in place."""
        raise NotImplementedError

    def _slots_of(self, name: str, parameter: Array) -> list[Array]:
        keys = [f"{name}:{slot}" for slot in self.slots]
        for key in keys:
            if key not in self.state:
                self.state[key] = np.zeros_like(parameter)
        return [self.state[key] for key in keys]

    def _scratch_like(self, array: Array) -> Array:
        """Room for a step, as large as the array; its numbers last until the next call.

        It is kept, since new memory for every step of a large kernel would cost more than the
        arithmetic: the system hands it out page by page.
        """
        if self._scratch.size < array.size or self._scratch.dtype != array.dtype:
            self._scratch = np.empty(array.size, array.dtype)
        return self._scratch[: array.size].reshape(array.shape)

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
    """The factor that brings ``norm`` down to ``limit``, 1 where it is below already."""
    return limit / norm if norm > limit else 1.0


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    ``v = momentum * v - learning_rate * g``, and the parameter moves by ``v``; with ``nesterov``
    by ``momentum * v - learning_rate * g`` with the new v (Sutskever et al., 2013).
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


@dataclass
class RMSprop(Optimizer):
    """Steps of one size for small and large gradients (Hinton, 2012, lecture 6e of Coursera).

    ``v`` is the moving average of the gradient's square, and the parameter moves by
    ``-learning_rate * g / sqrt(v + epsilon)``, or with momentum along a moving sum of that. Keras
    puts epsilon under the root, PyTorch beside it.
    """

    slots: ClassVar[tuple[str, ...]] = ("velocity", "momentum")

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        v, velocity = slots
        v += (gradient * gradient - v) * (1 - self.rho)
        step = gradient / np.sqrt(v + self.epsilon) * -learning_rate
        if not self.momentum:
            return step
        velocity *= self.momentum
        velocity += step
        return velocity


@dataclass
class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980).

    ``m`` and ``v`` are moving averages of the gradient and of its square. Two variants are in use,
    and they differ where gradients are small:

    - ``epsilon_hat=True``, Keras's and TensorFlow's, with the default ``epsilon=1e-7``:
      ``lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)``.
    - ``epsilon_hat=False``, PyTorch's and the paper's algorithm 1 (there with ``epsilon=1e-8``):
      ``lr * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``.
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    epsilon_hat: bool = True

    def _change(self, gradient: Array, learning_rate: float, slots: list[Array]) -> Array:
        # Twelve passes through memory; new arrays in between would cost as much again.
        m, v = slots
        step = np.subtract(gradient, m, out=self._scratch_like(m))
        step *= 1 - self.beta_1
        m += step
        np.multiply(gradient, gradient, out=step)
        step -= v
        step *= 1 - self.beta_2
        v += step
        root = math.sqrt(1 - self.beta_2**self.iterations)
        # Both variants are lr * root / (1 - beta_1^t) * m / (sqrt(v) + e); PyTorch's e is smaller.
        np.sqrt(v, out=step)
        step += self.epsilon if self.epsilon_hat else self.epsilon * root
        np.divide(m, step, out=step)
        step *= -learning_rate * root / (1 - self.beta_1**self.iterations)
        return step


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay; Keras's default strength."""

    weight_decay: float = field(default=0.004, kw_only=True)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Find an optimizer by Keras's name, or take one as it is.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer.lower() not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {list(OPTIMIZERS)}. Received: {optimizer!r}")
    return OPTIMIZERS[optimizer.lower()]()

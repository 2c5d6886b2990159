"""Optimizers against steps worked out here, schedules against their formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, get_optimizer
from tinymnist.nn.schedules import Constant, CosineDecay, ExponentialDecay, OneCycle, WarmUp

GRADIENTS = [0.5, -1.5, 0.25]
RNG = np.random.default_rng(0)


def path(
    optimizer: Optimizer,
    gradients: Sequence[float] = GRADIENTS,
    start: float = 1.0,
    name: str = "dense/kernel",
) -> list[float]:
    """The values of a single number after each step."""
    parameter, seen = np.array([start]), []
    for gradient in gradients:
        optimizer.apply({name: parameter}, {name: np.array([gradient])})
        seen.append(float(parameter[0]))
    return seen


def test_sgd() -> None:
    assert path(SGD(0.1)) == pytest.approx([0.95, 1.1, 1.075])


def test_momentum() -> None:
    # v: -0.05, 0.9 * -0.05 + 0.15 = 0.105, 0.9 * 0.105 - 0.025 = 0.0695
    assert path(SGD(0.1, 0.9)) == pytest.approx([0.95, 1.055, 1.1245])


def test_nesterov() -> None:
    # 0.9 v - 0.1 g with the same v: -0.045 - 0.05, 0.0945 + 0.15, 0.06255 - 0.025
    assert path(SGD(0.1, 0.9, nesterov=True)) == pytest.approx([0.905, 1.1495, 1.18705])


def adam_by_hand(epsilon: float, hat: bool, scale: float = 1.0) -> list[float]:
    """The two published forms, written out."""
    m = v = 0.0
    x, seen = 1.0, []
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient * scale
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        if hat:  # Kingma and Ba, end of section 2; Keras
            rate = 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            x -= rate * m / (math.sqrt(v) + epsilon)
        else:  # algorithm 1; PyTorch
            x -= 0.01 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + epsilon)
        seen.append(x)
    return seen


@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize(("epsilon", "hat"), [(1e-7, True), (1e-8, False)])
def test_both_adams(epsilon: float, hat: bool, scale: float) -> None:
    gradients = [g * scale for g in GRADIENTS]
    steps = path(Adam(0.01, epsilon=epsilon, epsilon_hat=hat), gradients)
    assert steps == pytest.approx(adam_by_hand(epsilon, hat, scale), rel=1e-12)


def test_the_adams_part_where_gradients_are_tiny() -> None:
    keras, torch = (adam_by_hand(e, hat, 1e-6)[0] for e, hat in ((1e-7, True), (1e-8, False)))
    assert abs(keras - torch) > 1e-3


def test_adams_default_is_that_of_keras() -> None:
    assert path(Adam(0.01)) == pytest.approx(adam_by_hand(1e-7, True), rel=1e-12)


def test_weight_decay_is_decoupled_and_spares_whom_it_should() -> None:
    decayed = path(AdamW(0.01, weight_decay=0.5), [0.5])
    assert decayed == pytest.approx([1 * (1 - 0.01 * 0.5) - 0.01], rel=1e-6)
    spared = AdamW(0.01, weight_decay=0.5, exclude_from_weight_decay=("bias",))
    assert path(spared, [0.5], name="dense/bias") == pytest.approx([0.99], rel=1e-6)
    assert path(SGD(0.1, weight_decay=0.5), [0.0]) == pytest.approx([0.95])


def test_clipping() -> None:
    gradients = {"a/kernel": np.array([3.0, -4.0]), "b/kernel": np.array([12.0])}

    def step(**clip: Any) -> list[float]:
        parameters = {name: np.zeros_like(g) for name, g in gradients.items()}
        SGD(1.0, **clip).apply(parameters, gradients)
        return [-float(v) for p in parameters.values() for v in p]

    assert step(clipvalue=3.5) == pytest.approx([3, -3.5, 3.5])
    assert step(clipnorm=2.5) == pytest.approx([1.5, -2, 2.5])
    assert step(global_clipnorm=6.5) == pytest.approx([1.5, -2, 6])  # the norm of all is 13
    assert step(global_clipnorm=14) == pytest.approx([3, -4, 12])
    assert gradients["b/kernel"][0] == 12  # untouched


def test_float32_stays_float32() -> None:
    for optimizer in (SGD(0.1, 0.9), Adam(), AdamW(clipnorm=1.0, weight_decay=0.1)):
        parameter = np.ones(3, np.float32)
        optimizer.apply({"a": parameter}, {"a": np.ones(3, np.float32)})
        assert parameter.dtype == np.float32
        assert {array.dtype for array in optimizer.state.values()} == {np.dtype("float32")}


def test_arrays_do_not_disturb_each_other() -> None:
    """Together they move as each does alone, and a gradient does not change."""
    shapes = {"a": (3, 4), "b": (2,), "c": (7, 5)}
    gradients = {n: RNG.normal(size=shape) for n, shape in shapes.items()}
    before = {n: g.copy() for n, g in gradients.items()}
    together = {n: np.ones(shape) for n, shape in shapes.items()}
    adam = Adam(0.01)
    for _ in range(3):
        adam.apply(together, gradients)
    for name, shape in shapes.items():
        alone, own = {name: np.ones(shape)}, Adam(0.01)
        for _ in range(3):
            own.apply(alone, {name: gradients[name]})
        assert np.array_equal(alone[name], together[name])
        assert np.array_equal(gradients[name], before[name])


def test_rmsprop() -> None:
    """The formula written out, with epsilon under the root and momentum."""
    v = velocity = 0.0
    x, expected = 1.0, []
    for g in GRADIENTS:
        v += (1 - 0.75) * (g * g - v)
        velocity = 0.5 * velocity - 0.1 * g / math.sqrt(v + 1e-3)
        x += velocity
        expected.append(x)
    assert path(RMSprop(0.1, 0.75, 0.5, 1e-3)) == pytest.approx(expected, rel=1e-12)


def test_an_optimizer_shows_its_settings() -> None:
    assert repr(Adam()) == "Adam(learning_rate=0.001)"
    assert repr(SGD(CosineDecay(0.5, 8), 0.9, clipnorm=1.0)) == (
        "SGD(learning_rate=CosineDecay(initial_learning_rate=0.5, decay_steps=8, alpha=0.0), "
        "momentum=0.9, clipnorm=1.0)"
    )


def test_parameters_without_a_gradient_stay() -> None:
    parameters = {"a": np.ones(2), "b": np.ones(2)}
    AdamW(weight_decay=0.5).apply(parameters, {"a": np.ones(2)})
    assert np.array_equal(parameters["b"], [1, 1])


def test_a_schedule_is_asked_for_every_step() -> None:
    optimizer = SGD(ExponentialDecay(1.0, 2, 0.1, staircase=True))
    assert path(optimizer, [1, 1, 1, 1], start=0.0) == pytest.approx([-1, -2, -2.1, -2.2])
    assert optimizer.current_learning_rate() == pytest.approx(0.01)


def test_schedules() -> None:
    assert [Constant(0.3)(s) for s in (0, 99)] == [0.3, 0.3]
    assert [ExponentialDecay(1.0, 3, 0.5, staircase=True)(s) for s in (0, 2, 3, 6)] == [
        1,
        1,
        0.5,
        0.25,
    ]
    cosine = CosineDecay(2.0, 10, alpha=0.1)
    assert [cosine(s) for s in (0, 5, 10, 99)] == pytest.approx([2, 1.1, 0.2, 0.2])
    warm = WarmUp(4, CosineDecay(1.0, 10))
    assert [warm(s) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert warm(9) == CosineDecay(1.0, 10)(5)


def test_one_cycle_rises_once_and_ends_low() -> None:
    cycle = OneCycle(0.4, 100, rise=0.25, start_factor=0.1, end_factor=0.01)
    rates = [cycle(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == pytest.approx(0.4) == rates[25]
    assert rates[-1] == pytest.approx(0.004) == cycle(1000)
    assert rates[:26] == sorted(rates[:26]) and rates[25:] == sorted(rates[25:], reverse=True)


def test_names() -> None:
    assert isinstance(get_optimizer("AdamW"), AdamW)
    with pytest.raises(ValueError, match=r"'sgd', 'rmsprop', 'adam', 'adamw'.*ftrl"):
        get_optimizer("ftrl")


def test_some_layers_go_slower() -> None:
    """By the layer's name or by the array's; SGD shows the rate itself."""
    parameters = {name: np.zeros(2) for name in ("a/kernel", "a/bias", "b/kernel")}
    gradients = {name: np.ones(2) for name in parameters}
    SGD(0.1, multipliers={"a": 0.5, "a/bias": 0.0}).apply(parameters, gradients)
    found = {name: float(array[0]) for name, array in parameters.items()}
    assert found == pytest.approx({"a/kernel": -0.05, "a/bias": 0.0, "b/kernel": -0.1})


def test_decay_to_the_start_is_that_of_li_2018() -> None:
    """A step of ``-lr * g`` and ``-lr * decay * (w - start)``; the first has nothing to undo."""
    optimizer = SGD(0.1, weight_decay=0.5, decay_to_start=True)
    parameters = {"a/kernel": np.array([3.0])}
    for expected in (3.0 - 0.1, 2.9 + 0.05 * 0.1 - 0.1):
        optimizer.apply(parameters, {"a/kernel": np.array([1.0])})
        assert parameters["a/kernel"] == pytest.approx([expected])
    assert optimizer.state["a/kernel:start"] == pytest.approx([3.0])


def test_older_words_and_functions_set_the_rate() -> None:
    older: Any = SGD
    assert older(lr=0.5).learning_rate == older(lr=0.5).lr == 0.5
    decayed = older(lr=0.5, decay=0.25)
    decayed.iterations = 4
    assert decayed.current_learning_rate() == 0.25
    asked: Any = Adam(lambda: 0.125)  # type: ignore[arg-type]
    assert asked.current_learning_rate() == 0.125
    assert older(0.5, weight_decay=None).weight_decay == 0.0
    asked.lr = 2.0
    assert asked.learning_rate == 2.0
    with pytest.raises(ValueError, match="amsgrad is not supported"):
        older(amsgrad=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(-1), "learning_rate must be at least 0. Received: learning_rate=-1"),
        (lambda: Adam(float("nan")), "Received: learning_rate=nan"),
        (lambda: SGD(momentum=-1), r"momentum must be in 0\.\.1. Received: momentum=-1"),
        (lambda: RMSprop(rho=1.1), "Received: rho=1.1"),
        (lambda: Adam(beta_1=1), "beta_1 must be at least 0 and below 1. Received: beta_1=1"),
        (lambda: Adam(beta_2=-0.1), "Received: beta_2=-0.1"),
        (lambda: Adam(epsilon=-1e-7), "Received: epsilon=-1e-07"),
        (lambda: AdamW(weight_decay=-0.1), "Received: weight_decay=-0.1"),
        (lambda: SGD(clipnorm=0), "clipnorm must be above 0. Received: clipnorm=0"),
        (lambda: SGD(clipvalue=-1), "Received: clipvalue=-1"),
        (lambda: SGD(multipliers={"dense": -1}), "multipliers must be at least 0.*'dense': -1"),
    ],
)
def test_senseless_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

"""Activations where numbers are extreme."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.losses import cross_entropy, cross_entropy_backward

EXTREMES = np.array([[-1e4, 0.0, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, 9e3]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softmax", "log_softmax"]
)
def test_extreme_inputs_stay_finite_forward_and_backward(name: str, dtype: str) -> None:
    """Warnings are errors here, so an overflow on the way would be seen too."""
    x = EXTREMES.astype(dtype)
    y, cache = getattr(F, name)(x)
    dx = getattr(F, f"{name}_backward")(np.ones_like(x), cache)
    assert np.isfinite(y).all() and np.isfinite(dx).all()


def test_softmax_of_extreme_logits() -> None:
    p, _ = F.softmax(EXTREMES)
    assert np.array_equal(p, np.array([[0, 0, 1], [1 / 3] * 3, [0, 0, 1]]))


def test_the_loss_of_extreme_logits_is_their_distance() -> None:
    targets = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    losses, cache = cross_entropy(EXTREMES, targets)
    assert np.allclose(losses, [2e4, np.log(3), 0], rtol=1e-12, atol=0)
    dlogits = cross_entropy_backward(np.ones(3), cache)
    assert np.allclose(dlogits[0], [-1, 0, 1])


def test_relu_has_slope_0_at_0() -> None:
    y, cache = F.relu(np.array([[-1.0, -0.0, 0.0, 1.0]]))
    assert np.array_equal(y, [[0, 0, 0, 1]])
    assert np.array_equal(F.relu_backward(np.ones((1, 4)), cache), [[0, 0, 0, 1]])


def test_nan_stays_nan() -> None:
    """A network that has diverged must not look as if it had not."""
    with np.errstate(invalid="ignore"):
        for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softmax"):
            assert np.isnan(getattr(F, name)(np.array([[np.nan, 1.0]]))[0][0, 0]), name


def test_dropout_keeps_the_expected_value_and_drops_the_asked_share() -> None:
    x = np.ones((400, 500))
    y, mask = F.dropout(x, 0.3, np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.005)  # 5 sigma are 0.005
    assert np.array_equal(F.dropout_backward(x, mask), y)
    with pytest.raises(ValueError, match=r"drop_rate must be in \[0, 1\)"):
        F.dropout(x, 1.0, np.random.default_rng(0))

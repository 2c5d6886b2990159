"""The plain loop and ``fit`` are twins: what one can be read in, the other does."""

from __future__ import annotations

import pytest

from tests.nn.test_training import network, pictures, same_bytes
from tinymnist.nn.optimizers import SGD, Adam, Optimizer
from tinymnist.nn.plain_training import train


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("optimizer", [Adam(0.02), SGD(0.1, 0.9, weight_decay=0.01)], ids=repr)
@pytest.mark.parametrize("batch_size", [32, 45, 7])
def test_fit_ends_in_the_same_bytes(
    batch_size: int, optimizer: Optimizer, normalized: bool
) -> None:
    """Order, dropout, gradients, steps and statistics agree to the last bit, also in a rest."""
    images, labels = pictures()
    plain, fitted = network(normalized=normalized), network(normalized=normalized)
    settings = {f: getattr(optimizer, f) for f in ("learning_rate", "weight_decay")}
    settings |= {"momentum": optimizer.momentum} if isinstance(optimizer, SGD) else {}
    losses = train(
        plain, type(optimizer)(**settings), images, labels, epochs=2, batch_size=batch_size, seed=3
    )
    fitted.compile(type(optimizer)(**settings))
    history = fitted.fit(
        images,
        labels,
        batch_size,
        epochs=2,
        verbose=0,
        rng=3,
        workers=1,
        micro_batch_size=batch_size,
    )
    assert same_bytes(plain, fitted)
    assert history.history["loss"] == losses

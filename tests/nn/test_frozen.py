"""Frozen layers: computed once, never changed, no backward pass below the lowest that learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.graph import Graph
from tinymnist.nn.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    ReLU,
)
from tinymnist.nn.optimizers import AdamW
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.nn.training import frozen
from tinymnist.nn.training.callbacks import Checkpoint, EarlyStopping
from tinymnist.nn.training.frozen import split_frozen

RNG = np.random.default_rng(0)
X, Y = RNG.random((70, 10, 10, 1), np.float32), RNG.integers(0, 3, 70)


def network(dropout_below: float = 0.0) -> Any:
    """A frozen base, with dropout in it or not, and a head that learns."""
    model = Sequential(
        [Input((10, 10, 1)), Conv2D(6, 3), BatchNormalization(), ReLU(), Dropout(dropout_below),
         Conv2D(8, 3), MaxPooling2D(), Flatten(), Dropout(0.3), Dense(3, activation="softmax")],
        rng=1,
    )  # fmt: skip
    model.freeze("max_pooling2d")
    model.compile(AdamW(0.01))
    return model


def heavy_head() -> Any:
    """A head with far more weights than its examples have numbers."""
    model = network().replace_head(classes=3, hidden=100, until="dropout_1", rng=2)
    model.compile(AdamW(0.01))
    return model


def base_sizes(model: Sequential, **settings: Any) -> list[int]:
    """How many examples at a time a training carries through the frozen base."""
    first, sizes = model.layers[0], []
    forward = first.forward

    def noted(*xs: Any, **how: Any) -> Any:
        sizes.append(len(xs[0]))
        return forward(*xs, **how)

    first.forward = noted  # type: ignore[method-assign]
    trained(model, workers=1, **settings)
    del first.forward
    return sizes


def trained(model: Any, **settings: Any) -> Any:
    settings = {"batch_size": 16, "epochs": 3, "verbose": 0, "workers": 2} | settings
    return model.fit(X, Y, **settings).history


def same(one: Any, other: Any) -> Any:
    return all(np.array_equal(a, other.weights[n]) for n, a in one.weights.items())


def shifted(images: Any, rng: Any) -> Any:
    return np.roll(images, rng.integers(-1, 2), axis=1)


def halves(model: Sequential) -> tuple[Graph, Graph]:
    """The parts of a model that can be cut."""
    parts = split_frozen(model)
    assert parts is not None
    return parts


def test_the_cut_lies_below_the_first_layer_that_learns_or_draws() -> None:
    front, rest = halves(network())
    assert front.layers[-1].name == "flatten" and rest.layers[0].name == "dropout_1"
    front, rest = halves(network(dropout_below=0.5))
    assert front.layers[-1].name == "re_lu" and rest.layers[0].name == "dropout"
    model = network()
    model.unfreeze()
    assert split_frozen(model) is None


def test_the_parts_are_the_whole() -> None:
    model = network()
    front, rest = halves(model)
    assert np.array_equal(rest.predict(front.predict(X)), model.predict(X))
    assert rest.layers[-1] is model.layers[-1]


def test_a_branch_is_not_cut_apart() -> None:
    layers: list[Any] = [
        Input((4,)),
        Dense(4, name="a"),
        Dense(4, name="b"),
        Add(name="sum"),
        Dense(2),
    ]
    model = Sequential(layers, wiring={"sum": ["a", "b"]})
    model.freeze("b")
    front, _ = halves(model)
    assert front.layers[-1].name == "sum"  # the sum neither learns nor draws
    model.freeze("a")
    model.unfreeze(last=2)
    front, rest = halves(model)
    assert [layer.name for layer in front] == ["a"]
    x = X[:5, 0, :4, 0]
    assert np.array_equal(rest.predict(front.predict(x)), model.predict(x))


@pytest.mark.parametrize("dropout_below", [0.0, 0.4])
def test_kept_outputs_change_not_one_bit(dropout_below: float) -> None:
    """Dropout in the base still draws anew in every step, in both cases the same."""
    held = {"validation_data": (X[:20] ** 2, Y[:20])}
    kept, anew = network(dropout_below), network(dropout_below)
    one, other = trained(kept, **held), trained(anew, keep_frozen=False, **held)
    assert same(kept, anew)
    assert one == other


def test_a_heavy_head_takes_a_batch_in_one_piece() -> None:
    """Whether the base's outputs are kept or computed in pieces; augmented, too."""
    sizes = []

    def noted(x: Any, **settings: Any) -> Any:
        sizes.append(len(x))
        return forward(x, **settings)

    one, other, bent = heavy_head(), heavy_head(), heavy_head()
    hidden = one.get_layer("head_hidden")
    forward, hidden.forward = hidden.forward, noted
    trained(one, epochs=2)
    del hidden.forward
    trained(other, epochs=2, keep_frozen=False)
    trained(bent, epochs=2, augment=shifted, workers=1)
    assert sizes == [16, 16, 16, 16, 6] * 2
    for name, array in one.weights.items():
        assert np.allclose(array, other.weights[name], rtol=1e-4, atol=1e-5)
    assert not same(one, bent)
    again = heavy_head()
    trained(again, epochs=2, augment=shifted, workers=3)
    assert same(bent, again)


def test_a_batch_at_once_is_the_sum_of_its_pieces() -> None:
    """Nothing draws here, so that only the order of sums differs."""
    models = [heavy_head().astype("float64") for _ in range(2)]
    for model, size in zip(models, (None, 5), strict=True):
        model.get_layer("dropout_1").rate = 0.0
        model.compile(AdamW(0.01))
        trained(model, micro_batch_size=size)
    for name, array in models[0].weights.items():
        assert np.allclose(array, models[1].weights[name], rtol=1e-9, atol=1e-12)


def test_kept_outputs_are_computed_once() -> None:
    assert sum(base_sizes(network())) == 70
    assert sum(base_sizes(network(), keep_frozen=False)) == 3 * 70
    assert sum(base_sizes(network(), augment=shifted)) == 3 * 70


def test_too_much_to_keep_is_computed_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "MAX_FEATURE_BYTES", 1000)
    model, other = network(), network()
    assert sum(base_sizes(model)) == 3 * 70
    monkeypatch.undo()
    trained(other)
    assert same(model, other)


def test_frozen_arrays_keep_every_bit_and_augmentation_reaches_the_base() -> None:
    model, plain = network(), network()
    before = {name: array.copy() for name, array in model.weights.items()}
    trained(model, augment=shifted)
    trained(plain)
    for name, array in model.weights.items():
        assert np.array_equal(array, before[name]) == (name not in model.trainable_weights)
    assert not same(model, plain)


def test_gradients_of_the_head_are_those_of_the_whole_model() -> None:
    model = network().astype("float64")
    model.unfreeze()
    x = model.cast(X)
    dy = RNG.normal(size=(70, 3))
    _, caches = model.forward(x, logits=True)
    _, whole = model.backward(dy, caches, logits=True)
    model.freeze("max_pooling2d")
    front, rest = halves(model)
    _, caches = rest.forward(front.run(x), logits=True)
    _, own = rest.backward(dy, caches, logits=True)
    assert own.keys() == {"dense/kernel", "dense/bias"} < whole.keys()
    for name, gradient in own.items():
        assert np.array_equal(gradient, whole[name])


def test_a_frozen_base_costs_no_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: which layers are asked for gradients at all."""
    asked = []
    for kind in (Conv2D, BatchNormalization, MaxPooling2D, Dense):
        original = kind.backward

        def spy(self: Any, *inputs: Any, original: Any = original, **settings: Any) -> Any:
            asked.append((self.name, settings["need_dx"]))
            return original(self, *inputs, **settings)

        monkeypatch.setattr(kind, "backward", spy)
    trained(network(), augment=shifted)
    assert set(asked) == {("dense", False)}


@pytest.mark.parametrize("make", [lambda: network(0.2), heavy_head], ids=["light", "heavy"])
@pytest.mark.parametrize("augment", [None, shifted])
def test_resumed_it_ends_in_the_same_bytes(tmp_path: Path, augment: Any, make: Any) -> None:
    path = tmp_path / "state"

    def fit(epochs: Any, **settings: Any) -> Any:
        model = make()
        stop = EarlyStopping("loss", patience=9)
        callbacks = [stop, Checkpoint(path)]
        trained(model, epochs=epochs, augment=augment, callbacks=callbacks, **settings)
        return model

    whole = fit(4)
    fit(2)
    assert same(fit(4, resume=path), whole)
    assert same(fit(4, resume=path), whole)  # finished already

"""Training on batches that a generator makes: all kinds, prefetched, interrupted and resumed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nn.test_training import network, pictures, same_bytes
from tinymnist.augmentation import ImageDataGenerator
from tinymnist.errors import InputError
from tinymnist.nn.layers import Dense, Flatten
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.nn.training.batches import Source, is_source, prefetch, read_round
from tinymnist.nn.training.callbacks import Callback, Checkpoint

SIZE = 30


class Pairs:
    """A sequence as Keras has it."""

    def __init__(self, weighted: bool = False) -> None:
        self.x, self.y = pictures()
        self.weighted, self.rounds = weighted, 0
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < 3:
            raise IndexError(number)
        self.asked.append(number)
        rows = slice(SIZE * number, SIZE * (number + 1))
        weights = (self.y[rows] + 0.5,) if self.weighted else ()
        return self.x[rows], self.y[rows], *weights

    def on_epoch_end(self) -> None:
        self.rounds += 1


class Numbers(Pairs):
    """A source whose batches are asked for by number."""

    def batch(self, number: Any) -> Any:
        return self[number % 3]

    def plan(self) -> Any:
        return {"what": "pairs"}


def forever(weighted: bool = False) -> Iterator[Any]:
    pairs = Pairs(weighted)
    while True:
        yield from (pairs[i] for i in range(3))


SOURCES: dict[str, Callable[..., Any]] = {
    "sequence": Pairs,
    "numbered": Numbers,
    "generator": forever,
    "iterable": lambda weighted=False: list_like(forever(weighted)),
}


class Again:
    """Gives the same batches whenever it is begun, like a data loader."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)


def list_like(stream: Any) -> Any:
    return Again([next(stream) for _ in range(3)])


def fitted(x: Any, y: Any = None, **settings: Any) -> Any:
    model = network()
    settings = {"epochs": 2, "verbose": 0} | settings
    history = model.fit(x, y, **settings)
    return model, history.history


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_generator_of_batches_is_as_good_as_arrays(kind: Any, weighted: bool) -> None:
    """The same batches in the same order end in the same bytes."""
    x, y = pictures()
    weights = y + 0.5 if weighted else None
    settings: Any = {"batch_size": SIZE, "shuffle": False, "sample_weight": weights}
    model, history = fitted(x, y, **settings, class_weight={1: 3.0})
    other, same = fitted(SOURCES[kind](weighted), steps_per_epoch=3, class_weight={1: 3.0})
    assert same_bytes(model, other)
    assert history == same


@pytest.mark.parametrize("kind", SOURCES)
def test_epochs_go_on_where_the_last_one_stopped(kind: Any) -> None:
    """Two epochs of two batches, then one of five: four and five batches of the endless row."""
    labels = []

    def note(images: Any, rng: Any) -> Any:
        labels.append(images.sum())
        return images

    settings: Any = {"verbose": 0, "workers": 1, "micro_batch_size": SIZE, "augment": note}
    network().fit(SOURCES[kind](), epochs=2, steps_per_epoch=2, **settings)
    sums = [pictures()[0][SIZE * i : SIZE * (i + 1)].sum() for i in range(3)]
    assert labels == pytest.approx([sums[i] for i in (0, 1, 2, 0)])


def test_a_sequence_hears_of_the_end_of_every_round() -> None:
    pairs = Pairs()
    fitted(pairs, epochs=3)
    assert pairs.asked == [0, 1, 2] * 3 and pairs.rounds == 3


def test_the_number_of_threads_changes_nothing() -> None:
    flow = ImageDataGenerator(rotation_range=30, zoom_range=0.2).flow
    runs = [fitted(flow(*pictures(), 20, seed=4), workers=count) for count in (1, 2, 3)]
    assert all(same_bytes(runs[0][0], model) for model, _ in runs[1:])


def test_an_augmenting_generator_teaches_what_it_shows() -> None:
    model = network()
    flow = ImageDataGenerator(width_shift_range=1, height_shift_range=1).flow(*pictures(), seed=0)
    model.fit(flow, epochs=12, verbose=0)
    assert model.evaluate(*pictures(seed=1))[1] > 0.9


def test_a_frozen_part_takes_batches_as_it_takes_arrays() -> None:
    """Batches are new each time, so it runs in every step; the result is that of kept outputs."""
    x, y = pictures()
    models = [network() for _ in range(2)]
    for model in models:
        model.layers[0].trainable = False
    settings = {
        "epochs": 2,
        "verbose": 0,
        "validation_data": (x[:9], y[:9]),
        "micro_batch_size": SIZE,
    }
    kept = models[0].fit(x, y, batch_size=SIZE, shuffle=False, **settings).history
    anew = models[1].fit(Pairs(), **settings).history
    for name, array in models[0].weights.items():
        np.testing.assert_allclose(array, models[1].weights[name], rtol=1e-5, atol=1e-6)
    assert kept["loss"] == pytest.approx(anew["loss"], rel=1e-5)
    assert kept["val_loss"] == pytest.approx(anew["val_loss"], rel=1e-5)


# --- validation, evaluation, prediction --------------------------------------------------------


def test_validation_from_a_generator_is_that_of_its_arrays() -> None:
    held = pictures(seed=1)
    flow = ImageDataGenerator().flow(*held, 16, shuffle=False)
    _, from_flow = fitted(Pairs(), validation_data=flow)
    _, from_arrays = fitted(Pairs(), validation_data=held)
    assert from_flow == from_arrays
    _, of_some = fitted(Pairs(), validation_data=flow, validation_steps=1)
    assert of_some["val_loss"] != from_flow["val_loss"]


def test_evaluate_and_predict_take_generators() -> None:
    model, _ = fitted(Pairs())
    x, y = pictures()
    assert model.evaluate(Pairs()) == model.evaluate(x, y)
    np.testing.assert_array_equal(model.predict(Pairs()), model.predict(x))
    unlabelled = ImageDataGenerator().flow(x, batch_size=40, shuffle=False)
    np.testing.assert_array_equal(model.predict(unlabelled), model.predict(x))
    np.testing.assert_array_equal(model.predict(forever(), steps=2), model.predict(x[:60]))


# --- broken off and resumed --------------------------------------------------------------------


class StopAt(Callback):
    def __init__(self, batch: Any) -> None:
        self.left = batch

    def on_batch_end(self, training: Any) -> None:
        self.left -= 1
        training.interrupted |= self.left == 0


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_flow_with_a_seed_is_resumed_to_the_same_bytes(tmp_path: Path, batch: int) -> None:
    def flow() -> Any:
        return ImageDataGenerator(rotation_range=20).flow(*pictures(), 32, seed=7)

    path = tmp_path / "state"
    through, history = fitted(flow(), callbacks=[StopAt(99), Checkpoint(path)])
    fitted(flow(), callbacks=[StopAt(batch), Checkpoint(path)])
    resumed, same = fitted(flow(), callbacks=[StopAt(99), Checkpoint(path)], resume=path)
    assert same_bytes(through, resumed)
    assert history == same


def test_another_flow_does_not_go_on_where_this_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "state"
    generator = ImageDataGenerator(rotation_range=20)
    fitted(generator.flow(*pictures(), seed=7), callbacks=[Checkpoint(path)])
    with pytest.raises(InputError, match="other settings"):
        fitted(generator.flow(*pictures(), seed=8), callbacks=[Checkpoint(path)], resume=path)
    with pytest.raises(InputError, match="other settings"):
        fitted(*pictures(), callbacks=[Checkpoint(path)], resume=path)


@pytest.mark.parametrize("source", [Pairs(), ImageDataGenerator().flow(*pictures())])
def test_what_cannot_be_resumed_is_refused_before_it_begins(tmp_path: Path, source: Any) -> None:
    with pytest.raises(ValueError, match="resumed"):
        fitted(source, callbacks=[Checkpoint(tmp_path / "state")])
    assert not list(tmp_path.iterdir())


# --- ahead of time -----------------------------------------------------------------------------


def test_batches_are_made_ahead_but_not_far() -> None:
    made = []

    def items() -> Iterator[Any]:
        for i in range(10):
            made.append(i)
            yield i

    stream = prefetch(items())
    assert next(stream) == 0
    until = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert made == [0, 1, 2]
    assert list(stream) == list(range(1, 10))


def test_errors_come_through_and_threads_go_home() -> None:
    def items() -> Iterator[Any]:
        yield 1
        raise InputError("no more")

    before = threading.active_count()
    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(InputError, match="no more"):
        next(stream)
    left_early: Any = prefetch(iter(range(100)))
    next(left_early)
    left_early.close()
    assert threading.active_count() == before


# --- what is refused ---------------------------------------------------------------------------


def test_an_exhausted_generator_says_so() -> None:
    stream = (batch for batch in list_like(forever()).items)
    with pytest.raises(ValueError, match=r"epochs \* steps_per_epoch"):
        fitted(stream, steps_per_epoch=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": forever()}, "steps_per_epoch"),
        ({"x": Pairs(), "y": [1]}, "y="),
        ({"x": Pairs(), "validation_split": 0.5}, "validation_split=0.5"),
        ({"x": pictures()[0]}, "y=None"),
        ({"x": pictures()[0], "y": pictures()[1], "steps_per_epoch": 2}, "steps_per_epoch=2"),
        ({"x": ImageDataGenerator().flow(pictures()[0])}, "x alone"),
        ({"x": Again([(1, 2, 3, 4)]), "steps_per_epoch": 1}, "4 entries"),
        ({"x": Pairs(), "steps_per_epoch": 0}, "steps=0"),
        ({"x": Pairs(), "class_weight": "balanced"}, "class_weight='balanced'"),
    ],
)
def test_what_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(**arguments)


def test_arrays_and_lists_are_no_sources() -> None:
    assert not any(map(is_source, (np.zeros(3), [1], (1, 2), "text", 5, None)))
    assert all(map(is_source, (Pairs(), forever(), Again([]), Numbers())))


def test_a_round_is_read_into_arrays() -> None:
    x, y, weights = read_round(Pairs())
    np.testing.assert_array_equal(x, pictures()[0])
    np.testing.assert_array_equal(y, pictures()[1])
    assert weights is None
    assert Source(Pairs(), None, list).steps == 3


def test_targets_may_be_rows() -> None:
    model = Sequential([Input((6, 6, 1)), Flatten(), Dense(2, activation="softmax")], rng=0)
    model.compile("adam", "categorical_crossentropy")
    x, y = pictures()
    flow = ImageDataGenerator().flow(x, np.eye(2)[y], seed=0)
    assert model.fit(flow, epochs=3, verbose=0).history["loss"][-1] < 0.8

"""Callbacks used again, resumed, named as in Keras; and what is no callback."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nn.test_training import Interrupt, network, pictures, same_bytes
from tinymnist.errors import InputError
from tinymnist.nn.optimizers import SGD
from tinymnist.nn.sequential import load_model
from tinymnist.nn.training.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)


class Prepared(Callback):
    """Puts prepared losses into the logs, for those that come after."""

    def __init__(self, losses: Any) -> None:
        self.losses = losses
        self.rates: list[float] = []

    def on_epoch_end(self, training: Any, logs: Any) -> None:
        self.rates.append(logs["learning_rate"])
        logs["val_loss"] = self.losses[training.position.epoch - 1]


def fitted(callbacks: Any, model: Any = None, **settings: Any) -> Any:
    """(model, history) of a training of three batches an epoch."""
    model = model or network()
    settings = {"batch_size": 30, "verbose": 0} | settings
    return model, model.fit(*pictures(), callbacks=callbacks, **settings)


# --- used again -------------------------------------------------------------------------------


def test_early_stopping_begins_anew_in_a_second_fit() -> None:
    """The second fit is worse all along, and would end at once by the first one's best."""
    stop = EarlyStopping(patience=2)
    model, first = fitted([Prepared([0.5, 0.6, 0.7, 0.8]), stop], epochs=4)
    _, second = fitted([Prepared([5.0, 4.0, 3.0, 2.0]), stop], model, epochs=4)
    assert len(first.epoch) == 3
    assert len(second.epoch) == 4


def test_early_stopping_does_not_bring_back_an_earlier_training() -> None:
    """Not even after a training without a best epoch."""
    stop = EarlyStopping(patience=1, restore_best_weights=True)
    model, _ = fitted([Prepared([0.1, 0.2]), stop], epochs=2)
    before = model.get_weights()
    fitted([Prepared([np.nan, np.nan]), stop], model, epochs=2)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_plateau_begins_anew_in_a_second_fit() -> None:
    plateau = ReduceLROnPlateau(patience=2, factor=0.5, cooldown=9)
    first, second = Prepared([1.0, 2.0, 3.0, 4.0]), Prepared([9.0, 9.0, 9.0, 9.0])
    model, _ = fitted([first, plateau], epochs=4)
    fitted([second, plateau], model, epochs=4)
    assert first.rates == [0.02, 0.02, 0.02, 0.01]
    assert second.rates == [0.01, 0.01, 0.01, 0.005]  # neither the best nor the cooldown stays


def test_a_schedule_is_asked_once_for_each_epoch_and_not_after_the_last() -> None:
    asked = []

    def schedule(epoch: Any, rate: Any) -> Any:
        asked.append((epoch, rate))
        return rate / 2

    _, history = fitted([LearningRateScheduler(schedule)], epochs=3)
    assert asked == [(0, 0.02), (1, 0.01), (2, 0.005)]
    assert history.history["learning_rate"] == [0.01, 0.005, 0.0025]


def test_a_schedule_of_the_epoch_alone_rules_a_second_fit_from_its_start() -> None:
    scheduler = LearningRateScheduler(lambda epoch: 0.1 / 2**epoch)
    model, first = fitted([scheduler], epochs=3)
    _, second = fitted([scheduler], model, epochs=2)
    _, third = fitted([scheduler], model, epochs=3, initial_epoch=2)
    assert first.history["learning_rate"] == [0.1, 0.05, 0.025]
    assert second.history["learning_rate"] == [0.1, 0.05]
    assert third.history["learning_rate"] == [0.025]


# --- ModelCheckpoint --------------------------------------------------------------------------


def test_every_epoch_is_saved_by_its_number_and_figures(tmp_path: Path) -> None:
    path = tmp_path / "{epoch:02d}-{val_loss:.2f}.npz"
    model, _ = fitted([Prepared([0.5, 0.625, 0.25]), ModelCheckpoint(path)], epochs=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "01-0.50.npz", "02-0.62.npz", "03-0.25.npz",
    ]  # fmt: skip
    assert same_bytes(load_model(tmp_path / "03-0.25.npz"), model)
    assert not same_bytes(load_model(tmp_path / "01-0.50.npz"), model)


def test_only_the_best_is_saved(tmp_path: Path) -> None:
    losses = Prepared([0.5, 0.75, 0.25, 0.25])
    path = tmp_path / "{epoch}.npz"
    fitted([losses, ModelCheckpoint(path, save_best_only=True)], epochs=4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.npz", "3.npz"]


def test_the_best_may_be_the_highest(tmp_path: Path) -> None:
    losses = Prepared([0.5, 0.75, 0.25])
    save = ModelCheckpoint(tmp_path / "{epoch}.npz", save_best_only=True, mode="max")
    fitted([losses, save], epochs=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.npz", "2.npz"]


# --- what is a callback -----------------------------------------------------------------------


def test_none_one_and_several_callbacks() -> None:
    plain, _ = fitted(None)
    alone, together = Prepared([1.0]), Prepared([1.0])
    one, _ = fitted(alone)
    several, _ = fitted((together, Callback()))
    assert len(alone.rates) == len(together.rates) == 1
    assert same_bytes(plain, one) and same_bytes(plain, several)


class KerasBegin(Callback):
    def on_epoch_begin(self, training: Any) -> None:
        raise AssertionError("nobody calls this")


class Foreign:
    def on_epoch_end(self, training: Any, logs: Any) -> None:
        raise AssertionError("not one of ours")


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (KerasBegin(), r"Received: KerasBegin with \['on_epoch_begin'\]"),
        (Foreign(), r"Received: Foreign"),
        (print, r"Received: builtin_function"),
        (EarlyStopping, r"Received: type"),
    ],
)
def test_what_fit_would_call_wrongly_is_refused_before_it_begins(
    callback: Any, message: str
) -> None:
    model = network()
    before = model.astype("float32")
    with pytest.raises(ValueError, match=message):
        fitted([callback], model)
    assert same_bytes(model, before)


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_mode_is_one_of_three(kind: Any) -> None:
    with pytest.raises(ValueError, match="mode='up'"):
        kind(mode="up")


def test_a_factor_lowers() -> None:
    with pytest.raises(ValueError, match=r"factor=1\.0"):
        ReduceLROnPlateau(factor=1.0)


def test_verbose_callbacks_say_what_they_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callbacks = [
        Prepared([1.0, 2.0, 3.0]),
        EarlyStopping(patience=2, verbose=1),
        ReduceLROnPlateau(patience=1, factor=0.5, verbose=1),
        ModelCheckpoint(tmp_path / "{epoch}.npz", verbose=1),
    ]
    fitted(callbacks, epochs=9)
    said = capsys.readouterr().err
    assert "epoch 2: learning rate lowered to 0.01\n" in said
    assert "epoch 3: early stopping\n" in said
    assert f"epoch 1: saved {tmp_path / '1.npz'}\n" in said


# --- resumed ----------------------------------------------------------------------------------

LOSSES = [1.0, 2.0, 0.5, 3.0, 3.0, 3.0, 3.0]


def watched(path: Any, where: Any, resume: Any = None) -> tuple[Any, Any, list[str]]:
    """(model, history, files) of a training in which all callbacks have something to remember."""
    saved = path.with_suffix(".models")
    saved.mkdir(exist_ok=True)
    callbacks = [
        Interrupt(*where),
        Prepared(LOSSES),
        EarlyStopping(patience=4, restore_best_weights=True),
        ReduceLROnPlateau(patience=1, factor=0.5, cooldown=2),
        ModelCheckpoint(saved / "{epoch}.npz", save_best_only=True),
        Checkpoint(path),  # also where it is interrupted
    ]
    model, history = fitted(callbacks, epochs=7, resume=resume)
    return model, history.history, sorted(p.name for p in saved.iterdir())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, list[str]]:
    return watched(tmp_path_factory.mktemp("uninterrupted") / "whole", (99, 0))


@pytest.mark.parametrize("where", [(1, 2), (2, 3), (4, 1), (5, 3), (6, 1)])
def test_a_resumed_training_keeps_what_its_callbacks_knew(
    tmp_path: Path, where: tuple[int, int], uninterrupted: tuple[Any, Any, list[str]]
) -> None:
    model, history, files = uninterrupted
    assert files == ["1.npz", "3.npz"] and len(set(history["learning_rate"])) > 2
    path = tmp_path / "broken"
    _, broken, _ = watched(path, where)
    assert len(broken["loss"]) == where[0]
    resumed, same, saved = watched(path, (99, 0), resume=path)
    assert same == history and saved == files
    assert same_bytes(resumed, model)


def test_a_resumed_scheduler_does_not_set_a_rate_twice(tmp_path: Path) -> None:
    """The rate of an epoch that was broken off in its midst is halved already."""

    def halved(where: Any, name: Any, resume: Any = None) -> Any:
        path = tmp_path / name
        halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
        callbacks = [Interrupt(*where), halve, Checkpoint(path)]
        return fitted(callbacks, epochs=3, resume=resume)

    whole, history = halved((99, 0), "whole")
    halved((1, 2), "broken")
    resumed, same = halved((99, 0), "broken", resume=tmp_path / "broken")
    assert same.history == history.history
    assert same_bytes(whole, resumed)


class KerasStyle(Callback):
    """Written for Keras: numbers and figures, and the model as an attribute."""

    def __init__(self, stop_after: int = 99) -> None:
        self.calls: list[Any] = []
        self.stop_after = stop_after

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append(("begin", self.params["epochs"]))  # type: ignore[attr-defined]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(("epoch", epoch))

    def on_batch_end(self, batch: int, logs: Any = None) -> None:  # type: ignore[override]
        self.calls.append(("batch", batch, sorted(logs)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # type: ignore[override]
        self.calls.append(("end", epoch, logs["accuracy"]))
        if epoch + 1 == self.stop_after:
            self.model.stop_training = True  # type: ignore[attr-defined]

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append("over")


def test_a_callback_for_keras_is_called_as_by_keras() -> None:
    callback = KerasStyle(stop_after=2)
    model, history = fitted([callback], epochs=5, batch_size=45)
    batches = [("batch", 0, ["accuracy", "loss"]), ("batch", 1, ["accuracy", "loss"])]
    accuracy = history.history["accuracy"]
    assert callback.calls == [
        ("begin", 5), ("epoch", 0), *batches, ("end", 0, accuracy[0]),
        ("epoch", 1), *batches, ("end", 1, accuracy[1]), "over",
    ]  # fmt: skip
    assert callback.model is model and len(accuracy) == 2  # type: ignore[attr-defined]


def test_functions_can_be_callbacks() -> None:
    seen: list[Any] = []
    note = LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])),
        on_train_end=lambda logs: seen.append("over"),
    )
    kept = History()
    _, history = fitted([note, kept], epochs=2)
    assert seen == [*enumerate(history.history["loss"]), "over"]
    assert kept.history["loss"] == history.history["loss"] and kept.epoch == [0, 1]
    with pytest.raises(ValueError, match="LambdaCallback takes on_train_begin"):
        LambdaCallback(on_epoch=print)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    model = network()
    model.compile(SGD(1e30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what NumPy says of the overflow
        history = model.fit(*pictures(), epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    assert history.interrupted and len(history.history.get("loss", [])) < 3


def test_tensorboard_is_refused_with_what_to_use() -> None:
    with pytest.raises(InputError, match="use CSVLogger"):
        TensorBoard(log_dir="logs")


def test_a_figure_by_its_older_name_is_found(tmp_path: Path) -> None:
    stop = EarlyStopping(monitor="acc", patience=1, min_delta=2.0)
    assert len(fitted([stop], epochs=9)[1].epoch) == 2
    with pytest.warns(UserWarning, match=r"does nothing: monitor must be one of.*'val_auc'"):
        fitted([EarlyStopping("val_auc")])


def test_a_foreign_object_and_other_attributes() -> None:
    with pytest.raises(ValueError, match=r"Received: object"):
        fitted(object())
    ours: Any = Prepared([1.0])
    ours.on_screen = True
    fitted([ours])


def test_a_resumed_training_keeps_its_callbacks_state_whatever_its_first_epoch(
    tmp_path: Path,
) -> None:
    def run(resume: Any = None, where: Any = (99, 0), **settings: Any) -> Any:
        path = tmp_path / "state"
        parts = [Prepared([0.5, 0.6, 0.7, 0.8, 0.9, 0.9]), EarlyStopping(patience=3)]
        return fitted([*parts, Interrupt(*where), Checkpoint(path)], resume=resume, epochs=6,
                      rng=0, **settings)[1].epoch  # fmt: skip

    assert run(where=(2, 1)) == [0, 1]
    assert run(resume=tmp_path / "state", initial_epoch=2) == [0, 1, 2, 3]


def test_refusals_come_before_the_training() -> None:
    with pytest.raises(InputError, match=r"should end with one of \.keras"):
        ModelCheckpoint("best.pth")
    with pytest.raises(ValueError, match="Received: None for epoch 0"):
        fitted([LearningRateScheduler(lambda epoch: None)])  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("patience", [-1, 1.5])
def test_patience_is_a_whole_number_of_epochs(patience: Any) -> None:
    for kind in (EarlyStopping, ReduceLROnPlateau):
        with pytest.raises(ValueError, match=f"patience must be .*Received: patience={patience}"):
            kind(patience=patience)
    with pytest.raises(ValueError, match="Received: cooldown=-2"):
        ReduceLROnPlateau(cooldown=-2)

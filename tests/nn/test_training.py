"""Training: what is learnt, what is reported, and what interruptions do not change."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinymnist.errors import InputError
from tinymnist.nn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, ReLU
from tinymnist.nn.losses import CategoricalCrossentropy
from tinymnist.nn.optimizers import SGD, Adam
from tinymnist.nn.schedules import CosineDecay
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.nn.training.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ReduceLROnPlateau,
)


def pictures(n: int = 90, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Bars that lie (0) or stand (1), with noise."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 6, 6, 1), np.float32) * 0.6, rng.integers(0, 2, n)
    for picture, label, place in zip(x, y, rng.integers(0, 6, n), strict=True):
        if label:
            picture[:, place] += 1
        else:
            picture[place] += 1
    return x, y


def network(dtype: str = "float32", normalized: bool = False) -> Any:
    """With dropout, so that randomness matters; with or without layers that couple examples."""
    middle = [BatchNormalization()] if normalized else []
    model = Sequential(
        [Input((6, 6, 1)), Conv2D(4, 3), *middle, ReLU(), Flatten(), Dropout(0.3),
         Dense(2, activation="softmax")],
        dtype=dtype,
        rng=1,
    )  # fmt: skip
    model.compile(Adam(0.02))
    return model


def trained(**settings: Any) -> Any:
    model = settings.pop("model", None) or network()
    settings = {"batch_size": 24, "epochs": 2, "verbose": 0} | settings
    history = model.fit(*pictures(), **settings)
    return model, history.history


def same_bytes(one: Any, other: Any) -> Any:
    return {n: a.tobytes() for n, a in one.weights.items()} == {
        n: a.tobytes() for n, a in other.weights.items()
    }


def shifted(images: Any, rng: Any) -> Any:
    """An augmentation."""
    return np.roll(images, rng.integers(-1, 2), axis=1)


def test_it_learns() -> None:
    model, history = trained(epochs=12)
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert model.evaluate(*pictures(seed=1))[1] > 0.9


def test_a_float64_model_learns_in_float64() -> None:
    model, _ = trained(model=network("float64"))
    assert {a.dtype for a in model.weights.values()} == {np.dtype("float64")}
    assert {a.dtype for a in model.optimizer.state.values()} == {np.dtype("float64")}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert same_bytes(trained(rng=3)[0], trained(rng=3)[0])
    assert not same_bytes(trained(rng=3)[0], trained(rng=4)[0])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_threads_changes_nothing(workers: int) -> None:
    two, history = trained(workers=2, augment=shifted)
    other, same = trained(workers=workers, augment=shifted)
    assert same_bytes(two, other)
    assert history == same


def test_the_sum_over_pieces_is_the_whole_batch() -> None:
    """Without anything random, the cut changes the order of sums only."""
    models = [network("float64") for _ in range(2)]
    for model, size in zip(models, (5, 24), strict=True):
        model.layers[3].rate = 0.0
        trained(model=model, micro_batch_size=size, shuffle=False)
    for name, array in models[0].weights.items():
        assert np.allclose(array, models[1].weights[name], rtol=1e-9, atol=1e-12)


def test_batch_normalization_sees_the_whole_batch_unless_told_otherwise() -> None:
    whole, _ = trained(model=network(normalized=True))
    explicit, _ = trained(model=network(normalized=True), micro_batch_size=24)
    ghost, _ = trained(model=network(normalized=True), micro_batch_size=8)
    assert same_bytes(whole, explicit)
    assert not same_bytes(whole, ghost)
    assert ghost.get_layer("batch_normalization").moving_mean.any()


def test_weights_of_examples_and_classes() -> None:
    """Weight 0 makes examples invisible, whatever they are; class weights do the same by label."""
    x, y = pictures()
    weights = (np.arange(90) % 2).astype(float)
    spoiled = np.where(weights[:, None, None, None] > 0, x, 0.5)

    def fit(x: Any, **settings: Any) -> Any:
        model = network()
        model.fit(x, y, batch_size=30, verbose=0, **settings)
        return model

    assert same_bytes(fit(x, sample_weight=weights), fit(spoiled, sample_weight=weights))
    by_class = fit(x, class_weight={0: 0.25})
    by_sample = fit(x, sample_weight=np.where(y == 0, 0.25, 1.0))
    assert same_bytes(by_class, by_sample)


def test_rows_of_probabilities_as_labels() -> None:
    x, y = pictures()
    one, other = network(), network()
    other.compile(Adam(0.02), CategoricalCrossentropy())
    one.fit(x, y, verbose=0)
    other.fit(x, np.eye(2)[y], verbose=0)
    assert same_bytes(one, other)


def test_history_and_validation() -> None:
    x, y = pictures()
    _, given = trained(validation_data=(x[60:], y[60:]))
    assert list(given) == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert all(len(column) == 2 for column in given.values())
    model = network()
    split = model.fit(x, y, validation_split=1 / 3, batch_size=24, epochs=2, verbose=0).history
    figures = model.evaluate(x[60:], y[60:], return_dict=True)
    assert split["val_loss"][-1] == pytest.approx(figures["loss"])
    assert split["val_accuracy"][-1] == pytest.approx(figures["accuracy"])


def test_without_shuffling_the_order_is_that_of_the_examples() -> None:
    seen = []

    def spy(images: Any, rng: Any) -> Any:
        seen.append(images[:, 0, 0, 0])
        return images

    x, _ = pictures()
    trained(shuffle=False, epochs=1, augment=spy, workers=1)
    assert np.array_equal(np.concatenate(seen), x[:, 0, 0, 0])
    seen.clear()
    trained(epochs=1, augment=spy, workers=1)
    shuffled = np.concatenate(seen)
    assert not np.array_equal(shuffled, x[:, 0, 0, 0])
    assert np.array_equal(np.sort(shuffled), np.sort(x[:, 0, 0, 0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"micro_batch_size": 0}, "micro_batch_size=0"),
        ({"validation_split": 1.0}, r"validation_split .*1\.0"),
        ({"verbose": 3}, "verbose=3"),
        ({"sample_weight": [1.0]}, "sample_weight must be of shape"),
    ],
)
def test_bad_settings_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained(**settings)


def test_bad_examples_are_refused() -> None:
    x, y = pictures()
    model = network()
    with pytest.raises(ValueError, match="90 and 89"):
        model.fit(x, y[:-1], verbose=0)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        model.fit(x, y + 1, verbose=0)
    with pytest.raises(ValueError, match=r"compile\("):
        Sequential([Dense(2)], input_shape=(2,)).fit(x, y)


# Progress ----------------------------------------------------------------------------------------


def test_piped_progress_is_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    trained(verbose="auto")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all(word in lines[0] for word in ("loss", "accuracy", "learning_rate", " s "))


def test_progress_on_a_terminal_moves_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymnist.nn.training.fit.REPAINT_SECONDS", 0.0)
    trained(verbose=1, epochs=1)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.endswith("\n")
    paints = err.split("\r\x1b[K")
    assert any("2/4" in paint and "s left" in paint and "loss" in paint for paint in paints)


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    trained(verbose=0)
    assert capsys.readouterr() == ("", "")


# Callbacks ---------------------------------------------------------------------------------------


class Recorder(Callback):
    """Notes the moments."""

    def __init__(self) -> None:
        self.moments: list[str] = []

    def on_train_begin(self, training: Any) -> None:
        self.moments.append("begin")

    def on_batch_end(self, training: Any) -> None:
        self.moments.append(f"batch {training.position.batch}")

    def on_epoch_end(self, training: Any, logs: Any) -> None:
        self.moments.append(f"epoch {training.position.epoch}")

    def on_train_end(self, training: Any) -> None:
        self.moments.append("end")


def test_the_moments_of_callbacks() -> None:
    recorder = Recorder()
    trained(callbacks=[recorder], batch_size=45)
    assert recorder.moments == [
        "begin", "batch 1", "batch 2", "epoch 1", "batch 1", "batch 2", "epoch 2", "end",
    ]  # fmt: skip


class Worsen(Callback):
    """Makes the model useless after some epochs."""

    def __init__(self, after: Any) -> None:
        self.after = after

    def on_batch_end(self, training: Any) -> None:
        if training.position.epoch >= self.after:
            training.model.get_layer("dense").kernel[:] = 0
            training.model.get_layer("dense").bias[:] = 5, -5


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_ends_and_restores_the_best(restore: bool) -> None:
    stop = EarlyStopping("val_loss", patience=1, restore_best_weights=restore)
    model, history = trained(
        epochs=20, validation_data=pictures(seed=1), callbacks=[Worsen(after=3), stop]
    )
    losses = history["val_loss"]
    assert len(losses) == 4 and int(np.argmin(losses)) == 2  # the third was best, one is enough
    found = model.evaluate(*pictures(seed=1))[0]
    assert found == pytest.approx(losses[2] if restore else losses[-1], rel=1e-5)


def test_early_stopping_watches_accuracy_upwards() -> None:
    stop = EarlyStopping("accuracy", patience=0, min_delta=2.0)
    _, history = trained(epochs=20, callbacks=[stop])
    assert len(history["loss"]) == 2  # the first always improves on nothing
    with pytest.warns(UserWarning, match=r"monitor must be one of \['loss'.*'val_auc'"):
        trained(callbacks=[EarlyStopping("val_auc")])


def test_learning_rate_callbacks() -> None:
    halve = LearningRateScheduler(lambda epoch, rate: 0.1 / 2**epoch)
    _, history = trained(epochs=3, callbacks=[halve])
    assert history["learning_rate"] == pytest.approx([0.1, 0.05, 0.025])
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_lr=0.004)
    _, history = trained(epochs=6, callbacks=[Worsen(after=1), plateau])
    rates = history["learning_rate"]
    assert rates[0] == 0.02 and min(rates) >= 0.004 and rates[-1] < 0.02


def test_a_schedule_and_a_callback_cannot_both_rule() -> None:
    model = network()
    model.compile(SGD(CosineDecay(0.1, 10)))
    with pytest.raises(ValueError, match="learning_rate=CosineDecay"):
        trained(model=model, callbacks=[ReduceLROnPlateau("loss")])


def test_csv_history(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    _, history = trained(epochs=3, callbacks=[CSVLogger(path)])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert os.listdir(tmp_path) == ["history.csv"]


# Interruptions -----------------------------------------------------------------------------------


class Interrupt(Callback):
    """Presses Ctrl-C during a batch."""

    def __init__(self, epoch: Any, batch: Any) -> None:
        self.when = epoch, batch

    def on_batch_end(self, training: Any) -> None:
        if (training.position.epoch, training.position.batch) == self.when:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_after_the_batch_and_keeps_the_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder()
    before = signal.getsignal(signal.SIGINT)
    model, history = trained(callbacks=[Interrupt(1, 2), recorder], verbose=2)
    assert recorder.moments[-2:] == ["batch 2", "end"]
    assert len(history["loss"]) == 1
    assert np.isfinite(model.predict(pictures()[0])).all()
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopped after this batch; the model is kept" in capsys.readouterr().err


def optimizers() -> Any:
    """Two that keep different states; new ones, since they remember."""
    return {"adam": Adam(0.02), "schedule": SGD(CosineDecay(0.1, 12), 0.9)}


def interrupted_at(path: Any, where: Any, optimizer: str = "adam", resume: Any = None) -> Any:
    """(model, history) of a training that checkpoints, with Ctrl-C at (epoch, batch)."""
    model = network(normalized=True)
    model.compile(optimizers()[optimizer])
    callbacks = [EarlyStopping("loss", patience=9), Interrupt(*where), Checkpoint(path, every=2)]
    return trained(model=model, epochs=3, augment=shifted, callbacks=callbacks, resume=resume)


@pytest.mark.usefixtures("one_press")
@pytest.mark.parametrize("optimizer", optimizers())
@pytest.mark.parametrize("where", [(0, 1), (1, 2), (1, 4)])
def test_a_resumed_training_ends_in_the_same_bytes(
    tmp_path: Path, where: Any, optimizer: Any
) -> None:
    never = (99, 0)
    whole, expected = interrupted_at(tmp_path / "other", never, optimizer)
    path = tmp_path / "state"
    broken, _ = interrupted_at(path, where, optimizer)
    resumed, history = interrupted_at(path, never, optimizer, resume=path)
    assert not same_bytes(whole, broken)
    assert same_bytes(whole, resumed)
    assert history == expected


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    trained(callbacks=[Checkpoint(path)])
    with pytest.raises(InputError, match=r"other settings \(batch_size\): expected 9, found 24"):
        trained(callbacks=[Checkpoint(path)], batch_size=9, resume=path)
    network().save(tmp_path / "model.npz")
    with pytest.raises(InputError, match="is not a training checkpoint"):
        trained(callbacks=[Checkpoint(path)], resume=tmp_path / "model.npz")
    with pytest.raises(InputError, match="No such file"):
        trained(resume=tmp_path / "nothing")


KILLED = textwrap.dedent(
    """
    import os, signal, sys, zipfile
    import numpy as np
    from tinymnist.nn import Adam, Checkpoint, Dense, Dropout, Flatten, Input, Sequential

    state, out, last_entry = sys.argv[1:]
    entries, plain = 0, zipfile.ZipFile.writestr

    def writestr(archive, *content):  # every checkpoint is an archive of 7 entries
        global entries
        entries += 1
        if entries == int(last_entry):
            os.kill(os.getpid(), signal.SIGKILL)
        plain(archive, *content)

    zipfile.ZipFile.writestr = writestr
    rng = np.random.default_rng(0)
    x, y = rng.random((48, 6, 6, 1), np.float32), rng.integers(0, 3, 48)
    model = Sequential([Input((6, 6, 1)), Flatten(), Dropout(0.3), Dense(3)], rng=0)
    model.compile(Adam(0.01))
    model.fit(x, y, epochs=3, batch_size=8, verbose=0, workers=2,
              augment=lambda images, rng: np.roll(images, rng.integers(-1, 2), axis=1),
              callbacks=Checkpoint(state, every=1),
              resume=state if os.path.exists(state) else None)
    model.save(out)
    """
)


def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the first checkpoint, in the midst of one, between two, before a last entry."""

    def run(name: str, last_entry: int = 0) -> int:
        paths = [str(tmp_path / f"{name}.{kind}") for kind in ("ckpt", "npz")]
        return subprocess.run([sys.executable, "-c", KILLED, *paths, str(last_entry)]).returncode

    assert run("whole") == 0
    for last_entry in (3, 7 * 4 + 5, 7 * 5 + 1, 7 * 7):
        assert run("killed", last_entry) == -signal.SIGKILL
        assert (tmp_path / "killed.ckpt").exists() == (last_entry > 7)
    assert run("killed") == 0
    assert (tmp_path / "killed.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_second_ctrl_c_within_moments_is_the_same_one() -> None:
    """During the batch, and when the training is over but the model not yet saved."""

    class PressTwice(Interrupt):
        def on_batch_end(self, training: Any) -> None:
            super().on_batch_end(training)
            super().on_batch_end(training)

        def on_train_end(self, training: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    _, history = trained(callbacks=[PressTwice(1, 2)])
    assert len(history["loss"]) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_later_second_ctrl_c_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class PressAgain(Interrupt):
        def on_train_end(self, training: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("tinymnist.nn.training.fit.ONE_PRESS_SECONDS", -1.0)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(callbacks=[PressAgain(1, 2)])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1.5}, "epochs must be a whole number of at least 0. Received: epochs=1.5"),
        ({"batch_size": 0}, "batch_size must be .* at least 1. Received: batch_size=0"),
        ({"batch_size": 2.5}, "Received: batch_size=2.5"),
        ({"initial_epoch": -1}, "Received: initial_epoch=-1"),
        ({"micro_batch_size": 0}, "Received: micro_batch_size=0"),
        ({"class_weight": {99: 1.0}}, r"class_weight must hold classes in 0\.\..*Received: 99: 1"),
        ({"class_weight": {-1: 1.0}}, "Received: -1: 1.0"),
        ({"class_weight": {0: -2.0}}, "weights of at least 0. Received: 0: -2.0"),
        ({"class_weight": {0: float("nan")}}, "Received: 0: nan"),
        ({"sample_weight": np.full(len(pictures()[0]), np.nan)}, "sample_weight must be finite"),
    ],
)
def test_senseless_settings_are_refused_before_anything_changes(
    settings: dict[str, Any], message: str
) -> None:
    model = network()
    before = {name: array.copy() for name, array in model.weights.items()}
    with pytest.raises(ValueError, match=message):
        trained(model=model, **settings)
    assert all(np.array_equal(array, before[name]) for name, array in model.weights.items())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pictures_with_nan_or_infinity_are_refused(value: float) -> None:
    x, y = pictures()
    x = x.copy()
    x[-1, 0, 0] = value
    with pytest.raises(ValueError, match="x must be finite"):
        network().fit(x, y, verbose=0)

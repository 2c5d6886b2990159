"""Fine-tuning: where it starts, what it keeps, what it brings, and that a kill changes nothing."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.adapter import scaling_entry
from tinymnist.augmentation.distort import RandomDistortion
from tinymnist.data.sets import renumbered
from tinymnist.errors import InputError
from tinymnist.finetuning import Checkpoints, FineTuning, attempt, finetune, trial
from tinymnist.finetuning.report import how_much
from tinymnist.finetuning.stages import input_distortion, start_from
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, ReLU, Softmax
from tinymnist.nn.sequential import Input, Sequential, load_model
from tinymnist.nn.training.callbacks import Checkpoint
from tinymnist.nn.training.state import Training
from tinymnist.nn.weights import fingerprint
from tinymnist.reader import Reader

DIGITS = tuple("0123456789")
QUICK = FineTuning(epochs=4)


def painted(digits: Sequence[int], each: int, seed: int = 0) -> tuple[Array, Array]:
    """Digits in several pens and slants: (n, 28, 28, 1), and their numbers in ``digits``."""
    x, y = _painted(tuple(digits), each, seed)
    return x.copy(), y.copy()


@cache
def _painted(digits: tuple[int, ...], each: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    pictures = [
        ink(digit, (28, 28), height=0.72, pen=rng.uniform(0.1, 0.2), slant=rng.normal(0, 0.1),
            turn=rng.normal(0, 6))
        for digit in digits
        for _ in range(each)
    ]  # fmt: skip
    return np.stack(pictures)[..., None], np.repeat(np.arange(len(digits)), each)


def network() -> Sequential:
    """A small one with all that matters: batch normalization, dropout, a head for digits."""
    return Sequential(
        [Input((28, 28, 1)), Conv2D(4, 5, strides=3), BatchNormalization(), ReLU(),
         Conv2D(8, 3, strides=2), ReLU(), Flatten(), Dropout(0.2), Dense(10, activation="softmax")],
        rng=0, name="base",
    )  # fmt: skip


@pytest.fixture(scope="module")
def base() -> Sequential:
    model = network()
    model.compile("adam")
    model.fit(*painted(range(10), 20), epochs=15, verbose=0)
    model.metadata = {"class_names": list(DIGITS), "preprocessing": {"recipe": "mnist"}}
    return model


def same(one: Sequential, other: Sequential) -> bool:
    return all(np.array_equal(a, other.weights[n]) for n, a in one.weights.items())


# The start ---------------------------------------------------------------------------------------


def test_the_bases_own_head_is_kept_where_it_knows_the_classes(base: Sequential) -> None:
    start = start_from(base, ("3", "7"))
    assert not start.is_new and start.class_names == DIGITS
    assert same(start.model, base)
    assert start.model.layers[0] is not base.layers[0]


def test_a_new_head_takes_over_what_the_old_one_knows(base: Sequential) -> None:
    start = start_from(base, ("7", "tick"))
    assert start.is_new and start.class_names == ("7", "tick")
    old: Any = base.layers[-1]
    new: Any = start.model.layers[-1]
    assert np.array_equal(new.kernel[:, 0], old.kernel[:, 7]) and new.bias[0] == old.bias[7]
    assert not np.isin(new.kernel[:, 1], old.kernel).any()


def test_a_hidden_layer_makes_the_head_new(base: Sequential) -> None:
    start = start_from(base, DIGITS, hidden=16)
    assert start.is_new and start.head_layers == 2
    assert [layer.name for layer in start.model][-2:] == ["head_hidden", "head"]


def test_labels_change_their_numbers_with_the_names() -> None:
    found = renumbered(np.array([0, 2, 1]), ("b", "a", "c"), ("a", "b"))
    assert found.tolist() == [1, -1, 0]


# The stages --------------------------------------------------------------------------------------


LAYERS = {0: ("dense",), 1: ("conv2d_1", "dense"), None: ("conv2d", "conv2d_1", "dense")}


@pytest.mark.parametrize("unfreeze", LAYERS)
def test_the_base_is_not_touched_and_what_is_frozen_keeps_every_bit(
    base: Sequential, unfreeze: int | None
) -> None:
    before = fingerprint(base)
    settings = FineTuning(unfreeze=unfreeze, epochs=4)
    tuned = finetune(base, *painted(range(10), 2, seed=1), DIGITS, settings)
    assert fingerprint(base) == before
    changed = {n for n, a in tuned.weights.items() if not np.array_equal(a, base.weights[n])}
    assert changed == {f"{name}/{kind}" for name in LAYERS[unfreeze] for kind in ("kernel", "bias")}
    assert all(layer.trainable for layer in tuned)


def test_the_result_lies_between_the_base_and_what_was_learnt(base: Sequential) -> None:
    x, y = painted(range(10), 2, seed=1)
    learnt, half = (
        finetune(base, x, y, DIGITS, FineTuning(epochs=4, average=share)) for share in (0.0, 0.5)
    )
    for name, array in half.weights.items():
        middle = (base.weights[name] + learnt.weights[name]) / 2
        np.testing.assert_allclose(array, middle, rtol=1e-5, atol=1e-6)


def test_a_new_head_is_not_averaged(base: Sequential) -> None:
    """Its columns for new classes started as noise."""
    x, y = painted((1, 8), 2)
    learnt, half = (
        finetune(base, x, y, ("one", "eight"), FineTuning(epochs=4, average=share))
        for share in (0.0, 0.5)
    )
    assert same(learnt, half)


@pytest.mark.parametrize(
    ("told", "few", "many"), [(None, True, False), (True, True, True), (False, False, False)]
)
def test_few_pictures_are_varied_unless_told_otherwise(
    told: bool | None, few: bool, many: bool
) -> None:
    settings = FineTuning(augment=told)
    assert settings.augments(1999) is few and settings.augments(2000) is many


def test_it_remembers_classes_recipe_and_parent(base: Sequential, tmp_path: Path) -> None:
    x, y = painted((1, 8), 2)
    once = finetune(base, x, y, ("one", "eight"), QUICK)
    once.save(tmp_path / "once.npz")
    told = load_model(tmp_path / "once.npz").metadata
    assert told["class_names"] == ["one", "eight"]
    assert told["preprocessing"] == {"recipe": "mnist"}
    assert told["parent"] == {"name": "base", "fingerprint": fingerprint(base)}
    twice = finetune(once, x, y, ("one", "eight"), QUICK)
    assert twice.metadata["parent"]["parent"] == told["parent"]


def test_held_harder_it_moves_less(base: Sequential) -> None:
    """L2-SP: the stronger the decay to the start, the nearer to it."""
    x, y = painted(range(10), 2, seed=2)

    def moved(decay: float) -> float:
        settings = FineTuning(epochs=25, decay=decay, augment=False)
        tuned = finetune(base, x, y[::-1].copy(), DIGITS, settings)
        return float(
            np.abs(tuned.weights["conv2d_1/kernel"] - base.weights["conv2d_1/kernel"]).mean()
        )

    assert moved(400.0) < 0.6 * moved(0.0)


def test_same_seed_same_bytes(base: Sequential) -> None:
    x, y = painted(range(10), 2)
    tuned = [finetune(base, x, y, DIGITS, FineTuning(epochs=2, seed=s)) for s in (1, 1, 2)]
    assert same(tuned[0], tuned[1]) and not same(tuned[0], tuned[2])


def test_stages_stop_by_a_validation_set(base: Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that are wrong there make any learning look harmful: the best is near the start."""
    x, y = painted(range(10), 3)
    wrong = (y + 1) % 10
    tuned = finetune(base, x, y, DIGITS, FineTuning(epochs=40), validation=(x, wrong))
    free = finetune(base, x, y, DIGITS, FineTuning(epochs=40))
    kernel = base.weights["dense/kernel"]
    near = np.abs(tuned.weights["dense/kernel"] - kernel).mean()
    assert near < 0.3 * np.abs(free.weights["dense/kernel"] - kernel).mean()


# The trial ---------------------------------------------------------------------------------------


def test_new_classes_are_measured_in_folds(base: Sequential) -> None:
    x, y = painted((1, 8, 0), 5)
    found = attempt(base, x, y, ("one", "eight", "zero"), FineTuning(epochs=15))
    assert found.folds == 5 and found.n == 15
    assert not found.comparable and found.accuracy_before is None
    assert found.accuracy is not None and found.accuracy > 0.9
    assert found.confusion.sum() == 15
    assert found.model.evaluate(x, y)[1] == 1.0


def test_a_base_that_knows_the_classes_is_measured_as_well(base: Sequential) -> None:
    x, y = painted((4, 7), 3)
    lying = x.swapaxes(1, 2).copy()  # what the base has never seen
    settings = FineTuning(epochs=30, learning_rate=0.01)
    found = attempt(base, lying, y, ("4", "7"), settings)
    assert found.class_names == DIGITS
    assert found.accuracy_before is not None and found.accuracy is not None
    assert found.accuracy_before < 0.7 < found.accuracy
    assert set(found.labels) == {4, 7}
    assert set(found.wrong) == set(np.flatnonzero(found.after != found.labels))
    assert found.curve is not None and 0 < found.kept <= 1 and found.curve.argmin() > 0
    by_hand = finetune(base, lying, y, ("4", "7"), replace(settings, average=1 - found.kept))
    np.testing.assert_allclose(by_hand.predict(x), found.model.predict(x), atol=1e-5)


def test_a_base_that_reads_everything_right_stays_to_the_bit(base: Sequential) -> None:
    x, y = painted((4, 7), 3)
    sure = copy.deepcopy(base)
    head: Any = sure.layers[-1]
    head.kernel *= 20  # so that no picture is doubtful
    head.bias *= 20
    assert sure.evaluate(x, np.array([4, 7])[y])[1] == 1.0
    found = attempt(sure, x, y, ("4", "7"), FineTuning(epochs=3, learning_rate=0.1))
    assert found.kept == 0 and same(found.model, sure)
    assert "gained nothing; the base stayed" in found.model.metadata["source"]
    assert how_much(found) == ["The base already reads all of these right, so it stays as it is."]


def test_known_classes_are_measured_with_one_picture_each(base: Sequential) -> None:
    found = attempt(base, *painted((1, 4, 8), 1), ("1", "4", "8"), QUICK)
    assert found.folds == found.n == 3


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ([0.5, 0.6, 0.4], [0.7, 0.9, 0.8], 0.6),
        ([1.0, 0.6] * 20, [0.6, 1.0] * 20, 0.5),  # the middle reads best
        ([0.2, 0.6, 0.4] * 20, [0.9, 0.9, 0.9] * 20, 1.0),
        ([0.91, 0.92, 0.93], [0.99, 1.0, 1.0], 0.0),  # only more confident
        ([0.9, 0.9, 0.8], [0.4, 0.9, 0.9], 0.0),
        ([0.9, 0.9, 0.85], [0.9, 0.9, 0.9], 0.0),  # next to nothing
        ([0.3, 0.4, 0.5, 1e-3], [0.8, 0.9, 0.9, 1e-9], 0.6),  # a hopeless picture
    ],
)
def test_the_more_pictures_gain_the_more_of_the_change_is_kept(
    before: list[float], after: list[float], kept: float
) -> None:
    shares = trial.SHARES[:, None]
    right = (1 - shares) * np.array(before) + shares * np.array(after)
    errors = trial.expected_errors(right.astype(np.float32))
    assert trial.SHARES[trial.share_to_keep(errors)] == pytest.approx(kept)


def test_sigmoids_learn_each_class_by_itself(base: Sequential) -> None:
    x, y = painted((4, 7), 3)
    lying = x.swapaxes(1, 2).copy()
    asked = copy.deepcopy(base)
    head: Any = asked.layers[-1]
    head.activation = "sigmoid"
    head.bias += 4  # every picture is every digit; of shares of a sum, that would not be wrong
    tuned = finetune(asked, lying, y, ("4", "7"), FineTuning(epochs=30, learning_rate=0.01))
    others = np.delete(np.arange(10), [4, 7])
    assert asked.predict(lying)[:, others].mean() > 0.8
    assert tuned.predict(lying)[:, others].mean() < 0.3


def test_one_picture_a_class_cannot_be_measured_but_learnt(base: Sequential) -> None:
    found = attempt(base, *painted((1, 8), 1), ("one", "eight"), FineTuning(epochs=40))
    assert (found.folds, found.n, found.accuracy) == (0, 0, None)
    assert found.model.evaluate(*painted((1, 8), 5, seed=3))[1] > 0.8


def test_the_only_picture_of_a_class_is_learnt_from_in_every_fold(base: Sequential) -> None:
    x, y = painted((1, 8), 4)
    found = attempt(base, x[:5], y[:5], ("one", "eight"), QUICK)
    assert found.n == 4 and not found.measured[4]


def test_many_pictures_are_split_once(base: Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MANY", 60)
    lines: list[str] = []
    found = attempt(base, *painted((1, 8), 40), ("one", "eight"), QUICK, say=lines.append)
    assert found.folds == 1 and found.n == 8
    assert lines == ["learning from 64 pictures, stopping by 8, measuring on 8"]


def test_one_class_is_no_task(base: Sequential) -> None:
    x, _ = painted((1,), 3)
    with pytest.raises(InputError, match="expected pictures of at least two, found only 'tick'"):
        attempt(base, x, np.ones(3, int), ("cross", "tick"))


# Bases that want their pictures otherwise --------------------------------------------------------


def scaled(base: Sequential) -> Sequential:
    """The same network for pixels in 0..255, as its preprocessing says."""
    other = copy.deepcopy(base)
    first: Any = other.layers[0]
    first.kernel /= 255
    other.metadata["preprocessing"] = {"recipe": "mnist", "scaling": scaling_entry("raw")}
    return other


@pytest.mark.parametrize("unfreeze", [0, None])
def test_a_bases_scaling_is_kept_and_heeded(base: Sequential, unfreeze: int | None) -> None:
    """Only the rate of the scaled kernel is another then: it is 255 times as small."""
    x, y = painted((1, 8), 4)
    settings = FineTuning(unfreeze=unfreeze, epochs=3, augment=False, average=0.5, base_rate=0.0)
    plain, other = (attempt(b, x, y, ("1", "8"), settings) for b in (base, scaled(base)))
    assert other.model.metadata["preprocessing"]["scaling"]["scale"] == 255
    assert np.array_equal(plain.before, other.before) and np.array_equal(plain.after, other.after)
    p, q = (Reader(found.model).probabilities(x) for found in (plain, other))
    np.testing.assert_allclose(p, q, atol=1e-4)


@pytest.mark.parametrize("shape", [(784,), (28, 28, 3), (32, 32, 1), (14, 14, 1)])
def test_bases_of_other_shapes_learn(shape: tuple[int, ...]) -> None:
    base = Sequential([Input(shape), Flatten(), Dense(10, activation="softmax")])
    x, y = painted((1, 8), 3)
    found = attempt(base, x, y, ("one", "eight"), FineTuning(epochs=20))
    assert found.accuracy is not None and found.accuracy > 0.9 and found.model.input_shape == shape


def test_what_is_scaled_is_bent_as_if_it_were_a_picture() -> None:
    x, _ = painted((1, 8), 2)
    model = Sequential([Input((28, 28, 3)), Flatten()])
    model.metadata = {"preprocessing": {"scaling": scaling_entry("x/127.5-1")}}
    bent = input_distortion(model)(np.repeat(x * 2 - 1, 3, axis=-1), np.random.default_rng(3))
    expected = RandomDistortion(elastic=1.0)(x, np.random.default_rng(3)) * 2 - 1
    np.testing.assert_allclose(bent, np.repeat(expected, 3, axis=-1), atol=1e-6)


def test_a_new_head_needs_a_dense_layer_to_replace() -> None:
    base = Sequential([Input((28, 28, 1)), Conv2D(10, 28), Flatten(), Softmax()])
    with pytest.raises(InputError, match="has no Dense layer"):
        finetune(base, *painted((1, 8), 2), ("tick", "ring"), QUICK)


@pytest.mark.parametrize(
    "settings", [{"unfreeze": -1}, {"hidden": 0}, {"batch_size": 0}, {"average": 1.5}]
)
def test_settings_out_of_range_are_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        FineTuning(**settings)


# Interruptions -----------------------------------------------------------------------------------


class Interrupted(Checkpoints):
    """Checkpoints of a process that sends itself a signal after some batches, over all stages."""

    batches, signal = 0, signal.SIGINT

    def callback(self, stage: str, epochs: int) -> Checkpoint:
        class Sender(Checkpoint):
            def on_batch_end(self, training: Training) -> None:
                super().on_batch_end(training)
                Interrupted.batches -= 1
                if Interrupted.batches == 0:
                    os.kill(os.getpid(), Interrupted.signal)

        saving = super().callback(stage, epochs)
        return Sender(saving.path, saving.every, epochs=saving.epochs)


def tune_and_save(state: Path, out: Path) -> None:
    """Fine-tune in three folds, on what ``state`` holds, and save the model with its errors."""
    x = np.random.default_rng(0).random((9, 28, 28, 1), np.float32)
    settings = FineTuning(epochs=2, batch_size=4)
    checkpoints = Interrupted(state, resume=True)
    found = attempt(
        network(), x, np.arange(9) % 3, ("a", "b", "c"), settings, checkpoints=checkpoints
    )
    found.model.metadata["metrics"] = {"held-out": {"wrong": found.wrong.tolist()}}
    found.model.save(out)


KILLED = """
import signal, sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from tests.finetuning.test_finetune import Interrupted, tune_and_save
Interrupted.batches, Interrupted.signal = 15, signal.SIGKILL
tune_and_save(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_ctrl_c_ends_all_of_it_and_leaves_the_state(
    base: Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interrupted, "batches", 3)
    checkpoints = Interrupted(tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        x, y = painted(range(10), 2)
        attempt(base, x, y, DIGITS, FineTuning(epochs=5), checkpoints=checkpoints)
    assert [file.suffix for file in (tmp_path / "state").iterdir()] == [".ckpt"]


@pytest.mark.parametrize("change", ["pictures", "labels", "seed"])
def test_the_state_of_another_task_is_refused(
    base: Sequential, tmp_path: Path, change: str
) -> None:
    x, y = painted(range(10), 2)
    settings = FineTuning(epochs=1)
    finetune(base, x, y, DIGITS, settings, checkpoints=Checkpoints(tmp_path))
    if change == "pictures":
        x = x[..., ::-1, :]
    elif change == "labels":
        y = np.roll(y, 2)
    else:
        settings = FineTuning(epochs=1, seed=1)
    with pytest.raises(InputError, match="seed" if change == "seed" else "contents"):
        finetune(base, x, y, DIGITS, settings, checkpoints=Checkpoints(tmp_path, resume=True))


def test_killed_and_resumed_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """Killed in the base's stage of the second of three folds."""
    state, whole, killed = tmp_path / "b", tmp_path / "whole.npz", tmp_path / "killed.npz"
    tune_and_save(tmp_path / "a", whole)
    program = [sys.executable, "-c", KILLED, str(state), str(killed)]
    assert subprocess.run(program).returncode == -signal.SIGKILL
    assert max(file.name for file in state.iterdir()).startswith("fold-2") and not killed.exists()
    tune_and_save(state, killed)
    assert killed.read_bytes() == whole.read_bytes()


STAGES = [
    ((1, 8), ("one", "eight"), None, ["base", "head"]),
    ((1, 8), ("one", "eight"), 0, ["head"]),
    (range(10), DIGITS, None, ["base"]),
    (range(10), DIGITS, 0, ["head"]),
]


@pytest.mark.parametrize(("digits", "names", "unfreeze", "stages"), STAGES)
def test_a_new_head_learns_alone_first_and_a_finished_stage_is_restored(
    base: Sequential,
    tmp_path: Path,
    digits: Any,
    names: tuple[str, ...],
    unfreeze: int | None,
    stages: list[str],
) -> None:
    x, y = painted(digits, 2)
    order = (base, x, y, names, FineTuning(unfreeze=unfreeze, epochs=3))
    first = finetune(*order, checkpoints=Checkpoints(tmp_path / "state"))
    of_base = f"all-{fingerprint(base)[-8:]}"
    files = sorted(f.name for f in (tmp_path / "state").iterdir())
    assert files == [f"{of_base}-{stage}.ckpt" for stage in stages]
    again = finetune(*order, checkpoints=Checkpoints(tmp_path / "state", resume=True))
    assert same(first, again)
    with pytest.raises(InputError, match="other settings"):
        other = FineTuning(unfreeze=unfreeze, epochs=3, decay=3.0)
        finetune(*order[:4], other, checkpoints=Checkpoints(tmp_path / "state", resume=True))

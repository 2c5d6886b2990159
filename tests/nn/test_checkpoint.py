"""Checkpoints: what must be given again, and trainings that follow other trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nn.test_training import Interrupt, network, pictures, same_bytes, shifted
from tinymnist.augmentation import ImageDataGenerator
from tinymnist.errors import InputError
from tinymnist.nn.archive import read_archive, write_archive
from tinymnist.nn.layers import Dropout
from tinymnist.nn.optimizers import SGD
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Checkpoint
from tinymnist.nn.weights import content_hash

pytestmark = pytest.mark.usefixtures("one_press")
X, Y = pictures()
NEVER = (99, 0)


def changed(array: Any) -> Any:
    """One number differs."""
    array = array.copy()
    array.flat[7] = 1 - array.flat[7]
    return array


HELD = (X[::2], Y[::2])
WEIGHTS = np.linspace(0, 2, 90).astype(np.float32)


def fitted(
    path: Any, x: Any = X, y: Any = Y, where: Any = NEVER, model: Any = None, **settings: Any
) -> Any:
    """A model whose training writes a checkpoint, and is broken off at (epoch, batch)."""
    model = model or network()
    settings = {"batch_size": 30, "epochs": 3, "verbose": 0, "rng": 3} | settings
    callbacks = [Interrupt(*where), Checkpoint(path)]
    history = model.fit(x, y, callbacks=callbacks, **settings)
    return model, history


# --- what must be the same --------------------------------------------------------------------

OTHERS = {
    "pictures": {"x": changed(X)},
    "labels": {"y": changed(Y)},
    "order": {"x": X[::-1], "y": Y[::-1]},
    "sample weights": {"sample_weight": changed(WEIGHTS)},
    "no sample weights": {"sample_weight": None},
    "class weights": {"class_weight": {0: 1.5}},
    "validation pictures": {"validation_data": (changed(HELD[0]), HELD[1])},
    "validation labels": {"validation_data": (HELD[0], changed(HELD[1]))},
    "validation weights": {"validation_data": (*HELD, WEIGHTS[::2])},
    "no validation": {"validation_data": None},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_training_on_other_examples_does_not_go_on_here(tmp_path: Path, other: Any) -> None:
    path = tmp_path / "state"
    same = {"sample_weight": WEIGHTS, "validation_data": HELD}
    fitted(path, where=(1, 1), **same)
    model = network()
    with pytest.raises(InputError, match=r"other settings \(contents of examples and labels\)"):
        fitted(path, model=model, resume=path, **same | other)
    assert same_bytes(model, network())
    fitted(path, model=model, resume=path, **same)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("seed", {"rng": 4}),
        ("seed", {"rng": None}),
        ("shuffle", {"shuffle": False}),
        ("batch_size", {"batch_size": 31}),
        ("micro_batch_size", {"micro_batch_size": 8}),
        ("augmented", {"augment": shifted}),
    ],
)
def test_a_message_names_the_setting_that_differs(tmp_path: Path, name: str, other: Any) -> None:
    path = tmp_path / "state"
    fitted(path, where=(1, 1))
    with pytest.raises(InputError, match=rf"{path} was written .* other settings \({name}\)"):
        fitted(path, resume=path, **other)


def test_a_message_names_what_differs_in_the_model(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fitted(path, where=(1, 1))
    *most, _dropout, dense = network().layers
    models = {
        "layers": Sequential([*most, Dropout(0.5), dense], input_shape=(6, 6, 1)),
        "dtype": network("float64"),
        "optimizer": network(),
    }
    for name, model in models.items():
        model.compile(SGD(0.1) if name == "optimizer" else "adam")
        with pytest.raises(InputError, match=rf"other settings \({name}\)"):
            fitted(path, model=model, resume=path)


def doubled(picture: Any) -> Any:
    return picture * 2


def halved(picture: Any) -> Any:
    return picture / 2


FLOWS = {
    "rescale": {"rescale": 0.25},
    "no rescale": {"rescale": None},
    "function": {"preprocessing_function": halved},
    "no function": {"preprocessing_function": None},
    "range": {"rotation_range": 21},
    "fill": {"fill_mode": "constant"},
    "pictures": {"x": changed(X)},
    "labels": {"y": changed(Y)},
    "weights": {"sample_weight": changed(WEIGHTS)},
    "seed": {"seed": 6},
    "batch size": {"batch_size": 31},
}


@pytest.mark.parametrize("other", FLOWS.values(), ids=FLOWS)
def test_a_flow_of_other_pictures_does_not_go_on_here(tmp_path: Path, other: Any) -> None:
    same = {"rescale": 0.5, "preprocessing_function": doubled, "rotation_range": 20}
    arrays = {"x": X, "y": Y, "batch_size": 30, "sample_weight": WEIGHTS, "seed": 5}

    def flow(other: Any) -> Any:
        settings = {name: other.get(name, value) for name, value in same.items()}
        if "fill_mode" in other:
            settings |= other
        return ImageDataGenerator(**settings).flow(
            **{name: other.get(name, value) for name, value in arrays.items()}
        )

    path = tmp_path / "state"
    fitted(path, flow({}), None, where=(1, 1))
    with pytest.raises(InputError, match=r"other settings \(source\)"):
        fitted(path, flow(other), None, resume=path)
    fitted(path, flow({}), None, resume=path)


# --- trainings after trainings ----------------------------------------------------------------


@pytest.mark.parametrize("where", [(0, 1), (1, 3), (2, 2)])
def test_a_training_without_a_seed_is_resumed_to_the_same_bytes(tmp_path: Path, where: Any) -> None:
    """In the same process, where the model's own generator has been drawn from meanwhile."""
    path = tmp_path / "state"
    whole, history = fitted(tmp_path / "other", rng=None)
    broken, _ = fitted(path, where=where, rng=None)
    assert not same_bytes(broken, whole)
    resumed, same = fitted(path, model=broken, rng=None, resume=path)
    assert same_bytes(resumed, whole)
    assert same.history == history.history and same.epoch == history.epoch == [0, 1, 2]


@pytest.mark.parametrize("where", [(0, 2), (1, 1)])
def test_a_second_training_is_resumed_to_the_same_bytes(tmp_path: Path, where: Any) -> None:
    """In new objects, which repeat the first training."""

    def after_a_first(path: Any, **settings: Any) -> Any:
        model = network()
        model.fit(X, Y, 30, verbose=0)
        return fitted(path, model=model, rng=None, **settings)

    path = tmp_path / "state"
    whole, history = after_a_first(tmp_path / "other")
    after_a_first(path, where=where)
    resumed, same = after_a_first(path, resume=path)
    assert same_bytes(whole, resumed)
    assert same.history == history.history


@pytest.mark.parametrize("where", [(0, 1), (0, 2), (1, 1)])
def test_a_second_training_on_a_flow_is_resumed_to_the_same_bytes(
    tmp_path: Path, where: Any
) -> None:
    """It goes on in the flow where the first has stopped, in the midst of a round."""

    def after_a_first(path: Any, **settings: Any) -> Any:
        model = network()
        flow = ImageDataGenerator(rotation_range=30).flow(X, Y, 30, seed=5)
        model.fit(flow, epochs=2, steps_per_epoch=2, verbose=0)
        assert flow.next_number == 4
        settings = {"epochs": 2, "steps_per_epoch": 2, "rng": None} | settings
        model, history = fitted(path, flow, None, model=model, **settings)
        return model, history.history, flow.next_number

    path = tmp_path / "state"
    whole, history, place = after_a_first(tmp_path / "other")
    broken, _, _ = after_a_first(path, where=where)
    resumed, same, same_place = after_a_first(path, resume=path)
    assert not same_bytes(whole, broken)
    assert same_bytes(whole, resumed)
    assert same == history and same_place == place == 8


def test_a_training_is_resumed_on_the_flow_that_it_was_broken_off_on(tmp_path: Path) -> None:
    """The flow stands where it was left; the checkpoint knows where the training began."""

    def flow() -> Any:
        return ImageDataGenerator(rotation_range=30).flow(X, Y, 30, seed=5)

    path = tmp_path / "state"
    whole, history = fitted(tmp_path / "other", flow(), None)
    same_flow = flow()
    fitted(path, same_flow, None, where=(1, 2))
    resumed, same = fitted(path, same_flow, None, resume=path)
    assert same_bytes(whole, resumed)
    assert same.history == history.history and same_flow.next_number == 9


def test_a_flow_that_was_broken_off_stays_where_it_was(tmp_path: Path) -> None:
    flow = ImageDataGenerator().flow(X, Y, 30, seed=5)
    fitted(tmp_path / "state", flow, None, where=(1, 2))
    assert flow.next_number == 3 + 2
    following = ImageDataGenerator().flow(X, Y, 30, seed=5)
    np.testing.assert_array_equal(next(flow)[0], following.batch(5)[0])


def test_epochs_are_numbered_on_after_resuming_from_an_initial_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole, history = fitted(tmp_path / "other", epochs=6, initial_epoch=3)
    fitted(path, where=(4, 1), epochs=6, initial_epoch=3)
    resumed, same = fitted(path, epochs=6, initial_epoch=3, resume=path)
    assert same.epoch == history.epoch == [3, 4, 5]
    assert same_bytes(whole, resumed)


def test_a_longer_training_goes_on_from_a_finished_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole, history = fitted(tmp_path / "other", epochs=4)
    fitted(path, epochs=2)
    longer, same = fitted(path, epochs=4, resume=path)
    assert same_bytes(whole, longer)
    assert same.history == history.history


def test_nothing_is_left_to_do_for_a_finished_training(tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole, history = fitted(path)
    again, same = fitted(path, resume=path)
    assert same_bytes(whole, again)
    assert same.history == history.history


def test_a_flow_under_other_class_weights_does_not_go_on_here(tmp_path: Path) -> None:
    def flow() -> Any:
        return ImageDataGenerator(rotation_range=20).flow(X, Y, 30, seed=5)

    path = tmp_path / "state"
    fitted(path, flow(), None, where=(1, 1), class_weight={0: 2.0})
    with pytest.raises(InputError, match="contents of examples and labels"):
        fitted(path, flow(), None, resume=path, class_weight={0: 9.0})


def test_numpys_seeds_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fitted(path, where=(1, 1), rng=np.int64(3))
    with pytest.raises(InputError, match="seed"):
        fitted(path, resume=path, rng=np.int64(4))


def test_later_epochs_of_a_flow_show_the_next_batches(tmp_path: Path) -> None:
    def flow() -> Any:
        return ImageDataGenerator(rotation_range=40).flow(X, Y, 45, seed=5)

    whole, _ = fitted(tmp_path / "whole", flow(), None, epochs=4, rng=3)
    twice, model = flow(), None
    for first, last in ((0, 2), (2, 4)):
        model, _ = fitted(
            tmp_path / "twice", twice, None, model=model, initial_epoch=first, epochs=last, rng=3
        )
    assert twice.next_number == 8
    assert same_bytes(whole, model)


def test_the_state_of_version_0_1_is_continued(tmp_path: Path) -> None:
    """There ``micro_batch_size`` was called ``piece_size``."""
    path = tmp_path / "state"
    fitted(path, where=(1, 1))
    manifest, arrays = read_archive(path)
    manifest["plan"]["piece_size"] = manifest["plan"].pop("micro_batch_size")
    manifest["format"] = "tinymnist checkpoint 1"
    del manifest["content_hash"], manifest["arrays"]
    write_archive(path, manifest, arrays)
    assert same_bytes(fitted(path, resume=path)[0], fitted(tmp_path / "other")[0])


def changed_file(path: Path, change: Any, *, proven: bool) -> None:
    """Change a checkpoint's manifest and arrays, and hash the result or leave the old hash."""
    manifest, arrays = read_archive(path)
    stated = manifest.pop("content_hash")
    change(manifest, arrays)
    stated = content_hash(manifest, arrays) if proven else stated
    write_archive(path, manifest | {"content_hash": stated}, arrays)


def grow(manifest: Any, arrays: Any) -> None:
    arrays["model/dense/kernel"] = arrays["model/dense/kernel"] * np.float32(1.5)


def test_other_numbers_in_a_checkpoint_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fitted(path, where=(1, 1))
    changed_file(path, grow, proven=False)
    with pytest.raises(InputError, match="was changed after it was written"):
        fitted(path, resume=path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a: m.update(iterations=-1), "iterations must be a whole number"),
        (lambda m, a: m.update(learning_rate="x"), "learning_rate must be"),
        (lambda m, a: m.pop("history"), "history must be"),
        (lambda m, a: m["position"].update(epoch=[]), "position must be"),
        (lambda m, a: m["position"].update(more=1), "position must be"),
        (lambda m, a: m.update(callbacks=[]), "other notes of callbacks"),
        (lambda m, a: m.update(plan=[]), "plan must be an object"),
        (lambda m, a: a.pop("model/dense/bias"), "other arrays than its manifest lists"),
        (
            lambda m, a: (
                a.pop("model/dense/bias"),
                m.update(arrays={n: d for n, d in m["arrays"].items() if n != "model/dense/bias"}),
            ),
            r"other arrays than .*dense/bias",
        ),
    ],
)
def test_a_checkpoint_has_a_schema(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    fitted(path, where=(1, 1))
    changed_file(path, change, proven=True)
    model = network()
    with pytest.raises(InputError, match=message):
        fitted(path, resume=path, model=model)
    assert same_bytes(model, network())

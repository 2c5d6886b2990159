"""What users see of models and histories: names to import, signatures, reprs, notebook tables."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tinymnist.nn
from tests.nn.test_training import network, pictures
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.state import History


def fitted(**settings: Any) -> History:
    model: Sequential = network()
    return model.fit(*pictures(), verbose=0, epochs=2, validation_split=0.5, **settings)


def test_what_users_need_comes_from_one_place() -> None:
    from tinymnist.nn import Adam, Conv2D, Dense, EarlyStopping, Input, Sequential

    assert [c.__name__ for c in (Adam, Conv2D, Dense, EarlyStopping, Input, Sequential)] == [
        "Adam", "Conv2D", "Dense", "EarlyStopping", "Input", "Sequential",
    ]  # fmt: skip
    for name in dir(tinymnist.nn):
        assert getattr(tinymnist.nn, name).__name__
    with pytest.raises(AttributeError, match=r"module 'tinymnist\.nn' has no attribute 'Danse'"):
        _ = tinymnist.nn.Danse


def test_all_layers_and_optimizers_are_among_it() -> None:
    from tinymnist.nn.layers import LAYERS
    from tinymnist.nn.optimizers import OPTIMIZERS

    known = {*LAYERS, *(optimizer.__name__ for optimizer in OPTIMIZERS.values())}
    assert known <= set(dir(tinymnist.nn))


def test_predicting_does_not_load_the_training() -> None:
    """Beyond what NumPy itself loads: before version 2 that was its random numbers, too."""
    program = (
        "import sys, numpy as np\nbefore = {*sys.modules}\nfrom tinymnist.nn import load_model\n"
        "load_model('mlp').predict(np.zeros((1, 28, 28, 1), 'f4'))\n"
        "print(*sys.modules.keys() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "tinymnist.nn.sequential" in loaded
    unneeded = {"concurrent.futures", "logging", "numpy.random", "tinymnist.nn.losses"}
    assert not loaded & unneeded
    assert not {m for m in loaded if m.startswith("tinymnist.nn.training")}


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("compile", ["optimizer", "loss", "metrics"]),
        ("fit", ["x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split",
                 "validation_data", "shuffle", "class_weight", "sample_weight", "initial_epoch",
                 "steps_per_epoch", "validation_steps", "validation_batch_size",
                 "validation_freq"]),
        ("evaluate", ["x", "y", "batch_size", "verbose", "sample_weight", "steps", "callbacks",
                      "return_dict"]),
        ("predict", ["x", "batch_size", "verbose", "steps", "callbacks"]),
    ],
)  # fmt: skip
def test_signatures_are_spelled_out_in_keras_order(method: str, names: list[str]) -> None:
    function = getattr(Sequential, method)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    by_place = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert by_place == names
    assert not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    assert all(p.name in function.__doc__ for p in parameters)


def test_a_model_says_what_it_is() -> None:
    model = network()
    model.freeze("conv2d")
    assert repr(model) == (
        "<Sequential 'sequential': (6, 6, 1) -> (2,), 5 layers, 170 parameters, 130 trainable>"
    )
    assert repr(Sequential()) == "<Sequential 'sequential' without layers>"
    assert Sequential()._repr_html_() is None


def test_a_notebook_shows_the_summary() -> None:
    lines: list[str] = []
    model = network()
    model.summary(print_fn=lines.append)
    html = model._repr_html_()
    assert html is not None and ElementTree.fromstring(html).text == lines[0]


def test_a_history_says_how_it_ended() -> None:
    history = fitted()
    assert repr(history).startswith("<History of 2 epochs; last: loss 0.")
    assert "val_accuracy" in repr(history)
    assert "none" in repr(History())


def test_a_notebook_shows_a_history_as_curves_and_a_table() -> None:
    history = fitted()
    tree = ElementTree.fromstring(history._repr_html_())
    assert len(list(tree.iter("svg"))) == 1 and len(list(tree.iter("polyline"))) == 2
    for line in tree.iter("polyline"):
        assert len(line.attrib["points"].split()) == 2
    cells = [cell.text for cell in tree.iter("td")]
    assert len(cells) == 2 * 5  # beside the number of the epoch
    assert f"{history.history['val_loss'][1]:.4g}" in cells


@pytest.mark.parametrize("losses", [[], [1.0], [0.5, 0.5], [1.0, float("nan"), float("inf")]])
def test_a_notebook_shows_odd_histories(losses: list[float]) -> None:
    history = History()
    for epoch, loss in enumerate(losses):
        history.append(epoch, {"loss": loss})
    ElementTree.fromstring(history._repr_html_())


def test_the_old_name_of_metadata_still_serves() -> None:
    model = network()
    model.information = {"source": "a test"}
    assert model.metadata == model.information == {"source": "a test"}


def test_models_know_their_generator_only_when_they_draw() -> None:
    one, other = network(), network()
    assert one.rng.random() == other.rng.random()
    assert isinstance(one.rng, np.random.Generator)

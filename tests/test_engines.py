"""Functions for engines: the same bits in any batch, and little more to send than the weights."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tests.test_imports import imported_by
from tinymnist.adapter import Prediction
from tinymnist.cli import main
from tinymnist.errors import InputError
from tinymnist.reader import Reader

SAMPLES = sorted(map(str, (Path(tinymnist.__file__).parent / "samples").iterdir()))


def pictures(count: int) -> list[Any]:
    images = tinymnist.load_set("mnist-sample").images
    return [np.asarray(image) for image in images[:count]]


@pytest.mark.parametrize("model", ["mnist-cnn", "mlp"])
def test_a_picture_is_read_alike_in_any_batch(model: str) -> None:
    predict = tinymnist.make_predict_fn(model)
    given = [*SAMPLES, b"nonsense", None, *pictures(20)]
    whole = predict(given)
    other = pickle.loads(pickle.dumps(predict))
    parts = [other(given[start : start + 3][::-1]) for start in range(0, len(given), 3)]
    for name, column in whole.items():
        joined = np.concatenate([part[name][::-1] for part in parts])
        assert joined.dtype == column.dtype and joined.tolist() == column.tolist(), name
    assert whole["digit"][:8].tolist() == [2, 3, 4, 5, 7, 8, -1, -1]
    assert whole["confidence"][6] == 0 and "picture" in whole["error"][6]
    assert whole["error"][0] == "" and "empty" in whole["error"][7]


def test_a_stream_is_read_as_by_engines_and_the_order_does_not_matter() -> None:
    given = [*SAMPLES, *pictures(10)]
    reader = Reader("keras-cnn")
    found = list(reader.predict_many(given))
    assert list(reader.predict_many(given[::-1], workers=2)) == found[::-1]
    assert list(reader.predict_many(iter(given[7:9] * 5)))[:2] == found[7:9]
    shares = tinymnist.make_predict_fn("keras-cnn")(given)["confidence"]
    assert [one.confidence for one in found if isinstance(one, Prediction)] == shares.tolist()


def test_fewer_than_nine_are_rounded_as_one() -> None:
    reader = Reader("mlp")
    assert list(reader.predict_many(SAMPLES)) == [reader.predict(file) for file in SAMPLES]


def test_other_classes_come_by_name() -> None:
    model = tinymnist.load_model("mlp")
    model.metadata["class_names"] = [f"sign {number}" for number in range(10)]
    found = tinymnist.make_predict_fn(model)([SAMPLES[0], b""])
    assert found["digit"].tolist() == ["sign 2", ""]


def test_readers_and_models_are_sent_without_plans_and_trainings() -> None:
    model = tinymnist.load_model("mlp")
    weights = sum(array.nbytes for array in model.weights.values())
    reader = Reader(model)
    reader.probabilities(np.zeros((64, 28, 28, 1), np.float32))
    assert len(pickle.dumps(model)) < 1.02 * weights + 4000
    model.compile("adam")
    model.fit(np.zeros((32, 28, 28, 1)), np.zeros(32), verbose=0, rng=0)
    assert len(pickle.dumps(reader)) < 1.02 * weights + 4000
    assert reader.model.optimizer is model.optimizer is not None
    sent = pickle.loads(pickle.dumps(reader))
    assert sent.model.optimizer is None and sent.predict(SAMPLES[4]) == reader.predict(SAMPLES[4])


def test_without_dask_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["predict", SAMPLES[0], "--dask", "local"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'dask[distributed]'" in error and error.count("\n") == 1


def test_engines_are_imported_when_they_are_used() -> None:
    loaded = imported_by("import tinymnist\ntinymnist.make_predict_fn('mlp')")
    assert not loaded & {"distributed", "dask", "joblib", "ray", "pyspark"}
    assert "tinymnist.engines" not in imported_by("import tinymnist.commands.read")


def test_a_model_that_cannot_be_used_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="no-such"):
        tinymnist.make_predict_fn("no-such.npz")

"""The public surface: names where users look for them, functions for commands, and displays."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import tinymnist
from tests.test_labelled_sets import folder_of
from tinymnist.adapter import Prediction
from tinymnist.errors import InputError
from tinymnist.nn.training.callbacks import EarlyStopping

SAMPLE = Path(tinymnist.__file__).parent / "samples" / "7-tilted-photo.jpg"


def test_names_where_keras_users_look() -> None:
    from tinymnist import callbacks, losses, optimizers, utils
    from tinymnist.layers import Conv2D, Dense, Input

    model = tinymnist.Sequential([Input((4, 4, 1)), Conv2D(2, 3), tinymnist.layers.Flatten()])
    model.add(Dense(2, activation="softmax"))
    model.compile(optimizers.Adam(0.01), losses.CategoricalCrossentropy())
    y = utils.to_categorical([0, 1], 2)
    model.fit(np.zeros((2, 4, 4, 1)), y, epochs=1, verbose=0)
    assert callbacks.EarlyStopping is EarlyStopping
    assert optimizers.schedules.CosineDecay(0.1, 10)(0) == pytest.approx(0.1)


@pytest.mark.parametrize("package", ["tinymnist", "tinymnist.nn", "tinymnist.data"])
def test_a_missing_name_is_reported_as_python_does(package: str) -> None:
    module = __import__(package, fromlist=["x"])
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'nothing'$"):
        _ = module.nothing


def test_every_public_name_is_there_and_documented() -> None:
    for name in set(tinymnist.__all__) - {"__version__"}:
        assert getattr(tinymnist, name).__doc__, name
    assert set(dir(tinymnist)) >= {"Reader", "layers", "evaluate"}


@pytest.mark.parametrize(("old", "new"), [("prepare", "prepare_image")])
def test_old_names_warn(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"tinymnist.{new}"):
        assert getattr(tinymnist, old) is getattr(tinymnist, new)


def test_functions_do_what_commands_do(tmp_path: Path) -> None:
    digits = folder_of(tmp_path / "digits", (3, 7))
    (digits / "7" / "torn.png").write_bytes(b"not a picture")
    assert tinymnist.predict(SAMPLE, "mlp").digit == 7
    assert tinymnist.read(SAMPLE).text == "7"
    found = tinymnist.evaluate(digits, "mlp")
    assert (found.n, list(found.failures)) == (5, [str(digits / "7" / "torn.png")])
    assert found.accuracy == found.right.mean() <= 0.8
    assert json.loads(json.dumps(found.as_record()))["n"] == 5
    assert tinymnist.diagnose(digits, "mlp", limit=3).n == 3
    assert tinymnist.explain(SAMPLE, "mlp").prediction.digit == 7
    tinymnist.export(tinymnist.load_model("mlp"), tmp_path / "mlp.safetensors")
    trained, history = tinymnist.train(digits, "mlp", epochs=2, verbose=0)
    assert trained.output_shape == (10,) and len(history.epoch) == 2
    trial = tinymnist.finetune(digits, trained, epochs=1)
    assert trial.n == 4 and trial.model.metadata["preprocessing"]["recipe"] == "mnist"
    assert not tinymnist.compare(trained, "mlp", np.zeros((2, 28, 28, 1)) + 0.5).agrees
    assert tinymnist.compare("mlp", "mlp", digits, limit=2).agrees
    converted = tinymnist.convert(tmp_path / "mlp.safetensors", pictures=digits)
    assert converted.model.output_shape == (10,)


def test_a_room_does_not_hide_a_function() -> None:
    """A submodule becomes an attribute of its package, whatever it was before."""
    modules = {module.name for module in pkgutil.iter_modules(tinymnist.__path__)}
    functions = {name for name in tinymnist.__all__ if callable(getattr(tinymnist, name))}
    assert not modules & functions


def test_a_prediction_is_a_value() -> None:
    shares = np.full(10, 0.02, np.float32)
    shares[4] = 0.82
    names = tuple("0123456789")
    one, same = Prediction(shares, names), Prediction(shares.copy(), names)
    other = Prediction(shares[::-1].copy(), names)
    assert one == same and hash(one) == hash(same) and len({one, same, other}) == 2
    assert one != other and one != 4
    assert int(one) == 4
    assert repr(one) == "Prediction(digit=4, confidence=0.8200)"
    with pytest.raises(ValueError, match="tick"):
        int(Prediction(shares[:2], ("tick", "ring")))


def test_a_prediction_shows_itself_with_what_the_network_saw() -> None:
    prediction = tinymnist.Reader("mlp").predict(SAMPLE)
    assert prediction.picture is not None and prediction.picture.shape == (28, 28)
    shown = prediction._repr_html_()
    assert "data:image/png;base64," in shown and "<b>7 9" in shown
    strange = Prediction(np.array([0.4, 0.6], np.float32), ("<a>", "<b>"))._repr_html_()
    assert "&lt;b&gt; 60.00 %" in strange and "<a>" not in strange and "<img" not in strange


def test_pages_and_explanations_show_themselves() -> None:
    page = tinymnist.Reader().read(SAMPLE)
    assert repr(page) == "Page('7')" and "box=" in repr(page.digits[0])
    assert page._repr_html_().count("<td>") == 1 == page._repr_html_().count("<img")
    assert "data:image/png" in tinymnist.explain(SAMPLE, "mlp")._repr_html_()


def test_names_that_are_unknown_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlp.*'resnet'"):
        tinymnist.train(Path(__file__).with_name("mnist100.npz"), "resnet", epochs=1)
    with pytest.raises(InputError, match=r"onnxruntime.*'kras'"):
        tinymnist.compare("mlp", "mlp", run_b="kras")
    assert "agree" in tinymnist.compare("mlp", "mlp", run_b="tinymnist").as_text()
    tinymnist.export("mlp", tmp_path / "mlp.safetensors")
    assert (tmp_path / "mlp.safetensors").stat().st_size > 400_000

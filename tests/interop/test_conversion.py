"""Scaling and architecture, found on pictures whose labels a network of known form gave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import InputError, Reader, load_model
from tinymnist.adapter import SCALING_NAMES, model_input, scaling_entry
from tinymnist.cli import main
from tinymnist.interop import conversion, open_model, safetensors
from tinymnist.interop.bare.scaling import Entry, Labelled, entries, race
from tinymnist.interop.conversion import convert
from tinymnist.interop.pytorch.modules import tensors_of
from tinymnist.nn.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    MaxPooling2D,
    ReLU,
)
from tinymnist.nn.sequential import Input, Sequential

PICTURES = np.random.default_rng(7).random((300, 28, 28, 1), np.float32)


def network(*layers: Any, seed: int = 0) -> Any:
    model = Sequential([Input((28, 28, 1)), *layers], rng=seed)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for name, array in layer.weights.items():
            if name != "kernel":
                setattr(layer, name, rng.uniform(0.2, 1.0, array.shape).astype("f4"))
    return model


def labelled(model: Any, scaling: str = "x/255") -> Any:
    """Pictures, and what the model takes them for, each class shifted to be equally likely.

    The model then answers as one that was trained: about as sure as it may be.
    """
    x = model_input(PICTURES, (28, 28, 1), {"scaling": scaling_entry(scaling)})
    last = model.layers[-1]
    last.bias -= np.median(model.predict(x), axis=0)
    spread = model.predict(x).std()
    last.kernel, last.bias = last.kernel * 8 / spread, last.bias * 8 / spread
    return Labelled("made up", PICTURES, model.predict(x).argmax(axis=1))


def drawn_from(model: Any) -> Any:
    """Pictures, and classes drawn by the model's own probabilities: it is as sure as it may be."""
    model.layers[-1].kernel *= 4 / model.predict(PICTURES).std()
    p = np.exp(model.predict(PICTURES)).cumsum(axis=1)
    drawn = p > p[:, -1:] * np.random.default_rng(0).random((len(p), 1))
    return Labelled("made up", PICTURES, drawn.argmax(axis=1))


def bare(model: Any, path: Path) -> Any:
    """Only the tensors, as another library writes them."""
    header, numbers = {}, b""
    for name, array in tensors_of(model).items():
        code = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        window = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": window}
        numbers += np.ascontiguousarray(array).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def perceptron(activation: Any = "relu", seed: int = 0) -> Any:
    return network(Flatten(), Dense(24, name="fc1"), Activation(activation), Dense(10, name="fc2"),
                   seed=seed)  # fmt: skip


@pytest.mark.parametrize("scaling", SCALING_NAMES)
def test_the_scaling_is_found(scaling: str, tmp_path: Path) -> None:
    model = perceptron(seed=2)
    pictures = labelled(model, scaling)
    found = convert(bare(model, tmp_path / "m"), pictures=pictures)
    assert found.model.metadata["preprocessing"]["scaling"]["name"] == scaling
    assert found.scores[0].accuracy == 1.0
    assert all("not certain" in doubt for doubt in found.doubts)  # leaky ReLU hardly differs


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_activation_is_found(activation: Any, tmp_path: Path) -> None:
    model = perceptron(activation, seed=3)
    pictures = labelled(model)
    found = convert(bare(model, tmp_path / "m"), pictures=pictures)
    assert f"; {activation}" in found.scores[0].entry.plan
    assert found.model.predict(PICTURES) == pytest.approx(model.predict(PICTURES), abs=1e-4)


def convolutional(pool: Any, order: Any, padding: Any = 2) -> Any:
    norm, active = BatchNormalization(epsilon=1e-5, name="bn"), ReLU()
    parts = [norm, active] if order == "norm first" else [active, norm]
    return network(Conv2D(4, 5, padding=padding, name="conv"), *parts, pool(), Flatten(),
                   Dense(10, name="fc"), seed=4)  # fmt: skip


@pytest.mark.parametrize("pool", [MaxPooling2D, AveragePooling2D])
@pytest.mark.parametrize("order", ["norm first", "norm last"])
def test_pools_and_the_place_of_norms_are_found(pool: Any, order: Any, tmp_path: Path) -> None:
    model = convolutional(pool, order)
    pictures = labelled(model)
    path = bare(model, tmp_path / "m")
    with pytest.raises(InputError, match="architectures fit its weights"):
        open_model(path)
    found = convert(path, pictures=pictures)
    assert found.scores[0].accuracy == 1.0
    assert f"{len(found.plans)} architectures fit its weights; chose: input" in found.doubts[0]
    assert "; second: input " in found.doubts[0]
    assert found.model.predict(PICTURES) == pytest.approx(model.predict(PICTURES), abs=1e-4)


def test_strides_in_place_of_pools_are_found(tmp_path: Path) -> None:
    model = network(Conv2D(4, 3, padding=1, strides=2, name="conv"), ReLU(), Flatten(),
                    Dense(10, name="fc"), seed=4)  # fmt: skip
    pictures = labelled(model)
    found = convert(bare(model, tmp_path / "m"), pictures=pictures)
    assert found.plans == ["1) input 28x28x1; conv: padding 1 pool 2; relu, max pools"]
    assert found.scores[0].entry.plan == "input 28x28x1; conv: padding 1 stride 2; relu"
    assert found.model.predict(PICTURES) == pytest.approx(model.predict(PICTURES), abs=1e-4)


def test_an_equally_good_plan_is_reported(tmp_path: Path) -> None:
    model = perceptron("relu", seed=2)
    model.layers[1].bias += np.float32(50)  # never below 0, so that no activation there shows
    pictures = labelled(model)
    (doubt,) = convert(bare(model, tmp_path / "m"), pictures=pictures).doubts
    assert "not certain" in doubt
    assert " as: input 28x28x1; leaky_relu, x/255" in doubt


def test_a_network_that_does_not_know_digits_gets_the_usual_scaling(tmp_path: Path) -> None:
    path = bare(perceptron(), tmp_path / "m")
    with pytest.warns(UserWarning, match="nothing shows|not certain|may"):
        model = load_model(path)
    assert model.metadata["preprocessing"]["scaling"]["name"] == "x/255"
    assert model.metadata["metrics"]["mnist-sample"]["n"] == 1000


def test_two_scalings_that_do_equally_well_are_reported(tmp_path: Path) -> None:
    shift = network(Flatten(), Dense(10, name="fc"), seed=1)
    shift.layers[1].kernel -= shift.layers[1].kernel.mean(axis=0)  # a constant is not seen
    pictures = drawn_from(shift)
    safetensors.write(shift, tmp_path / "m.safetensors")
    found = convert(tmp_path / "m.safetensors", pictures=pictures)
    assert "equally well, by cross-entropy: x/255 (" in found.doubts[0]
    assert ", x/255-0.5 (" in found.doubts[0]


def test_confidence_decides_where_accuracy_does_not(tmp_path: Path) -> None:
    """Without biases a ReLU network answers the same at any scale, only louder."""
    model = network(Flatten(), Dense(24, use_bias=False), ReLU(), Dense(10, use_bias=False), seed=2)
    pictures = drawn_from(model)
    safetensors.write(model, tmp_path / "m.safetensors")
    scores = convert(tmp_path / "m.safetensors", pictures=pictures).scores
    assert scores[0].entry.scaling == "x/255"


def test_an_entry_that_is_too_sure_wins_only_until_it_errs() -> None:
    """On the first pictures all answers are right, and the louder ones cost less."""
    model = network(Flatten(), Dense(10, use_bias=False), seed=2)
    model.layers[-1].kernel *= 3 / model.predict(PICTURES).std()
    order = np.random.default_rng(0).permutation(300)
    labels = model.predict(PICTURES).argmax(axis=1)
    labels[order[64::7]] += 1
    pictures = Labelled("made up", PICTURES, labels % 10)
    field = [Entry(lambda: model, "x/255"), Entry(lambda: model, "raw")]
    assert race(field, pictures)[0].entry.scaling == "x/255"


def test_a_file_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = load_model("mlp")
    trained.metadata = {}
    path = bare(trained, tmp_path / "m")
    with pytest.warns(UserWarning, match="not certain"):
        first = load_model(path)
    assert first.metadata["preprocessing"]["scaling"]["name"] == "x/255"
    monkeypatch.setattr(conversion, "race", None)
    with pytest.warns(UserWarning, match=re.escape(f"{path}: its layers are the most likely")):
        again = load_model(path)  # the search would fail now
    assert again.metadata == first.metadata
    assert np.array_equal(again.predict(PICTURES), first.predict(PICTURES))
    path.write_bytes(path.read_bytes()[:-4] + bytes(4))
    with pytest.raises(TypeError):
        load_model(path)


def test_a_cache_that_cannot_be_used_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_bytes(b"a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = bare(load_model("mlp"), tmp_path / "m")
    with pytest.warns(UserWarning):
        assert load_model(path).metadata["preprocessing"]["scaling"]["name"] == "x/255"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "good"))
    with pytest.warns(UserWarning):
        load_model(path)
    (kept,) = (tmp_path / "good").rglob("*.npz")
    kept.write_bytes(b"damaged")
    with pytest.warns(UserWarning):
        assert load_model(path).metadata["preprocessing"]["scaling"]["name"] == "x/255"


def test_a_wrong_plan_of_the_users_is_reported(tmp_path: Path) -> None:
    model = perceptron("tanh", seed=3)
    pictures = labelled(model)
    found = convert(bare(model, tmp_path / "m"), pictures=pictures, plan=1)
    assert any("as: input 28x28x1; tanh (without --plan" in doubt for doubt in found.doubts)


def test_outputs_that_are_not_classes_are_not_scored(tmp_path: Path) -> None:
    coder = network(Flatten(), Dense(8, name="a"), ReLU(), Dense(784, name="b"))
    pictures = Labelled("x", PICTURES, np.zeros(300, int))
    found = convert(bare(coder, tmp_path / "m"), pictures=pictures)
    assert "(784,)" in found.doubts[0]


def test_a_network_with_fewer_classes_is_scored_on_those(tmp_path: Path) -> None:
    model = network(Flatten(), Dense(5, name="fc"), seed=1)
    known = labelled(model)
    labels = known.labels.copy()
    labels[::3] = 9
    found = convert(bare(model, tmp_path / "m"), pictures=Labelled("x", PICTURES, labels))
    assert found.scores[0].accuracy == 1.0 and found.scores[0].n == 200


def test_the_race_drops_entries_that_fall_behind_and_prefers_the_first() -> None:
    model = perceptron(seed=2)
    pictures = labelled(model)
    field = entries([(lambda: model, "a"), (lambda: model, "b")])
    scores = race(field, pictures)
    assert len(scores) == len(field) and scores[0].entry is field[0]
    assert scores[-1].n < 300
    hopeless = race([Entry(lambda: model, "1-x/255")], pictures, scores[0])
    assert hopeless[0].n < 300


def test_a_written_file_keeps_its_layers(tmp_path: Path) -> None:
    model = perceptron(seed=2)
    safetensors.write(model, tmp_path / "m.safetensors")
    assert convert(tmp_path / "m.safetensors", pictures=labelled(model)).plans == []


def test_the_command_converts_and_predict_is_right_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = perceptron(seed=2)
    pictures = labelled(model, "raw")
    np.savez(tmp_path / "set.npz", images=np.round(PICTURES[..., 0] * 255).astype("u1"),
             labels=pictures.labels)  # fmt: skip
    source, target = str(bare(model, tmp_path / "m")), str(tmp_path / "m.npz")
    assert main(["convert", source, target, "--scaling", "raw", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["plans"] == ["1) input 28x28x1; relu"]
    assert record["preprocessing"]["scaling"] == {"name": "raw", "scale": 255.0, "offset": 0.0}
    reader = Reader(target, "none")
    found = [reader.predict(image[..., 0]).digit for image in PICTURES[:50]]
    assert found == list(pictures.labels[:50])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pt", "x.npz"], "nothing.pt: no such file"),
        (["mlp", "x.npz", "--plan", "1"], "drop --plan"),
        (["mlp", "x.npz", "--architecture", "mlp"], "drop --architecture"),
        (["mlp", "x.onnx"], "should end with .npz"),
        (["mlp", "nowhere/x.npz"], "there is no folder"),
        (["mlp", "x.npz", "--scaling", "odd"], "scaling must be one of"),
    ],
)
def test_convert_refuses(
    arguments: Any,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_export_writes_by_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mlp.safetensors"
    assert main(["export", "mlp", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    assert main(["export", "mlp", str(tmp_path / "mlp.odd")]) == 2
    assert "should end with one of .keras" in capsys.readouterr().err
    assert main(["convert", str(target), str(tmp_path / "again.npz"), "--scaling", "x/255"]) == 0
    again, mlp = load_model(tmp_path / "again.npz"), load_model("mlp")
    assert np.array_equal(again.predict(PICTURES[:5]), mlp.predict(PICTURES[:5]))

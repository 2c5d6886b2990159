"""Standalone files: they compute what the model computes, and a learner can read them."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tests.nn.conftest import ONLY_READ, WRITTEN_CASES
from tinymnist.errors import InputError
from tinymnist.interop.standalone import render, write
from tinymnist.interop.standalone.network_code import ACTIVATIONS, CALLS, calls_of
from tinymnist.nn import layers as L
from tinymnist.nn.layers import LAYERS
from tinymnist.nn.sequential import Input, Sequential

MODELS = ("mnist-cnn", "keras-cnn", "lenet5", "mlp")


def model_around(case: Any, dtype: str) -> Sequential:
    """The case's layer as a model; if it takes several inputs, each comes from a branch."""
    layer, shapes = case.built(dtype), case.input_shapes
    layer.name = "it"
    if len(shapes) == 1:
        return Sequential([layer], input_shape=shapes[0], dtype=dtype)
    branches = [
        L.Conv2D(shape[-1], 1, name=f"branch {i}")
        if len(shape) == 3
        else L.Dense(shape[-1], name=f"branch {i}")
        for i, shape in enumerate(shapes)
    ]
    wiring = {branch.name: ["input"] for branch in branches}
    wiring["it"] = [branch.name for branch in branches]
    return Sequential([*branches, layer], input_shape=shapes[0], wiring=wiring, dtype=dtype)


def run(text: str) -> dict[str, Any]:
    """The names that a standalone file defines."""
    names = {"__name__": "standalone"}
    exec(compile(text, "standalone.py", "exec"), names)
    return names


def test_every_layer_and_every_activation_is_known() -> None:
    like_dropout = {name for name in LAYERS if issubclass(LAYERS[name], L.Dropout)} - {"Dropout"}
    assert set(CALLS) == set(LAYERS) - ONLY_READ - like_dropout
    assert set(ACTIVATIONS) == set(L.ACTIVATIONS)


def test_the_text_is_the_same_in_every_run() -> None:
    """Sets of strings have another order in each interpreter."""
    program = (
        "from tinymnist.interop.standalone import render\n"
        "from tinymnist.nn.sequential import Input, Sequential\n"
        "from tinymnist.nn.layers import Add, Conv2D, Flatten, Dense, MaxPooling2D\n"
        "layers = [Input((6, 6, 2)), Conv2D(4, 3, padding='same', name='a'), MaxPooling2D(2),\n"
        "          Conv2D(4, 3, padding='same', strides=2, name='b', activation='gelu'),\n"
        "          Add(), Flatten(), Dense(3, activation='softmax')]\n"
        "wiring = {'b': ['a'], 'add': ['max_pooling2d', 'b']}\n"
        "print(render(Sequential(layers, wiring=wiring, rng=0), 'x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = io.StringIO()  # with the seed of this interpreter
    with contextlib.redirect_stdout(here):
        exec(program, {})
    assert done.stdout == here.getvalue()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", WRITTEN_CASES, ids=str)
def test_every_layer_computes_the_same(case: Any, dtype: str) -> None:
    model = model_around(case, dtype)
    x = np.random.default_rng(2).random((3, *model.input_shape)).astype(dtype)
    found = run(render(model, "it.py"))["predict"](x)
    expected = model.predict(x)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


def alone(file: Path, *arguments: str) -> str:
    command = [sys.executable, "-I", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=file.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_runs_alone_and_says_ok(tmp_path: Path, name: str) -> None:
    """In an interpreter that finds NumPy, but not tinymnist."""
    file = tmp_path / "digits.py"
    write(tinymnist.load_model(name), file)
    assert alone(file).startswith("ok: ")


def test_a_shipped_model_reads_pictures_alone(tmp_path: Path) -> None:
    file = tmp_path / "digits.py"
    write(tinymnist.load_model("lenet5"), file)
    sample = run(file.read_text(encoding="utf-8"))["SAMPLE"]
    np.save(tmp_path / "sevens.npy", np.repeat([sample], 2, axis=0))
    found = alone(file, "sevens.npy")
    assert [line.split()[:2] for line in found.splitlines()] == [["sevens.npy", "7"]] * 2


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_computes_the_same(name: str) -> None:
    model = tinymnist.load_model(name)
    names = run(render(model, "it.py"))
    x = np.random.default_rng(3).random((7, 28, 28, 1)).astype("float32")
    assert np.abs(names["predict"](x) - model.predict(x)).max() <= 1e-6
    for key, array in model.weights.items():
        assert names["WEIGHTS"][key].tobytes() == array.tobytes()


def test_the_file_is_hardly_larger_than_the_weights(tmp_path: Path) -> None:
    model = tinymnist.load_model("mnist-cnn")
    write(model, tmp_path / "it.py")
    size = sum(array.nbytes for array in model.weights.values())
    assert (tmp_path / "it.py").stat().st_size < 1.15 * size


def test_pictures_may_come_in_several_forms() -> None:
    predict = run(render(tinymnist.load_model("mlp"), "it.py"))["predict"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    expected = predict(pictures / np.float32(255))
    for form in (pictures, pictures[..., 0], pictures[..., 0].astype(int)):
        assert np.allclose(predict(form), expected, rtol=0, atol=1e-6)
    assert np.allclose(predict(pictures[0, ..., 0]), expected[:1], rtol=0, atol=1e-6)
    assert predict(np.zeros((0, 28, 28))).shape == (0, 10)
    with pytest.raises(ValueError, match=r"Received: shape=\(56, 14\)"):
        predict(np.zeros((56, 14)))


def test_a_model_that_scales_by_itself_gets_whole_numbers_as_they_are() -> None:
    layers: list[Any] = [Input((28, 28, 1)), L.Rescaling(1 / 255), L.Flatten(), L.Dense(10)]
    model = Sequential(layers)
    names = run(render(model, "it.py"))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    assert np.allclose(names["predict"](pictures), model.predict(pictures), atol=1e-6)
    assert names["main"]([]) == 0


def test_a_scaling_that_was_found_is_applied() -> None:
    layers: list[Any] = [Input((784,)), L.Dense(10, activation="softmax")]
    model = Sequential(layers)
    scaling = {"name": "x/127.5-1", "scale": 2.0, "offset": -1.0}
    model.metadata = {"preprocessing": {"recipe": "mnist", "scaling": scaling}}
    names = run(render(model, "it.py"))
    pictures = np.random.default_rng(0).random((3, 28, 28, 1)).astype("float32")
    expected = model.predict(2 * pictures.reshape(3, 784) - 1)
    for form in (pictures[..., 0], pictures.reshape(3, 784)):
        assert np.allclose(names["predict"](form), expected, rtol=0, atol=1e-6)
    assert names["main"]([]) == 0


def test_only_what_the_model_needs_is_in_the_file() -> None:
    text = render(tinymnist.load_model("mlp"), "it.py")
    assert "def dense" in text and "def relu" in text
    assert "def conv2d" not in text and "def pad" not in text and "Iterator" not in text


def test_a_damaged_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A learner who changes an operation sees it; who damages the weights, too."""
    text = render(tinymnist.load_model("lenet5"), "it.py")
    assert run(text.replace("return total / count", "return total / 4.001"))["main"]([]) == 1
    assert capsys.readouterr().out.startswith("DIFFERS: ")
    cut = text.index('PACKED = """') + 2000
    other = "A" if text[cut] != "A" else "B"
    with pytest.raises(Exception, match=r"Error -3|Error -5"):
        run(text[:cut] + other + text[cut + 1 :])


def test_bad_pictures_are_one_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(render(tinymnist.load_model("mlp"), "it.py"))
    np.save(tmp_path / "wide.npy", np.zeros((3, 5)))
    for file in ("wide.npy", "missing.npy"):
        assert names["main"]([str(tmp_path / file)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1


def test_branches_get_variables_of_their_own() -> None:
    layers: list[Any] = [
        Input((6, 6, 2)),
        L.Conv2D(4, 3, padding="same", activation="relu", name="a-1"),
        L.Conv2D(4, 3, padding="same", name="relu"),  # also the name of a function
        L.Dropout(0.5),
        L.Add(name="sum"),
        L.Concatenate(name="all"),
        L.Flatten(),
        L.Dense(3, activation="softmax"),
    ]
    wiring = {"sum": ["dropout", "a-1"], "all": ["sum", "relu", "input"]}
    model = Sequential(layers, wiring=wiring)
    text = render(model, "it.py")
    assert "    a_1 = x\n" in text and "    x = add(x, a_1)" in text
    x = np.random.default_rng(0).random((2, 6, 6, 2)).astype("float32")
    assert np.allclose(run(text)["predict"](x), model.predict(x), rtol=0, atol=1e-6)


def test_names_and_stories_cannot_smuggle_code(tmp_path: Path) -> None:
    evil = '"""\nimport sys\nraise SystemExit("caught")\n"""\\'
    layers: list[Any] = [Input((4,)), L.Dropout(0.5, name=evil), L.Dense(2, name=f"dense {evil}")]
    model = Sequential([*layers, L.Add(name=f"add{evil}")], wiring={f"add{evil}": [evil] * 2})
    model.name = evil
    metadata = {"source": evil, "class_names": [evil, "b\n"], "preprocessing": {evil: evil}}
    model.metadata = metadata
    text = render(model, f"{evil}.py")
    names = run(text)
    x = np.ones((2, 4), "float32")
    assert np.allclose(names["predict"](x), model.predict(x))


def test_a_layer_without_a_function_is_refused_by_name() -> None:
    class Novel(L.Layer):
        pass

    with pytest.raises(InputError, match="Novel"):
        calls_of(Novel(name="it"), (4,))


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("name", MODELS)
def test_the_file_passes_our_own_linter(tmp_path: Path, name: str) -> None:
    file = tmp_path / "it.py"
    write(tinymnist.load_model(name), file)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        ruff = ["ruff", *command, "--no-cache", "--config", str(config), str(file)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
